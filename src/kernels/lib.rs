//! Matrix kernels in the place of llama.cpp's, where the processor can do better.
//!
//! A prompt's time is that of its matrix products. llama.cpp multiplies the four-bit weights of a `Q4_K_M`
//! model with instructions that all processors since 2013 have; later ones multiply bytes and add them up by
//! four at once (VNNI). It has such kernels too, but for another layout of the weights, with which an answer
//! takes nearly twice as long. Qwen2.5-Coder 1.5B, two threads of an AMD EPYC, milliseconds a step of so many
//! tokens, llama.cpp's and ours (November 2026):
//!
//! | tokens | 1 | 2 | 3 | 4 | 8 | 16 | 32 | 64 | 128 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | llama.cpp | 40 | 55 | 77 | 101 | 190 | 210 | 400 | 740 | 1,500 |
//! | here | 34 | 48 | 57 | 55 | 92 | 148 | 272 | 520 | 950 |
//!
//! The linker puts the functions of `wrapped` in the place of llama.cpp's (`--wrap`, `src/build.rs`); on
//! another processor they call the original. The layouts are llama.cpp's: the version of its crate is fixed,
//! and a test compares both. Sums of integers are exact here and there; those of floats are taken in another
//! order.
//!
//! Invariant: what a token comes to does not depend on how many are multiplied with it, up to
//! `wrapped::MOST_TOKENS`.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod blocks;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod four_bits;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod six_bits;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod wrapped;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether llama.cpp is to use its own.
static OFF: AtomicBool = AtomicBool::new(false);

/// Whether the processor can do it, and may.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub fn in_use() -> bool {
    !OFF.load(Relaxed)
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("f16c")
}

/// Elsewhere there are none.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub fn in_use() -> bool {
    false
}

/// Lets llama.cpp compute by itself while `work` is done, in all of this process.
pub fn without<T>(work: impl FnOnce() -> T) -> T {
    let was_off = OFF.swap(true, Relaxed);
    let done = work();
    OFF.store(was_off, Relaxed);
    done
}
