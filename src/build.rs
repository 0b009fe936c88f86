//! Puts the kernels of `src/kernels` in the place of llama.cpp's.
//!
//! Holds for this package's programs, tests and examples; a doc test that links the engine would not link.

use std::env;

/// llama.cpp's functions that call ours where they are called.
const WRAPPED: [&str; 5] = [
    "ggml_gemm_q4_K_8x8_q8_K",
    "ggml_gemv_q4_K_8x8_q8_K",
    "ggml_compute_forward_flash_attn_ext",
    "ggml_compute_forward_mul_mat_tiled",
    "llamafile_sgemm",
];

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    let target = |name: &str, value: &str| env::var(name).is_ok_and(|is| is == value);
    if env::var_os("CARGO_FEATURE_EMBEDDED").is_some()
        && target("CARGO_CFG_TARGET_ARCH", "x86_64")
        && target("CARGO_CFG_TARGET_OS", "linux")
    {
        for function in WRAPPED {
            println!("cargo::rustc-link-arg=-Wl,--wrap={function}");
        }
    }
}
