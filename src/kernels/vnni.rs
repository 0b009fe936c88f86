//! With AVX-512 and VNNI: vectors of 64 values, multiplied and added up by four in one instruction.

pub mod four_bits;
pub mod six_bits;
