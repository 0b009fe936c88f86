//! Measurements: how fast the product is and how good its completions are.
//!
//! Called by `cli/bench` only. Everything here measures the real parts, from outside where that is
//! possible, and gives figures with the machine they were taken on.

pub mod latency;
pub mod machine;
