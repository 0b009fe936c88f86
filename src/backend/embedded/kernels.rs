//! Our own matrix kernels, which are a crate so that they are fast in debug builds, too.

pub(super) use ghostline_kernels::{instructions, without};

#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod tests;
