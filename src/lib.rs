//! The parts of ghostline.

pub mod backend;
pub mod prompt;
