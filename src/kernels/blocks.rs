//! Weights and activations as llama.cpp lays them out (`ggml-common.h`, `ggml-cpu/repack.h`).
//!
//! A *row* is one of the weight matrix, a *token* one of the activations. Both are cut into blocks of 256
//! values, and those into *parts* that have a scale of their own.

/// Values of a block.
pub const BLOCK: usize = 256;
/// Rows of four-bit weights that are laid out together.
pub const ROWS: usize = 8;
/// Tokens that are laid out together.
pub const TOKENS: usize = 4;

/// A block of eight rows of four-bit weights (`block_q4_Kx8`), in eight parts. A weight is
/// `scale * part_scale * value - low * part_low`.
#[repr(C)]
#[derive(Debug, Clone)]
pub struct FourBits {
    /// Half precision, of each row.
    pub scale: [u16; ROWS],
    /// Half precision, of each row.
    pub low: [u16; ROWS],
    /// Of each part: scales and lows of the eight rows, six bits each.
    pub parts: [[u8; 12]; 8],
    /// Of each pair of parts and each eight values: those of the first part in the lower halves of the bytes,
    /// those of the second in the upper ones; row after row.
    pub values: [[[u8; 64]; 4]; 4],
}

/// A block of one row of six-bit weights (`block_q6_K`), in 16 parts. A weight is
/// `scale * part_scale * (value - 32)`.
#[repr(C)]
#[derive(Debug, Clone)]
pub struct SixBits {
    /// Of each half: the lower four bits of 64 values, and of the next 64 in the upper halves of the bytes.
    pub lower: [[u8; 64]; 2],
    /// Of each half: the upper two bits of 32 values, and of the next three times 32 in the higher ones.
    pub upper: [[u8; 32]; 2],
    /// Of each part.
    pub parts: [i8; 16],
    /// Half precision.
    pub scale: u16,
}

/// A block of one token's activations (`block_q8_K`).
#[repr(C)]
#[derive(Debug, Clone)]
pub struct Token {
    /// Of each value.
    pub scale: f32,
    /// Signed.
    pub values: [[u8; 8]; 32],
    /// Of 16 values each.
    pub sums: [i16; 16],
}

/// A block of four tokens' activations (`block_q8_Kx4`).
#[repr(C)]
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Of each token.
    pub scale: [f32; TOKENS],
    /// Of each eight values: those of each token. Signed.
    pub values: [[[u8; 8]; TOKENS]; 32],
    /// Of each 64 values and each token: sums of 16.
    pub sums: [[[i16; 4]; TOKENS]; 4],
}

const _: () = assert!(size_of::<FourBits>() == 1152);
const _: () = assert!(size_of::<SixBits>() == 210);
const _: () = assert!(size_of::<Token>() == 292);
const _: () = assert!(size_of::<Tokens>() == 1168);
