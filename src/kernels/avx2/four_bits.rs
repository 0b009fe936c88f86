//! Products of eight rows of four-bit weights at once.
//!
//! A vector holds eight values of each of four rows. They are multiplied with eight values of a token and added
//! up by two; sums of 16 bits hold a part's, times its scales those of 32 bits a block's.
#![expect(unsafe_code, reason = "vector instructions read and write memory")]
#![allow(clippy::wildcard_imports, reason = "some thirty instructions")]

use std::arch::x86_64::*;

use crate::blocks::{FourBits, ROWS, TOKENS, Token, Tokens};

/// Scales and lows of a block of weights.
struct Scales {
    /// Of each row.
    scale: __m256,
    low: __m256,
    /// Of each part, those of the eight rows.
    parts: [i64; 8],
    /// Of each pair of parts, the lows of each row, 16 bits each.
    lows: [__m256i; 4],
}

impl Scales {
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn of(weights: &FourBits) -> Self {
        let mut parts = [0; 8];
        let mut all_lows = [0; 8];
        for ((part, lows), words) in parts.iter_mut().zip(&mut all_lows).zip(&weights.parts) {
            // Scales of rows 0 to 3, lows of these, and the lower bits of both of rows 4 to 7, the upper ones
            // of which are in the two other words.
            let &[a, b, c] = words.as_chunks::<4>().0 else {
                continue;
            };
            let [a, b, c] = [a, b, c].map(|word| u64::from(u32::from_le_bytes(word)));
            let six = |word: u64| word & 0x3f3f_3f3f;
            let ten = |lower: u64, upper: u64| lower & 0x0f0f_0f0f | upper >> 2 & 0x3030_3030;
            *part = (six(a) | ten(c, a) << 32).cast_signed();
            *lows = (six(b) | ten(c >> 4, b) << 32).cast_signed();
        }
        let mut lows = [_mm256_setzero_si256(); 4];
        for (lows, pair) in lows.iter_mut().zip(all_lows.as_chunks::<2>().0) {
            let (first, second) = (_mm_cvtsi64_si128(pair[0]), _mm_cvtsi64_si128(pair[1]));
            *lows = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(first, second));
        }
        Self {
            scale: halves(&weights.scale),
            low: halves(&weights.low),
            parts,
            lows,
        }
    }

    /// A part's scales of rows 0 to 3 and of rows 4 to 7, 16 bits and four times each.
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn part(&self, part: usize) -> [__m256i; 2] {
        let scales = _mm256_set1_epi64x(self.parts.get(part).copied().unwrap_or_default());
        // In each 16 bits, one byte and a zero.
        let front = _mm256_setr_epi16(
            -256, -256, -256, -256, -255, -255, -255, -255, -254, -254, -254, -254, -253, -253,
            -253, -253,
        );
        let back = _mm256_add_epi16(front, _mm256_set1_epi16(4));
        [
            _mm256_shuffle_epi8(scales, front),
            _mm256_shuffle_epi8(scales, back),
        ]
    }
}

/// Eight numbers of half precision.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn halves(halves: &[u16; ROWS]) -> __m256 {
    // SAFETY: 16 bytes.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(halves.as_ptr().cast()) })
}

/// Four rows' values of a pair's first or second part.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn values(pair: &[[u8; 64]; 4], second: bool, back: bool) -> [__m256i; 4] {
    let half = _mm256_set1_epi8(0x0f);
    let mut all = [_mm256_setzero_si256(); 4];
    for (all, bytes) in all.iter_mut().zip(pair) {
        let rows = &bytes.as_chunks::<32>().0[usize::from(back)];
        // SAFETY: 32 bytes.
        let bytes = unsafe { _mm256_loadu_si256(rows.as_ptr().cast()) };
        let bytes = if second {
            _mm256_srli_epi16::<4>(bytes)
        } else {
            bytes
        };
        *all = _mm256_and_si256(bytes, half);
    }
    all
}

/// Sums by two of eight values of each row times those of a token.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn eight(weights: __m256i, token: [u8; 8]) -> __m256i {
    _mm256_maddubs_epi16(weights, _mm256_set1_epi64x(i64::from_le_bytes(token)))
}

/// `sum` and a part's, times its scales. Eight values of at most 15 and 127 fit in 16 bits.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn add_part(sum: __m256i, part: __m256i, scale: __m256i) -> __m256i {
    _mm256_add_epi32(sum, _mm256_madd_epi16(part, scale))
}

/// `total` and what a block comes to. `sums` are two of each of four rows, `part_sums` those of a token's values by
/// part, two of 16 bits in each.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn add_block(
    total: __m256,
    scales: &Scales,
    sums: [__m256i; 2],
    part_sums: [i32; 4],
    scale: f32,
) -> __m256 {
    let sum = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(sums[0], sums[1]));
    let mut low = _mm256_setzero_si256();
    for (lows, sums) in scales.lows.into_iter().zip(part_sums) {
        low = _mm256_add_epi32(low, _mm256_madd_epi16(lows, _mm256_set1_epi32(sums)));
    }
    let value = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), scales.scale);
    let value = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(low), scales.low, value);
    _mm256_fmadd_ps(value, _mm256_set1_ps(scale), total)
}

#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn rows(total: __m256) -> [f32; ROWS] {
    let mut rows = [0.0; ROWS];
    // SAFETY: 32 bytes.
    unsafe { _mm256_storeu_ps(rows.as_mut_ptr(), total) };
    rows
}

/// Products of eight rows with groups of four tokens each, all of as many blocks.
///
/// # Safety
/// The processor has the instructions ([`instructions`](crate::instructions)).
#[target_feature(enable = "avx2,fma,f16c")]
pub fn products<const GROUPS: usize>(
    weights: &[FourBits],
    groups: [&[Tokens]; GROUPS],
) -> [[[f32; ROWS]; TOKENS]; GROUPS] {
    let mut totals = [[_mm256_setzero_ps(); TOKENS]; GROUPS];
    for (at, weights) in weights.iter().enumerate() {
        let blocks = groups.map(|group| &group[at]);
        let scales = Scales::of(weights);
        let mut sums = [[[_mm256_setzero_si256(); 2]; TOKENS]; GROUPS];
        for part in 0..8 {
            for (back, scale) in scales.part(part).into_iter().enumerate() {
                let [a, b, c, d] = values(&weights.values[part / 2], part % 2 == 1, back == 1);
                for (sums, block) in sums.iter_mut().zip(blocks) {
                    let eights = &block.values[4 * part..][..4];
                    for (token, sum) in sums.iter_mut().enumerate() {
                        let front = _mm256_add_epi16(
                            eight(a, eights[0][token]),
                            eight(b, eights[1][token]),
                        );
                        let rest = _mm256_add_epi16(
                            eight(c, eights[2][token]),
                            eight(d, eights[3][token]),
                        );
                        let of_part = _mm256_add_epi16(front, rest);
                        sum[back] = add_part(sum[back], of_part, scale);
                    }
                }
            }
        }
        for ((totals, sums), block) in totals.iter_mut().zip(sums).zip(blocks) {
            let part_sums = part_sums(&block.sums);
            for (token, (total, sums)) in totals.iter_mut().zip(sums).enumerate() {
                let part_sums = part_sums.map(|tokens| tokens[token]);
                *total = add_block(*total, &scales, sums, part_sums, block.scale[token]);
            }
        }
    }
    let mut all = [[[0.0; ROWS]; TOKENS]; GROUPS];
    for (all, totals) in all.iter_mut().zip(totals) {
        for (all, total) in all.iter_mut().zip(totals) {
            *all = rows(total);
        }
    }
    all
}

/// Of each pair of parts and each token: the sums of its values, two of 16 bits.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn part_sums(sums: &[[[i16; 4]; TOKENS]; 4]) -> [[i32; TOKENS]; 4] {
    let mut all = [[0; TOKENS]; 4];
    for (all, pair) in all.iter_mut().zip(sums) {
        // SAFETY: 32 and 16 bytes.
        unsafe {
            let pair = _mm256_loadu_si256(pair.as_ptr().cast());
            _mm_storeu_si128(all.as_mut_ptr().cast(), by_part(pair));
        }
    }
    all
}

/// Eight sums of two of 16, 16 bits each.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline]
fn by_part(sums: __m256i) -> __m128i {
    let sums = _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
    _mm_packs_epi32(
        _mm256_castsi256_si128(sums),
        _mm256_extracti128_si256::<1>(sums),
    )
}

/// Products of eight rows with one token of as many blocks.
///
/// # Safety
/// As above.
#[target_feature(enable = "avx2,fma,f16c")]
pub fn product(weights: &[FourBits], token: &[Token]) -> [f32; ROWS] {
    let mut total = _mm256_setzero_ps();
    for (weights, block) in weights.iter().zip(token) {
        let scales = Scales::of(weights);
        let mut sums = [_mm256_setzero_si256(); 2];
        for part in 0..8 {
            let eights = &block.values[4 * part..][..4];
            for (back, (sum, scale)) in sums.iter_mut().zip(scales.part(part)).enumerate() {
                let [a, b, c, d] = values(&weights.values[part / 2], part % 2 == 1, back == 1);
                let front = _mm256_add_epi16(eight(a, eights[0]), eight(b, eights[1]));
                let rest = _mm256_add_epi16(eight(c, eights[2]), eight(d, eights[3]));
                *sum = add_part(*sum, _mm256_add_epi16(front, rest), scale);
            }
        }
        let mut part_sums = [0; 4];
        // SAFETY: 32 and 16 bytes.
        unsafe {
            let halves = _mm256_loadu_si256(block.sums.as_ptr().cast());
            _mm_storeu_si128(part_sums.as_mut_ptr().cast(), by_part(halves));
        }
        total = add_block(total, &scales, sums, part_sums, block.scale);
    }
    rows(total)
}
