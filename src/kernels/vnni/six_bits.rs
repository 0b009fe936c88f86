//! Products of one row of six-bit weights.
//!
//! A vector holds 64 values of the row: those of four parts, each of which has four sums by four.
#![expect(unsafe_code, reason = "vector instructions read memory")]
#![allow(clippy::wildcard_imports, reason = "some forty instructions")]

use std::arch::x86_64::*;

use crate::blocks::{SixBits, Token};

/// A block of weights, ready to be multiplied.
struct Unpacked {
    /// From 0 to 63, 64 in each.
    values: [__m512i; 4],
    /// The part's scale for each sum, 32 bits.
    scales: [__m512i; 4],
    /// The scales times -32, by which the values stand for less.
    offsets: __m256i,
    scale: __m512,
}

impl Unpacked {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
    #[inline]
    fn of(weights: &SixBits) -> Self {
        let (four, two) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(0x30));
        // The two bits of a value are shifted to where they belong.
        let left = _mm512_setr_epi64(4, 4, 4, 4, 2, 2, 2, 2);
        let right = _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2);
        let mut values = [_mm512_setzero_si512(); 4];
        let halves = weights.lower.iter().zip(&weights.upper);
        for (values, (lower, upper)) in values.as_chunks_mut::<2>().0.iter_mut().zip(halves) {
            // SAFETY: 64 and 32 bytes.
            let (lower, upper) = unsafe {
                (
                    _mm512_loadu_epi8(lower.as_ptr().cast()),
                    _mm256_loadu_si256(upper.as_ptr().cast()),
                )
            };
            let upper = _mm512_broadcast_i64x4(upper);
            *values = [
                _mm512_or_si512(
                    _mm512_and_si512(lower, four),
                    _mm512_and_si512(_mm512_sllv_epi64(upper, left), two),
                ),
                _mm512_or_si512(
                    _mm512_and_si512(_mm512_srli_epi16::<4>(lower), four),
                    _mm512_and_si512(_mm512_srlv_epi64(upper, right), two),
                ),
            ];
        }
        // SAFETY: 16 bytes.
        let parts = unsafe { _mm_loadu_si128(weights.parts.as_ptr().cast()) };
        // The upper 16 bits of a sum are no more than its sign.
        let words = _mm512_and_si512(_mm512_cvtepi8_epi32(parts), _mm512_set1_epi32(0xffff));
        let mut scales = [_mm512_setzero_si512(); 4];
        let mut index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        for scales in &mut scales {
            *scales = _mm512_permutexvar_epi32(index, words);
            index = _mm512_add_epi32(index, _mm512_set1_epi32(4));
        }
        let times_32 = _mm256_slli_epi16::<5>(_mm256_cvtepi8_epi16(parts));
        let scale = _mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(weights.scale)));
        Self {
            values,
            scales,
            offsets: _mm256_sub_epi16(_mm256_setzero_si256(), times_32),
            scale: _mm512_set1_ps(_mm_cvtss_f32(scale)),
        }
    }
}

/// Products of a row with some tokens of as many blocks.
///
/// # Safety
/// The processor has the instructions ([`instructions`](crate::instructions)).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
pub fn products<const TOKENS: usize>(row: &[SixBits], tokens: [&[Token]; TOKENS]) -> [f32; TOKENS] {
    let mut totals = [_mm512_setzero_ps(); TOKENS];
    for (at, weights) in row.iter().enumerate() {
        let weights = Unpacked::of(weights);
        for (total, token) in totals.iter_mut().zip(tokens) {
            let block = &token[at];
            // SAFETY: 32 bytes.
            let sums = unsafe { _mm256_loadu_si256(block.sums.as_ptr().cast()) };
            let mut sum = _mm512_zextsi256_si512(_mm256_madd_epi16(weights.offsets, sums));
            let scaled = weights.values.into_iter().zip(weights.scales);
            for ((values, scales), token) in scaled.zip(block.values.as_chunks::<8>().0) {
                // SAFETY: 64 bytes.
                let token = unsafe { _mm512_loadu_epi8(token.as_ptr().cast()) };
                let part = _mm512_dpbusd_epi32(_mm512_setzero_si512(), values, token);
                // Both fit in 16 bits: four values of at most 63 and 127.
                sum = _mm512_dpwssd_epi32(sum, part, scales);
            }
            let value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), weights.scale);
            *total = _mm512_fmadd_ps(value, _mm512_set1_ps(block.scale), *total);
        }
    }
    let mut all = [0.0; TOKENS];
    for (all, total) in all.iter_mut().zip(totals) {
        *all = _mm512_reduce_add_ps(total);
    }
    all
}
