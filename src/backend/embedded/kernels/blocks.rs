//! Weights and activations as llama.cpp lays them out (`ggml-common.h`, `ggml-cpu/repack.h`).
//!
//! A *row* is one of the weight matrix, a *token* one of the activations. Both are cut into blocks of 256
//! values, and those into *parts* that have a scale of their own.

/// Values of a block.
pub(super) const BLOCK: usize = 256;
/// Rows of four-bit weights that are laid out together.
pub(super) const ROWS: usize = 8;
/// Tokens that are laid out together.
pub(super) const TOKENS: usize = 4;

/// A block of eight rows of four-bit weights (`block_q4_Kx8`), in eight parts. A weight is
/// `scale * part_scale * value - low * part_low`.
#[repr(C)]
#[derive(Debug, Clone)]
pub(super) struct FourBits {
    /// Half precision, of each row.
    pub(super) scale: [u16; ROWS],
    /// Half precision, of each row.
    pub(super) low: [u16; ROWS],
    /// Of each part: scales and lows of the eight rows, six bits each.
    pub(super) parts: [[u8; 12]; 8],
    /// Of each pair of parts and each eight values: those of the first part in the lower halves of the bytes,
    /// those of the second in the upper ones; row after row.
    pub(super) values: [[[u8; 64]; 4]; 4],
}

/// A block of one row of six-bit weights (`block_q6_K`), in 16 parts. A weight is
/// `scale * part_scale * (value - 32)`.
#[repr(C)]
#[derive(Debug, Clone)]
pub(super) struct SixBits {
    /// Of each half: the lower four bits of 64 values, and of the next 64 in the upper halves of the bytes.
    pub(super) lower: [[u8; 64]; 2],
    /// Of each half: the upper two bits of 32 values, and of the next three times 32 in the higher ones.
    pub(super) upper: [[u8; 32]; 2],
    /// Of each part.
    pub(super) parts: [i8; 16],
    /// Half precision.
    pub(super) scale: u16,
}

/// A block of one token's activations (`block_q8_K`).
#[repr(C)]
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Of each value.
    pub(super) scale: f32,
    /// Signed.
    pub(super) values: [[u8; 8]; 32],
    /// Of 16 values each.
    pub(super) sums: [i16; 16],
}

/// A block of four tokens' activations (`block_q8_Kx4`).
#[repr(C)]
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    /// Of each token.
    pub(super) scale: [f32; TOKENS],
    /// Of each eight values: those of each token. Signed.
    pub(super) values: [[[u8; 8]; TOKENS]; 32],
    /// Of each 64 values and each token: sums of 16.
    pub(super) sums: [[[i16; 4]; TOKENS]; 4],
}

const _: () = assert!(size_of::<FourBits>() == 1152);
const _: () = assert!(size_of::<SixBits>() == 210);
const _: () = assert!(size_of::<Token>() == 292);
const _: () = assert!(size_of::<Tokens>() == 1168);
