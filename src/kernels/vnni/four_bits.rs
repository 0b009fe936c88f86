//! Products of eight rows of four-bit weights at once.
//!
//! A vector holds eight values of each of eight rows. An instruction multiplies them with eight values of a
//! token and adds them up by four, so that each row has two sums until the end.
#![expect(unsafe_code, reason = "vector instructions read and write memory")]
#![allow(clippy::wildcard_imports, reason = "some seventy instructions")]

use std::arch::x86_64::*;

use crate::blocks::{FourBits, ROWS, TOKENS, Token, Tokens};

/// Scales and lows of a block of weights.
struct Scales {
    /// Of each row, twice.
    scale: __m512,
    low: __m512,
    /// Of each part, those of the eight rows.
    parts: [[u8; ROWS]; 8],
    /// Lows of four parts of each row, 16 bits each: of the first four and of the others.
    lows: [__m512i; 2],
}

impl Scales {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
    #[inline]
    fn of(weights: &FourBits) -> Self {
        // Each part has three words: scales of rows 0 to 3, lows of these, and the lower bits of both of rows
        // 4 to 7, the upper ones of which are in the two other words.
        let words = weights.parts.as_flattened().as_ptr();
        // SAFETY: there are 24 words.
        let (first, rest) = unsafe {
            (
                _mm512_loadu_si512(words.cast()),
                _mm256_loadu_si256(words.add(64).cast()),
            )
        };
        let rest = _mm512_castsi256_si512(rest);
        let thirds = _mm512_castsi256_si512(_mm256_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21));
        let one = _mm512_set1_epi32(1);
        let scales = _mm512_permutex2var_epi32(first, thirds, rest);
        let thirds = _mm512_add_epi32(thirds, one);
        let lows = _mm512_permutex2var_epi32(first, thirds, rest);
        let thirds = _mm512_add_epi32(thirds, one);
        let lower = _mm512_permutex2var_epi32(first, thirds, rest);
        let (six, four, two) = (
            _mm512_set1_epi8(0x3f),
            _mm512_set1_epi8(0x0f),
            _mm512_set1_epi8(0x30),
        );
        let scales = in_order(
            _mm512_and_si512(scales, six),
            _mm512_or_si512(
                _mm512_and_si512(lower, four),
                _mm512_and_si512(_mm512_srli_epi32::<2>(scales), two),
            ),
        );
        let lows = in_order(
            _mm512_and_si512(lows, six),
            _mm512_or_si512(
                _mm512_and_si512(_mm512_srli_epi32::<4>(lower), four),
                _mm512_and_si512(_mm512_srli_epi32::<2>(lows), two),
            ),
        );
        let mut parts = [[0; ROWS]; 8];
        // SAFETY: 64 bytes.
        unsafe { _mm512_storeu_epi8(parts.as_mut_ptr().cast(), scales) };
        Self {
            scale: twice(&weights.scale),
            low: twice(&weights.low),
            parts,
            lows: [
                by_row(_mm512_castsi512_si256(lows)),
                by_row(_mm512_extracti64x4_epi64::<1>(lows)),
            ],
        }
    }

    /// A part's scale for each sum, 32 bits.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
    #[inline]
    fn part(&self, part: usize) -> __m512i {
        // In each word, one byte and three zeros.
        let spread = _mm512_setr_epi32(
            -256, -256, -255, -255, -254, -254, -253, -253, -252, -252, -251, -251, -250, -250,
            -249, -249,
        );
        let scales = i64::from_le_bytes(self.parts.get(part).copied().unwrap_or_default());
        _mm512_shuffle_epi8(_mm512_set1_epi64(scales), spread)
    }
}

/// Bytes of rows 0 to 3 and of rows 4 to 7 of eight parts, a word each, part by part.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn in_order(front: __m512i, back: __m512i) -> __m512i {
    let index = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    _mm512_permutex2var_epi32(front, index, back)
}

/// Eight bytes of each of four parts, row by row and 16 bits each.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn by_row(parts: __m256i) -> __m512i {
    let (first, second) = (
        _mm256_castsi256_si128(parts),
        _mm256_extracti128_si256::<1>(parts),
    );
    let first = _mm_unpacklo_epi8(first, _mm_bsrli_si128::<8>(first));
    let second = _mm_unpacklo_epi8(second, _mm_bsrli_si128::<8>(second));
    _mm512_cvtepu8_epi16(_mm256_set_m128i(
        _mm_unpackhi_epi16(first, second),
        _mm_unpacklo_epi16(first, second),
    ))
}

/// Eight numbers of half precision, each twice.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn twice(halves: &[u16; ROWS]) -> __m512 {
    // SAFETY: 16 bytes.
    let halves = unsafe { _mm_loadu_si128(halves.as_ptr().cast()) };
    let index = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    _mm512_permutexvar_ps(index, _mm512_castps256_ps512(_mm256_cvtph_ps(halves)))
}

/// The values of a pair's first or second part.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn values(pair: &[[u8; 64]; 4], second: bool) -> [__m512i; 4] {
    let half = _mm512_set1_epi8(0x0f);
    let mut all = [_mm512_setzero_si512(); 4];
    for (all, bytes) in all.iter_mut().zip(pair) {
        // SAFETY: 64 bytes.
        let bytes = unsafe { _mm512_loadu_epi8(bytes.as_ptr().cast()) };
        let bytes = if second {
            _mm512_srli_epi16::<4>(bytes)
        } else {
            bytes
        };
        *all = _mm512_and_si512(bytes, half);
    }
    all
}

/// `sum` and eight values of each row, times those of a token.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn add_eight(sum: __m512i, weights: __m512i, token: [u8; 8]) -> __m512i {
    _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi64(i64::from_le_bytes(token)))
}

/// `sum` and a part's, times its scales. Both fit in 16 bits: four times four values of at most 15 and 127.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn add_part(sum: __m512i, part: __m512i, scale: __m512i) -> __m512i {
    _mm512_dpwssd_epi32(sum, part, scale)
}

/// `total` and what a block comes to. `part_sums` are sums of a token's values by part, four of 16 bits in each.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn add_block(
    total: __m512,
    scales: &Scales,
    sum: __m512i,
    part_sums: [i64; 2],
    scale: f32,
) -> __m512 {
    let mut low = _mm512_setzero_si512();
    for (lows, sums) in scales.lows.into_iter().zip(part_sums) {
        low = _mm512_dpwssd_epi32(low, lows, _mm512_set1_epi64(sums));
    }
    let value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scales.scale);
    let value = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(low), scales.low, value);
    _mm512_fmadd_ps(value, _mm512_set1_ps(scale), total)
}

/// Each row's two sums together.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn rows(total: __m512) -> [f32; ROWS] {
    let back = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(total));
    let sums = _mm256_hadd_ps(_mm512_castps512_ps256(total), _mm256_castpd_ps(back));
    let sums = _mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(sums));
    let mut rows = [0.0; ROWS];
    // SAFETY: 32 bytes.
    unsafe { _mm256_storeu_pd(rows.as_mut_ptr().cast(), sums) };
    rows
}

/// Products of eight rows with groups of four tokens each, all of as many blocks.
///
/// # Safety
/// The processor has the instructions ([`instructions`](crate::instructions)).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
pub fn products<const GROUPS: usize>(
    weights: &[FourBits],
    groups: [&[Tokens]; GROUPS],
) -> [[[f32; ROWS]; TOKENS]; GROUPS] {
    let mut totals = [[_mm512_setzero_ps(); TOKENS]; GROUPS];
    for (at, weights) in weights.iter().enumerate() {
        let blocks = groups.map(|group| &group[at]);
        let scales = Scales::of(weights);
        let mut sums = [[_mm512_setzero_si512(); TOKENS]; GROUPS];
        for part in 0..8 {
            let scale = scales.part(part);
            let values = values(&weights.values[part / 2], part % 2 == 1);
            for (sums, block) in sums.iter_mut().zip(blocks) {
                let eights = &block.values[4 * part..][..4];
                for (token, sum) in sums.iter_mut().enumerate() {
                    let mut of_part = _mm512_setzero_si512();
                    for (weights, eight) in values.into_iter().zip(eights) {
                        of_part = add_eight(of_part, weights, eight[token]);
                    }
                    *sum = add_part(*sum, of_part, scale);
                }
            }
        }
        for ((totals, sums), block) in totals.iter_mut().zip(sums).zip(blocks) {
            let [first, second] = part_sums(&block.sums);
            for (token, (total, sum)) in totals.iter_mut().zip(sums).enumerate() {
                let part_sums = [first[token], second[token]];
                *total = add_block(*total, &scales, sum, part_sums, block.scale[token]);
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

/// Of each four parts and each token: the sums of its values, four of 16 bits.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
#[inline]
fn part_sums(sums: &[[[i16; 4]; TOKENS]; 4]) -> [[i64; TOKENS]; 2] {
    let by_token = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let mut all = [[0; TOKENS]; 2];
    for (all, pairs) in all.iter_mut().zip(sums.as_chunks::<2>().0) {
        // SAFETY: 64 bytes.
        let pairs = unsafe { _mm512_loadu_epi16(pairs.as_ptr().cast()) };
        let sums = _mm512_cvtepi32_epi16(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
        let sums = _mm256_permutevar8x32_epi32(sums, by_token);
        // SAFETY: 32 bytes.
        unsafe { _mm256_storeu_si256(all.as_mut_ptr().cast(), sums) };
    }
    all
}

/// Products of eight rows with one token of as many blocks.
///
/// # Safety
/// As above.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c")]
pub fn product(weights: &[FourBits], token: &[Token]) -> [f32; ROWS] {
    let mut total = _mm512_setzero_ps();
    for (weights, block) in weights.iter().zip(token) {
        let scales = Scales::of(weights);
        let mut sums = [_mm512_setzero_si512(); 2];
        for (at, pair) in weights.values.iter().enumerate() {
            for (second, sum) in sums.iter_mut().enumerate() {
                let part = 2 * at + second;
                let eights = &block.values[4 * part..][..4];
                let mut of_part = _mm512_setzero_si512();
                for (weights, &eight) in values(pair, second == 1).into_iter().zip(eights) {
                    of_part = add_eight(of_part, weights, eight);
                }
                *sum = add_part(*sum, of_part, scales.part(part));
            }
        }
        let sum = _mm512_add_epi32(sums[0], sums[1]);
        // SAFETY: 32 bytes.
        let halves = unsafe { _mm256_loadu_si256(block.sums.as_ptr().cast()) };
        let part_sums = _mm256_madd_epi16(halves, _mm256_set1_epi16(1));
        let part_sums = _mm256_cvtepi32_epi16(part_sums);
        let part_sums = [
            _mm_cvtsi128_si64(part_sums),
            _mm_extract_epi64::<1>(part_sums),
        ];
        total = add_block(total, &scales, sum, part_sums, block.scale);
    }
    rows(total)
}
