//! Products of blocks by chance are those of llama.cpp, and do not depend on what is multiplied with them.

#![expect(unsafe_code, reason = "functions of the C interface")]

use std::ffi::{c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{array, ptr};

use half::f16;
use proptest::prelude::*;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng as _;

use ghostline_kernels::blocks::{BLOCK, FourBits, ROWS, SixBits, TOKENS, Token, Tokens};
use ghostline_kernels::wrapped::{
    __real_ggml_gemm_q4_K_8x8_q8_K, __real_ggml_gemv_q4_K_8x8_q8_K, __wrap_ggml_gemm_q4_K_8x8_q8_K,
    __wrap_ggml_gemv_q4_K_8x8_q8_K,
};
use ghostline_kernels::{Instructions, avx2, instructions, vnni, without};

unsafe extern "C" {
    /// Fills tables that the next needs.
    fn ggml_cpu_init();
    /// llama.cpp's product of a row of six-bit weights with a token.
    fn ggml_vec_dot_q6_K_q8_K(
        n: c_int,
        s: *mut f32,
        bs: usize,
        vx: *const c_void,
        bx: usize,
        vy: *const c_void,
        by: usize,
        nrc: c_int,
    );
    fn ggml_init(params: InitParams) -> *mut c_void;
    fn ggml_free(context: *mut c_void);
    fn ggml_new_tensor_3d(
        context: *mut c_void,
        of: c_int,
        ne0: i64,
        ne1: i64,
        ne2: i64,
    ) -> *mut c_void;
    fn ggml_get_data(tensor: *const c_void) -> *mut c_void;
    fn ggml_mul_mat(context: *mut c_void, a: *mut c_void, b: *mut c_void) -> *mut c_void;
    fn ggml_flash_attn_ext(
        context: *mut c_void,
        q: *mut c_void,
        k: *mut c_void,
        v: *mut c_void,
        mask: *mut c_void,
        scale: f32,
        max_bias: f32,
        logit_softcap: f32,
    ) -> *mut c_void;
    fn ggml_new_graph(context: *mut c_void) -> *mut c_void;
    fn ggml_build_forward_expand(graph: *mut c_void, tensor: *mut c_void);
    fn ggml_graph_compute_with_ctx(
        context: *mut c_void,
        graph: *mut c_void,
        threads: c_int,
    ) -> c_int;
}

/// Whoever calls what llama.cpp calls, or switches it, does so alone.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `ggml_init_params`.
#[repr(C)]
struct InitParams {
    bytes: usize,
    buffer: *mut c_void,
    no_alloc: bool,
}

/// `ggml_type`.
const F32: c_int = 0;
const F16: c_int = 1;
const Q6_K: c_int = 14;

/// Tensors of llama.cpp, all freed together.
struct Graph(*mut c_void);

impl Graph {
    fn new() -> Self {
        let params = InitParams {
            bytes: 64 << 20,
            buffer: ptr::null_mut(),
            no_alloc: false,
        };
        // SAFETY: `drop` frees it.
        unsafe {
            ggml_cpu_init();
            Self(ggml_init(params))
        }
    }

    /// A tensor of that shape with this in it.
    fn tensor<T>(&self, of: c_int, shape: [usize; 3], values: &[T]) -> *mut c_void {
        let [a, b, c] = shape.map(|size| i64::try_from(size).expect("small"));
        // SAFETY: the callers' shapes hold so many values.
        unsafe {
            let tensor = ggml_new_tensor_3d(self.0, of, a, b, c);
            ptr::copy_nonoverlapping(values.as_ptr(), ggml_get_data(tensor).cast(), values.len());
            tensor
        }
    }

    /// The first values of a tensor, computed with two threads.
    fn computed(&self, tensor: *mut c_void, count: usize) -> Vec<f32> {
        // SAFETY: the tensor is of this graph and holds so many.
        unsafe {
            let graph = ggml_new_graph(self.0);
            ggml_build_forward_expand(graph, tensor);
            assert_eq!(ggml_graph_compute_with_ctx(self.0, graph, 2), 0);
            std::slice::from_raw_parts(ggml_get_data(tensor).cast(), count).to_vec()
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made by `new`.
        unsafe { ggml_free(self.0) };
    }
}

/// What llama.cpp comes to for three matrices of `rows` rows of six-bit weights.
fn products_of_three(weights: &[SixBits], tokens: &[f32], rows: usize, count: usize) -> Vec<f32> {
    let graph = Graph::new();
    let a = graph.tensor(Q6_K, [BLOCK, rows, 3], weights);
    let b = graph.tensor(F32, [BLOCK, count, 3], tokens);
    // SAFETY: the shapes fit.
    let product = unsafe { ggml_mul_mat(graph.0, a, b) };
    graph.computed(product, 3 * rows * count)
}

#[test]
fn a_token_attends_as_beside_others() {
    let (width, heads, cells) = (64, 2, 512);
    let mut chance = Chance(Pcg64Mcg::seed_from_u64(1));
    let mut halves = || -> Vec<u16> {
        let count = width * cells * heads;
        let value = |byte: u8| f16::from_f32(f32::from(byte.cast_signed()) / 32.0).to_bits();
        (0..count).map(|_| value(chance.bytes::<1>()[0])).collect()
    };
    let (keys, values) = (halves(), halves());
    // Of each head, each token's; all tokens are alike.
    let query: Vec<f32> = halves()[..width]
        .iter()
        .map(|&bits| f16::from_bits(bits).to_f32())
        .collect();
    let attended = |count: usize| {
        let graph = Graph::new();
        let q = graph.tensor(F32, [width, count, heads], &query.repeat(count * heads));
        let k = graph.tensor(F16, [width, cells, heads], &keys);
        let v = graph.tensor(F16, [width, cells, heads], &values);
        // SAFETY: the shapes fit, and a mask is not needed.
        let all =
            unsafe { ggml_flash_attn_ext(graph.0, q, k, v, ptr::null_mut(), 0.125, 0.0, 0.0) };
        graph.computed(all, width * heads)
    };
    let _alone = alone();
    if instructions().is_none() {
        return;
    }
    let bits = |all: Vec<f32>| all.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(attended(1)), bits(attended(4)));
}

#[test]
fn every_matrix_of_several_is_multiplied_whole() {
    let mut chance = Chance(Pcg64Mcg::seed_from_u64(1));
    let (rows, count) = (200, 5);
    let weights: Vec<_> = (0..3 * rows).map(|_| chance.six_bits()).collect();
    let tokens: Vec<f32> = (0..3 * count * BLOCK)
        .map(|_| f32::from(chance.bytes::<1>()[0].cast_signed()))
        .collect();
    let _alone = alone();
    let ours = products_of_three(&weights, &tokens, rows, count);
    let theirs = without(|| products_of_three(&weights, &tokens, rows, count));
    assert_close(&ours, &theirs);
}

/// Blocks of which every bit is by chance, as far as they are such blocks.
struct Chance(Pcg64Mcg);

impl Chance {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// In half precision.
    fn scale(&mut self) -> u16 {
        let [scale] = self.bytes::<1>().map(u8::cast_signed);
        f16::from_f32(f32::from(scale) / 4096.0).to_bits()
    }

    fn four_bits(&mut self) -> FourBits {
        FourBits {
            scale: array::from_fn(|_| self.scale()),
            low: array::from_fn(|_| self.scale()),
            parts: array::from_fn(|_| self.bytes()),
            values: array::from_fn(|_| array::from_fn(|_| self.bytes())),
        }
    }

    fn six_bits(&mut self) -> SixBits {
        SixBits {
            lower: array::from_fn(|_| self.bytes()),
            upper: array::from_fn(|_| self.bytes()),
            parts: self.bytes().map(u8::cast_signed),
            scale: self.scale(),
        }
    }

    /// In one of four, all values are the greatest there are.
    fn token(&mut self) -> Token {
        let values: [u8; BLOCK] = match self.bytes() {
            [0..32] => [127; BLOCK],
            [32..64] => [127_u8.wrapping_neg(); BLOCK],
            // There is no -128.
            [_] => self.bytes().map(|byte| if byte == 128 { 0 } else { byte }),
        };
        let mut token = Token {
            scale: f32::from(self.bytes::<1>()[0]) / 1000.0,
            values: [[0; 8]; 32],
            sums: [0; 16],
        };
        token.values.as_flattened_mut().copy_from_slice(&values);
        for (sum, values) in token.sums.iter_mut().zip(values.chunks(16)) {
            *sum = values
                .iter()
                .map(|&value| i16::from(value.cast_signed()))
                .sum();
        }
        token
    }
}

/// Four tokens as they are laid out together.
fn together(tokens: [&Token; TOKENS]) -> Tokens {
    Tokens {
        scale: tokens.map(|token| token.scale),
        values: array::from_fn(|eight| tokens.map(|token| token.values[eight])),
        sums: array::from_fn(|pair| {
            tokens.map(|token| array::from_fn(|at| token.sums[4 * pair + at]))
        }),
    }
}

/// The same to within what the order of some sums comes to.
fn assert_close(ours: &[f32], theirs: &[f32]) {
    let greatest = theirs
        .iter()
        .fold(1.0_f32, |most, value| most.max(value.abs()));
    assert_within(1e-5 * greatest, ours, theirs);
}

fn assert_within(bound: f32, ours: &[f32], theirs: &[f32]) {
    for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((ours - theirs).abs() <= bound, "{at}: {ours} {theirs}");
    }
}

/// The most that a product of these can be. Sums whose terms cancel each other are far below it, and as
/// inexact as any.
fn most(row: &[SixBits], tokens: &[Token]) -> f32 {
    let values = |block: &SixBits| -> f32 {
        let parts = block.parts.iter().map(|&part| f32::from(part).abs());
        f16::from_bits(block.scale).to_f32().abs() * 16.0 * 32.0 * 127.0 * parts.sum::<f32>()
    };
    let scale = tokens.iter().map(|token| token.scale).fold(0.0, f32::max);
    scale * row.iter().map(values).sum::<f32>()
}

/// The instructions that this processor has.
#[expect(clippy::print_stderr, reason = "a test that does less says so")]
fn all_instructions() -> Vec<Instructions> {
    let all = [Instructions::Avx2, Instructions::Vnni];
    let best = instructions();
    if best != all.last().copied() {
        eprintln!("SKIPPED: this processor has {best:?}, kernels of others are not tested");
    }
    let there = |&of: &Instructions| best == Some(of) || best == Some(Instructions::Vnni);
    all.into_iter().filter(there).collect()
}

fn int(value: usize) -> c_int {
    value.try_into().expect("small")
}

type Product =
    unsafe extern "C" fn(c_int, *mut f32, usize, *const c_void, *const c_void, c_int, c_int);

/// What a function puts where for so many tokens, whose lines of the result are three longer than there are
/// rows; what is left alone stays -1.
fn products<T>(
    of: Product,
    weights: &[FourBits],
    tokens: &[T],
    count: usize,
    blocks: usize,
) -> Vec<f32> {
    let rows = weights.len() / blocks * ROWS;
    let mut out = vec![-1.0; (rows + 3) * count];
    let (weights, tokens) = (ptr::from_ref(weights), ptr::from_ref(tokens));
    // SAFETY: all of it is there, and laid out like that.
    unsafe {
        of(
            int(blocks * BLOCK),
            out.as_mut_ptr(),
            rows + 3,
            weights.cast(),
            tokens.cast(),
            int(count),
            int(rows),
        );
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn products_of_four_bits_are_those_of_llama_cpp(
        seed in any::<u64>(),
        blocks in 1_usize..4,
        eights in 1_usize..4,
        fours in 1_usize..7,
    ) {
        let mut chance = Chance(Pcg64Mcg::seed_from_u64(seed));
        let weights: Vec<_> = (0..eights * blocks).map(|_| chance.four_bits()).collect();
        let count = fours * TOKENS;
        let tokens: Vec<_> = (0..count * blocks).map(|_| chance.token()).collect();
        let groups: Vec<_> = (0..fours * blocks)
            .map(|at| {
                let (group, block) = (at / blocks, at % blocks);
                together(array::from_fn(|token| &tokens[(group * TOKENS + token) * blocks + block]))
            })
            .collect();
        let _alone = alone();
        let ours = products(__wrap_ggml_gemm_q4_K_8x8_q8_K, &weights, &groups, count, blocks);
        let theirs = products(__real_ggml_gemm_q4_K_8x8_q8_K, &weights, &groups, count, blocks);
        assert_close(&ours, &theirs);
        for (token, with_others) in tokens.chunks(blocks).zip(ours.chunks(ours.len() / count)) {
            let ours = products(__wrap_ggml_gemv_q4_K_8x8_q8_K, &weights, token, 1, blocks);
            let theirs = products(__real_ggml_gemv_q4_K_8x8_q8_K, &weights, token, 1, blocks);
            assert_close(&ours, &theirs);
            // To the last bit.
            prop_assert_eq!(&ours[..], with_others);
        }
        for of in all_instructions() {
            let token = &tokens[..blocks];
            // SAFETY: the processor has them.
            let (four, alone) = unsafe {
                let (weights, group) = (&weights[..blocks], &groups[..blocks]);
                match of {
                    Instructions::Avx2 => (
                        avx2::four_bits::products(weights, [group]),
                        avx2::four_bits::product(weights, token),
                    ),
                    Instructions::Vnni => (
                        vnni::four_bits::products(weights, [group]),
                        vnni::four_bits::product(weights, token),
                    ),
                }
            };
            prop_assert_eq!(four[0][0].map(f32::to_bits), alone.map(f32::to_bits), "{:?}", of);
            assert_close(&alone, &theirs[..ROWS]);
        }
    }

    #[test]
    fn products_of_six_bits_are_those_of_llama_cpp(seed in any::<u64>(), blocks in 1_usize..4) {
        let mut chance = Chance(Pcg64Mcg::seed_from_u64(seed));
        let row: Vec<_> = (0..blocks).map(|_| chance.six_bits()).collect();
        let tokens: Vec<_> = (0..8 * blocks).map(|_| chance.token()).collect();
        let token = |at: usize| &tokens[at * blocks..][..blocks];
        let theirs: [f32; 8] = array::from_fn(|at| {
            let mut product = 0.0;
            let (row, token) = (row.as_ptr().cast(), token(at).as_ptr().cast());
            // SAFETY: all of it is there, and laid out like that.
            unsafe {
                ggml_cpu_init();
                let values = int(blocks * BLOCK);
                ggml_vec_dot_q6_K_q8_K(values, &raw mut product, 0, row, 0, token, 0, 1);
            }
            product
        });
        let _alone = alone();
        for of in all_instructions() {
            // SAFETY: the processor has them.
            let (all, five, alone) = unsafe {
                match of {
                    Instructions::Avx2 => (
                        avx2::six_bits::products::<8>(&row, array::from_fn(token)),
                        avx2::six_bits::products::<5>(&row, array::from_fn(token)),
                        array::from_fn(|at| avx2::six_bits::products(&row, [token(at)])[0]),
                    ),
                    Instructions::Vnni => (
                        vnni::six_bits::products::<8>(&row, array::from_fn(token)),
                        vnni::six_bits::products::<5>(&row, array::from_fn(token)),
                        array::from_fn(|at| vnni::six_bits::products(&row, [token(at)])[0]),
                    ),
                }
            };
            assert_within(1e-6 * most(&row, &tokens), &all, &theirs);
            // To the last bit.
            let alone: [u32; 8] = alone.map(f32::to_bits);
            prop_assert_eq!(all.map(f32::to_bits), alone, "{:?}", of);
            prop_assert_eq!(&five.map(f32::to_bits)[..], &alone[..5], "{:?}", of);
        }
    }
}
