//! Ghost text, chat and code actions for any editor, from models on your own machine.

pub mod backend;
pub mod prompt;
