//! With AVX2: vectors of 32 values, multiplied and added up by two in one instruction.

pub mod four_bits;
pub mod six_bits;
