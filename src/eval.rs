//! Measurements of the product itself: what `ghostline bench` runs.
//!
//! [`replay`] types a recorded or a made-up editing trace through the real completion engine and the
//! real document store, against an oracle that stands in for the model, in virtual time. The way of a
//! run: [`trace`] or [`typist`] → [`script`] (what the document becomes and what is typed next) →
//! [`replay`] (one [`policy`] over one [`oracle`]) → [`figures`] → [`report`] and [`plot`].
//!
//! Called by `cli/bench` only. Invariants: one seed gives one result, to the last digit, on any
//! machine; nothing here reads a clock of the machine or waits for it.

mod chance;
pub mod figures;
pub mod keys;
pub mod oracle;
pub mod plot;
pub mod policy;
pub mod replay;
pub mod report;
pub mod rhythm;
pub mod script;
pub mod trace;
pub mod typist;
mod wanted;
