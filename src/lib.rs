//! ghostline: a language server that gives any editor inline completions (ghost text) from models on
//! the person's own machine.
//!
//! This page is the map: what is where, how a request goes, and what each part never does. The README
//! says how to use it.
//!
//! # Where to look
//!
//! | to change | look at |
//! |---|---|
//! | what a subcommand does | [`cli`], one file per subcommand |
//! | a protocol method | [`server`], one line per method, the work in the files beside |
//! | framing, ordering, panics, a client that does not read | [`server::transport`] |
//! | when and what is completed | [`inline`]: [`inline::Engine::complete`] reads top to bottom |
//! | a model family's fill-in-the-middle tokens | [`prompt::fim`], one row per family |
//! | which part of a file is sent | [`prompt::window`] |
//! | what other files add to a prompt, and when | [`context`], and `inline/surroundings` for the moment |
//! | which files no model sees | `kept_out` |
//! | semantic search: chunks, words, vectors, their store | [`index`] |
//! | what counts as a secret in a text | [`redact`], one row per shape |
//! | conversations: what is kept, what a model is shown again | [`chat`]: [`chat::Chats::answer`] reads top to bottom |
//! | a code action | [`action`], one file each; from a reply to an edit: `action/reply`, `action/edit` |
//! | which words choose which role | [`chat::intent`] |
//! | what chat and code actions say to a model | [`prompt::instruct`] |
//! | which languages have a grammar | `grammar`, one row each |
//! | which model serves a role | [`router`] |
//! | which backend serves a model that several have | [`router::calibrate`], `router/options` |
//! | how a backend is spoken to | [`backend`], one file per backend |
//! | several servers used as one, circuit breakers | [`backend::pool`] |
//! | the engine in this process | [`backend::embedded`] |
//! | what weights there are and where they come from | [`models`] |
//! | a setting, its layers, what a workspace may set | [`config`] |
//! | what of a text is shown, and when it ends | `inline/postprocess`, `inline/stop`, `inline/syntax`; between braces `inline/braces` |
//! | counters and latencies | [`metrics`] |
//! | a program that was built for another processor | [`processor`] |
//! | what `ghostline doctor` looks at | [`doctor`], one file per kind of check |
//! | what a running server tells the doctor | [`running`] |
//! | a benchmark | [`eval`], and its subcommand in [`cli::bench`] |
//! | how programs that a model wrote are run | [`eval::sandbox`] |
//!
//! # How a completion goes
//!
//! 1. [`server::transport`] reads a message and polls its handler once, in the order of arrival. The
//!    handler takes a snapshot of the document before its first await.
//! 2. [`inline::Engine::complete`] decides whether a model is asked at all, looks for a text generated
//!    before, joins the generation in flight, or starts one.
//! 3. [`prompt`] cuts a window out of the document and lays it out as the model's family wants it: the
//!    typed part of the current line comes last, so a key adds a token or two to what is cached. In
//!    front stands the block of snippets that [`context`] made in the last idle moment.
//! 4. [`router`] names the backend and model; [`backend`] streams text. Dropping the stream frees the
//!    backend.
//! 5. The text ends where no more is wanted, is fitted to what stands right of the cursor, and is
//!    answered: as a whole, or as a safe partial that grows.
//!
//! # What never happens
//!
//! - Only `server*` and [`document::position`] know the protocol's types; only `backend*` and `models*`
//!   know HTTP. Imports go one way: `server` → `inline`, `chat`, `action` → `router` → `backend`; [`context`], [`prompt`]
//!   and [`document`] import none of these. `tests/tidy.rs` keeps it so.
//! - No guard lives across an await. No work on the way of a key is proportional to the file.
//! - A request that gives up never ends a load; a generation that nobody can use never goes on.
//! - Text of files is data to a model: quoted, marked as such, without secrets. No answer runs anything.
//! - A workspace's own files never say where text is sent ([`config::trust`]).
//! - Logs hold no document text above the level `trace`.
//!
//! # Glossary
//!
//! - **backend**: what runs models: an Ollama, another server, or the engine in this process.
//!   **role**: what a model is used for. **candidate**: a model that a role may use. **route**: the candidate that serves now.
//! - **prefix, suffix, middle**: the text before, after and in the gap; **FIM**: models trained to fill
//!   it. **line anchor**: what was typed goes after the middle token: the part of the line, and the lines finished
//!   before it since the last jump, up to sixteen.
//! - **place**: a cursor with the surroundings that decide whether a completion belongs there.
//!   **type-through**: typing what the ghost text says. **origin**: the place a text was generated for.
//! - **snippet**: a piece of other text that helps with this one. **block**: the snippets in front of a
//!   document's prompts; frozen while somebody types.
//! - **splice**: moving what is cached of a text that stands at another place now, as after Enter, instead
//!   of computing it. **refresh**: computing it all the same, while nobody waits.
//! - **prefetch**: generating for the place after an accept, before anybody asks. **deadline**: when a
//!   safe partial is answered instead of the whole.

pub mod action;
pub mod backend;
pub mod chat;
pub mod cli;
pub mod client;
mod common_prefix;
pub mod config;
pub mod context;
pub mod doctor;
pub mod document;
pub mod eval;
mod grammar;
pub mod host;
pub mod index;
pub mod inline;
mod kept_out;
pub mod metrics;
pub mod models;
pub mod processor;
pub mod prompt;
pub mod redact;
pub mod router;
pub mod running;
pub mod server;
