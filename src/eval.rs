//! Measurements: how fast the product is and how good its completions are. What `ghostline bench` runs.
//!
//! [`replay`] types a recorded or a made-up editing trace through the real completion engine and the
//! real document store, against an oracle that stands in for the model, in virtual time. The way of a
//! run: [`trace`] or [`typist`] → [`script`] (what the document becomes and what is typed next) →
//! [`replay`] (one [`policy`] over one [`oracle`]) → [`figures`] → [`report`] and [`plot`]. One seed
//! gives one result, to the last digit, on any machine.
//!
//! [`wall`] types the same in real time, through the built program and a real model.
//!
//! [`latency`] measures the built program from outside, over its pipes, and gives its figures with the
//! [`machine`] they were taken on.
//!
//! [`infilling`] and [`humaneval`] let a model write programs and run each problem's own test on them:
//! [`problem`] → the model, and the engine in front of it → [`sandbox`] → [`passing`] with the intervals
//! of [`statistics`]. [`compare`] says whether a result is worse than an older one.
//! [`splice`] measures what moving cached text is worth, [`draft`] what guesses at the next tokens are, and
//! [`load`] what a chat, a cancel and a busy machine cost, with the in-process engine and real weights.
//!
//! Called by `cli/bench` only.

mod chance;
pub mod compare;
#[cfg(feature = "embedded")]
pub mod draft;
pub mod figures;
pub mod humaneval;
pub mod infilling;
pub mod keys;
pub mod latency;
#[cfg(feature = "embedded")]
pub mod load;
pub mod machine;
pub mod oracle;
pub mod passing;
pub mod passing_page;
pub mod plot;
pub mod policy;
pub mod problem;
mod process;
pub mod recorder;
pub mod replay;
pub mod report;
pub mod rhythm;
pub mod sandbox;
pub mod script;
#[cfg(feature = "embedded")]
pub mod sitting;
#[cfg(feature = "embedded")]
pub mod splice;
pub mod statistics;
pub mod trace;
pub mod typist;
pub mod wall;
mod wanted;
#[cfg(feature = "embedded")]
pub mod weights;
