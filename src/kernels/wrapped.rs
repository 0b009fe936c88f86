//! llama.cpp's functions, as its objects call them.
//!
//! Each of its threads calls them for a share of a product.
#![expect(unsafe_code, reason = "functions of the C interface")]
#![expect(
    clippy::many_single_char_names,
    reason = "the names and parameters are llama.cpp's"
)]
#![expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "sizes of what is in memory"
)]

use std::ffi::{c_int, c_void};
use std::{array, slice};

use llama_cpp_sys_2::{GGML_TYPE_F32, GGML_TYPE_Q6_K, GGML_TYPE_Q8_K, ggml_tensor, ggml_type};

use crate::blocks::{BLOCK, FourBits, ROWS, SixBits, TOKENS, Token, Tokens};
use crate::{Instructions, avx2, instructions, vnni};

/// Up to so many tokens our kernels of six-bit weights are used. With more of them llama.cpp's own, which cuts
/// both matrices into tiles, is as quick.
pub const MOST_TOKENS: usize = 48;

/// Up to so many cells of context one thread attends for a whole head: those of what is typed.
const MOST_CELLS: i64 = 4096;

/// Rows of six-bit weights that a thread takes at once.
const SHARE_ROWS: usize = 32;

/// `ggml_compute_params`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Params {
    thread: c_int,
    threads: c_int,
    work_bytes: usize,
    work: *mut c_void,
    pool: *mut c_void,
    use_ref: bool,
}

unsafe extern "C" {
    /// llama.cpp's own [`__wrap_ggml_gemm_q4_K_8x8_q8_K`].
    pub fn __real_ggml_gemm_q4_K_8x8_q8_K(
        n: c_int,
        s: *mut f32,
        bs: usize,
        vx: *const c_void,
        vy: *const c_void,
        nr: c_int,
        nc: c_int,
    );
    /// llama.cpp's own [`__wrap_ggml_gemv_q4_K_8x8_q8_K`].
    pub fn __real_ggml_gemv_q4_K_8x8_q8_K(
        n: c_int,
        s: *mut f32,
        bs: usize,
        vx: *const c_void,
        vy: *const c_void,
        nr: c_int,
        nc: c_int,
    );
    fn __real_ggml_compute_forward_mul_mat_tiled(
        params: *const Params,
        dst: *mut ggml_tensor,
    ) -> bool;
    fn __real_llamafile_sgemm(
        params: *const Params,
        m: i64,
        n: i64,
        k: i64,
        a: *const c_void,
        lda: i64,
        b: *const c_void,
        ldb: i64,
        c: *mut c_void,
        ldc: i64,
        a_type: c_int,
        b_type: c_int,
        c_type: c_int,
    ) -> bool;
    fn __real_ggml_compute_forward_flash_attn_ext(params: *const Params, dst: *mut ggml_tensor);
    fn ggml_barrier(pool: *mut c_void);
    fn ggml_threadpool_chunk_add(pool: *mut c_void, value: c_int) -> c_int;
    fn ggml_threadpool_chunk_set(pool: *mut c_void, value: c_int);
}

/// Products of `nc` rows of four-bit weights with `nr` tokens of `n` values each: that of row `c` and token `r`
/// is put in `s[r * bs + c]`.
///
/// # Safety
/// The layouts are those of [`crate::blocks`], `nc` is divisible by eight and `nr` by four, and nobody else
/// writes or reads what is written here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_ggml_gemm_q4_K_8x8_q8_K(
    n: c_int,
    s: *mut f32,
    bs: usize,
    vx: *const c_void,
    vy: *const c_void,
    nr: c_int,
    nc: c_int,
) {
    let Some(instructions) = instructions() else {
        // SAFETY: what was promised.
        return unsafe { __real_ggml_gemm_q4_K_8x8_q8_K(n, s, bs, vx, vy, nr, nc) };
    };
    let blocks = n as usize / BLOCK;
    // SAFETY: as promised.
    let (weights, tokens) = unsafe {
        (
            slice::from_raw_parts(vx.cast::<FourBits>(), nc as usize / ROWS * blocks),
            slice::from_raw_parts(vy.cast::<Tokens>(), nr as usize / TOKENS * blocks),
        )
    };
    for (row, weights) in (0..).step_by(ROWS).zip(weights.chunks_exact(blocks)) {
        // What is read of the weights serves sixteen tokens.
        for (token, tokens) in (0..).step_by(4 * TOKENS).zip(tokens.chunks(4 * blocks)) {
            // SAFETY: the processor has them; as promised.
            unsafe {
                let out = s.add(token * bs + row);
                match tokens.len() / blocks {
                    1 => put_groups::<1>(instructions, weights, tokens, out, bs),
                    2 => put_groups::<2>(instructions, weights, tokens, out, bs),
                    3 => put_groups::<3>(instructions, weights, tokens, out, bs),
                    _ => put_groups::<4>(instructions, weights, tokens, out, bs),
                }
            }
        }
    }
}

/// Writes the products of eight rows with each token of these groups every `stride` floats.
unsafe fn put_groups<const GROUPS: usize>(
    instructions: Instructions,
    weights: &[FourBits],
    tokens: &[Tokens],
    out: *mut f32,
    stride: usize,
) {
    let blocks = weights.len();
    let groups = array::from_fn(|group| &tokens[group * blocks..][..blocks]);
    // SAFETY: the processor has them.
    let products: [_; GROUPS] = unsafe {
        match instructions {
            Instructions::Avx2 => avx2::four_bits::products(weights, groups),
            Instructions::Vnni => vnni::four_bits::products(weights, groups),
        }
    };
    for (token, products) in products.as_flattened().iter().enumerate() {
        // SAFETY: so much may be written there.
        unsafe {
            out.add(token * stride)
                .cast::<[f32; ROWS]>()
                .write(*products);
        }
    }
}

/// Products of `nc` rows of four-bit weights with one token of `n` values: that of row `c` is put in `s[c]`.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_ggml_gemv_q4_K_8x8_q8_K(
    n: c_int,
    s: *mut f32,
    bs: usize,
    vx: *const c_void,
    vy: *const c_void,
    nr: c_int,
    nc: c_int,
) {
    let Some(instructions) = instructions() else {
        // SAFETY: what was promised.
        return unsafe { __real_ggml_gemv_q4_K_8x8_q8_K(n, s, bs, vx, vy, nr, nc) };
    };
    let (blocks, rows) = (n as usize / BLOCK, nc as usize / ROWS);
    // SAFETY: as promised.
    let (weights, token, out) = unsafe {
        (
            slice::from_raw_parts(vx.cast::<FourBits>(), rows * blocks),
            slice::from_raw_parts(vy.cast::<Token>(), blocks),
            slice::from_raw_parts_mut(s.cast::<[f32; ROWS]>(), rows),
        )
    };
    for (weights, out) in weights.chunks_exact(blocks).zip(out) {
        // SAFETY: the processor has them.
        *out = unsafe {
            match instructions {
                Instructions::Avx2 => avx2::four_bits::product(weights, token),
                Instructions::Vnni => vnni::four_bits::product(weights, token),
            }
        };
    }
}

/// Computes a product in tiles, unless [`__wrap_llamafile_sgemm`] is to.
///
/// # Safety
/// `dst` is a product of two matrices.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_ggml_compute_forward_mul_mat_tiled(
    params: *const Params,
    dst: *mut ggml_tensor,
) -> bool {
    // SAFETY: as promised.
    unsafe {
        let (weights, tokens) = (&*(*dst).src[0], &*(*dst).src[1]);
        let is_ours = weights.type_ == GGML_TYPE_Q6_K
            && usize::try_from(tokens.ne[1]).is_ok_and(|tokens| tokens <= MOST_TOKENS);
        if is_ours && instructions().is_some() {
            return false;
        }
        __real_ggml_compute_forward_mul_mat_tiled(params, dst)
    }
}

/// Attends. llama.cpp lets its threads share the context of a single token, so that the sums depend on how many
/// threads and tokens there are; here each head's are taken by one, as for several tokens.
///
/// # Safety
/// `dst` attends with its sources.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_ggml_compute_forward_flash_attn_ext(
    params: *const Params,
    dst: *mut ggml_tensor,
) {
    // SAFETY: as promised.
    unsafe {
        let (tokens, cells) = ((*(*dst).src[0]).ne[1], (*(*dst).src[1]).ne[1]);
        if tokens == 1 && cells <= MOST_CELLS && instructions().is_some() {
            // Neither shares of the context nor tiles, which no single token has.
            let params = Params {
                use_ref: true,
                ..*params
            };
            return __real_ggml_compute_forward_flash_attn_ext(&raw const params, dst);
        }
        __real_ggml_compute_forward_flash_attn_ext(params, dst);
    }
}

/// Products of `m` rows with `n` tokens of `k` blocks each, which begin every `lda` and `ldb` blocks: that of
/// row `i` and token `j` is put in `c[j * ldc + i]`. `false` where this is not known for such types.
///
/// # Safety
/// The layouts are those that the types say, and only other threads of the same product write there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_llamafile_sgemm(
    params: *const Params,
    m: i64,
    n: i64,
    k: i64,
    a: *const c_void,
    lda: i64,
    b: *const c_void,
    ldb: i64,
    c: *mut c_void,
    ldc: i64,
    a_type: c_int,
    b_type: c_int,
    c_type: c_int,
) -> bool {
    let types = [a_type, b_type, c_type].map(|of| of as ggml_type);
    let is_ours = types == [GGML_TYPE_Q6_K, GGML_TYPE_Q8_K, GGML_TYPE_F32];
    let Some(instructions) = instructions().filter(|_| is_ours) else {
        // SAFETY: what was promised.
        return unsafe {
            __real_llamafile_sgemm(
                params, m, n, k, a, lda, b, ldb, c, ldc, a_type, b_type, c_type,
            )
        };
    };
    let product = SixBitProduct {
        instructions,
        weights: a.cast(),
        tokens: b.cast(),
        out: c.cast(),
        blocks: k as usize,
        weights_stride: lda as usize,
        tokens_stride: ldb as usize,
        out_stride: ldc as usize,
    };
    let (rows, tokens) = (m as usize, n as usize);
    // SAFETY: as promised.
    let params = unsafe { &*params };
    // Each thread begins with its own share. A product of several matrices comes here once for each.
    // SAFETY: all threads of the pool come here.
    unsafe {
        if params.thread == 0 {
            ggml_threadpool_chunk_set(params.pool, params.threads);
        }
        ggml_barrier(params.pool);
    }
    let mut share = params.thread as usize;
    while share * SHARE_ROWS < rows {
        for row in share * SHARE_ROWS..rows.min((share + 1) * SHARE_ROWS) {
            let mut token = 0;
            while token < tokens {
                // SAFETY: as promised, and the processor has them.
                token += unsafe {
                    match tokens - token {
                        1 => product.put::<1>(row, token),
                        2 => product.put::<2>(row, token),
                        3 => product.put::<3>(row, token),
                        4 => product.put::<4>(row, token),
                        5 => product.put::<5>(row, token),
                        6 => product.put::<6>(row, token),
                        7 => product.put::<7>(row, token),
                        _ => product.put::<8>(row, token),
                    }
                };
            }
        }
        // SAFETY: as above.
        share = unsafe { ggml_threadpool_chunk_add(params.pool, 1) } as usize;
    }
    // SAFETY: as above.
    unsafe { ggml_barrier(params.pool) };
    true
}

/// Where the parts of a product are, and how far apart.
struct SixBitProduct {
    instructions: Instructions,
    weights: *const SixBits,
    tokens: *const Token,
    out: *mut f32,
    blocks: usize,
    weights_stride: usize,
    tokens_stride: usize,
    out_stride: usize,
}

impl SixBitProduct {
    /// Puts the products of a row with some tokens in their places, and says how many.
    unsafe fn put<const TOKENS: usize>(&self, row: usize, token: usize) -> usize {
        // SAFETY: as promised.
        unsafe {
            let weights = self.weights.add(row * self.weights_stride);
            let weights = slice::from_raw_parts(weights, self.blocks);
            let tokens = array::from_fn(|at| {
                let token = self.tokens.add((token + at) * self.tokens_stride);
                slice::from_raw_parts(token, self.blocks)
            });
            let products: [f32; TOKENS] = match self.instructions {
                Instructions::Avx2 => avx2::six_bits::products(weights, tokens),
                Instructions::Vnni => vnni::six_bits::products(weights, tokens),
            };
            for (at, product) in products.into_iter().enumerate() {
                self.out
                    .add((token + at) * self.out_stride + row)
                    .write(product);
            }
        }
        TOKENS
    }
}
