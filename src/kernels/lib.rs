//! Matrix kernels in the place of llama.cpp's, where the processor can do better.
//!
//! A prompt's time is that of its matrix products. llama.cpp lays the four-bit weights of a `Q4_K_M` model out so
//! that an answer's are quick, and spends most of a prompt's on bringing what it loads into the order that its
//! kernel wants. The ones here take it as it is, and where the processor has them instructions that multiply
//! bytes and add them up by four (VNNI). llama.cpp has such kernels too, but for another layout, with which an
//! answer takes nearly twice as long. Qwen2.5-Coder 1.5B, two threads of an AMD EPYC with VNNI, milliseconds a
//! step of so many tokens, the best of three in one run (November 2026):
//!
//! | tokens | 1 | 2 | 3 | 4 | 8 | 16 | 32 | 64 | 128 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | llama.cpp | 43 | 64 | 84 | 105 | 229 | 262 | 439 | 779 | 1,500 |
//! | AVX2 | 41 | 58 | 75 | 64 | 111 | 193 | 375 | 650 | 1,193 |
//! | VNNI | 44 | 53 | 65 | 65 | 96 | 150 | 274 | 528 | 946 |
//!
//! The linker puts the functions of `wrapped` in the place of llama.cpp's (`--wrap`, `src/build.rs`); where there
//! is nothing for the processor they call the original. The layouts are llama.cpp's: the version of its crate is
//! fixed, and a test compares both. Sums of integers are exact here and there; those of floats are taken in
//! another order.
//!
//! Invariant: what a token comes to does not depend on how many are multiplied with it, up to
//! `wrapped::MOST_TOKENS`.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod avx2;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod blocks;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod vnni;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod wrapped;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether llama.cpp is to use its own.
static OFF: AtomicBool = AtomicBool::new(false);

/// Instructions that there are kernels for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// AVX2, FMA and F16C: most processors since 2015.
    Avx2,
    /// AVX-512 with VNNI.
    Vnni,
}

/// The best ones that the processor has; `None` where llama.cpp is to use its own kernels.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub fn instructions() -> Option<Instructions> {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    let vnni = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni");
    if OFF.load(Relaxed) || !avx2 {
        None
    } else if vnni {
        Some(Instructions::Vnni)
    } else {
        Some(Instructions::Avx2)
    }
}

/// Elsewhere there are none.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub fn instructions() -> Option<Instructions> {
    None
}

/// Lets llama.cpp compute by itself while `work` is done, in all of this process. Nothing else may compute
/// meanwhile: a product that begins one way and ends the other is wrong.
pub fn without<T>(work: impl FnOnce() -> T) -> T {
    struct On;
    impl Drop for On {
        fn drop(&mut self) {
            OFF.store(false, Relaxed);
        }
    }
    OFF.store(true, Relaxed);
    let _on_again = On;
    work()
}
