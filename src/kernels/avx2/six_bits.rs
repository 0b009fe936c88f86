//! Products of one row of six-bit weights.
//!
//! A vector holds 32 values of the row: those of two parts, one in each half.
#![expect(unsafe_code, reason = "vector instructions read memory")]
#![allow(clippy::wildcard_imports, reason = "some thirty instructions")]

use std::arch::x86_64::*;

use crate::blocks::{SixBits, Token};

/// A block of weights, ready to be multiplied.
struct Unpacked {
    /// From 0 to 63, 32 in each.
    values: [__m256i; 8],
    /// The part's scale for each sum, 16 bits.
    scales: [__m256i; 8],
    /// The scales times -32, by which the values stand for less.
    offsets: __m256i,
    scale: __m256,
}

impl Unpacked {
    #[target_feature(enable = "avx2,fma,f16c")]
    #[inline]
    fn of(weights: &SixBits) -> Self {
        let (four, two) = (_mm256_set1_epi8(0x0f), _mm256_set1_epi8(0x30));
        let mut values = [_mm256_setzero_si256(); 8];
        let halves = weights.lower.iter().zip(&weights.upper);
        for (values, (lower, upper)) in values.as_chunks_mut::<4>().0.iter_mut().zip(halves) {
            // SAFETY: 64 and 32 bytes.
            let (first, second, upper) = unsafe {
                (
                    _mm256_loadu_si256(lower.as_ptr().cast()),
                    _mm256_loadu_si256(lower.as_ptr().add(32).cast()),
                    _mm256_loadu_si256(upper.as_ptr().cast()),
                )
            };
            *values = [
                _mm256_or_si256(
                    _mm256_and_si256(first, four),
                    _mm256_and_si256(_mm256_slli_epi16::<4>(upper), two),
                ),
                _mm256_or_si256(
                    _mm256_and_si256(second, four),
                    _mm256_and_si256(_mm256_slli_epi16::<2>(upper), two),
                ),
                _mm256_or_si256(
                    _mm256_and_si256(_mm256_srli_epi16::<4>(first), four),
                    _mm256_and_si256(upper, two),
                ),
                _mm256_or_si256(
                    _mm256_and_si256(_mm256_srli_epi16::<4>(second), four),
                    _mm256_and_si256(_mm256_srli_epi16::<2>(upper), two),
                ),
            ];
        }
        // SAFETY: 16 bytes.
        let parts = unsafe { _mm_loadu_si128(weights.parts.as_ptr().cast()) };
        let both = _mm256_broadcastsi128_si256(parts);
        // In each 16 bits a zero and, above it, the part's byte.
        let mut spread = _mm256_set_m128i(_mm_set1_epi16(0x01ff), _mm_set1_epi16(0x00ff));
        let mut scales = [_mm256_setzero_si256(); 8];
        for scales in &mut scales {
            *scales = _mm256_srai_epi16::<8>(_mm256_shuffle_epi8(both, spread));
            spread = _mm256_add_epi16(spread, _mm256_set1_epi16(0x0200));
        }
        let times_32 = _mm256_slli_epi16::<5>(_mm256_cvtepi8_epi16(parts));
        let scale = _mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(weights.scale)));
        Self {
            values,
            scales,
            offsets: _mm256_sub_epi16(_mm256_setzero_si256(), times_32),
            scale: _mm256_set1_ps(_mm_cvtss_f32(scale)),
        }
    }
}

/// Products of a row with some tokens of as many blocks.
///
/// # Safety
/// The processor has the instructions ([`instructions`](crate::instructions)).
#[target_feature(enable = "avx2,fma,f16c")]
pub fn products<const TOKENS: usize>(row: &[SixBits], tokens: [&[Token]; TOKENS]) -> [f32; TOKENS] {
    let mut totals = [_mm256_setzero_ps(); TOKENS];
    for (at, weights) in row.iter().enumerate() {
        let weights = Unpacked::of(weights);
        for (total, token) in totals.iter_mut().zip(tokens) {
            let block = &token[at];
            // SAFETY: 32 bytes.
            let sums = unsafe { _mm256_loadu_si256(block.sums.as_ptr().cast()) };
            let mut sum = _mm256_madd_epi16(weights.offsets, sums);
            let scaled = weights.values.into_iter().zip(weights.scales);
            for ((values, scales), token) in scaled.zip(block.values.as_chunks::<4>().0) {
                // SAFETY: 32 bytes.
                let token = unsafe { _mm256_loadu_si256(token.as_ptr().cast()) };
                // Two values of at most 63 and 127 fit in 16 bits.
                let part = _mm256_maddubs_epi16(values, token);
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(part, scales));
            }
            let value = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), weights.scale);
            *total = _mm256_fmadd_ps(value, _mm256_set1_ps(block.scale), *total);
        }
    }
    let mut all = [0.0; TOKENS];
    for (all, total) in all.iter_mut().zip(totals) {
        let half = _mm_add_ps(
            _mm256_castps256_ps128(total),
            _mm256_extractf128_ps::<1>(total),
        );
        let quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
        *all = _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
    }
    all
}
