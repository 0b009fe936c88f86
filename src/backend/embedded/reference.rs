//! llama.cpp alone, driven as its own benchmark tool drives it: what the engine's speed is held against.
//!
//! Called by `bench load`. One context, one prompt in one batch, then one token after the other, with
//! nothing of ours in between and with llama.cpp's own kernels. Source: `tools/llama-bench/llama-bench.cpp` of
//! llama.cpp, `test_prompt` and `test_gen`, November 2026.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::speed::BATCH_TOKENS;
use super::{kernels, weights};

/// What llama.cpp reaches by itself.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Reference {
    /// Of a prompt in one batch.
    pub prompt_tokens_per_second: f64,
    /// Of an answer.
    pub decode_tokens_per_second: f64,
}

/// Measures `prompt_tokens` (at most 512) of prompt and `decode_tokens` of answer. Blocks, for seconds.
///
/// # Errors
/// What is wrong with the file, or what llama.cpp says.
pub fn reference(
    file: &Path,
    threads: usize,
    prompt_tokens: usize,
    decode_tokens: usize,
) -> Result<Reference, String> {
    kernels::without(|| measured(file, threads, prompt_tokens, decode_tokens))
}

fn measured(
    file: &Path,
    threads: usize,
    prompt_tokens: usize,
    decode_tokens: usize,
) -> Result<Reference, String> {
    let prompt_tokens = prompt_tokens.clamp(1, BATCH_TOKENS);
    let context_tokens = u32::try_from(prompt_tokens + decode_tokens).unwrap_or(u32::MAX);
    let plan = weights::plan(file, context_tokens)?;
    let model = weights::load("the reference", &plan, |_| true)?;
    let threads = i32::try_from(threads).unwrap_or(i32::MAX);
    let batch_tokens = u32::try_from(BATCH_TOKENS).unwrap_or(u32::MAX);
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(context_tokens))
        .with_n_batch(batch_tokens)
        .with_n_ubatch(batch_tokens)
        .with_n_threads(threads)
        .with_n_threads_batch(threads);
    let mut context = model
        .new_context(weights::backend()?, params)
        .map_err(|error| error.to_string())?;
    let vocabulary = model.n_vocab();
    let mut next = 1;
    // Any tokens will do, as there.
    let mut token = || {
        next = (next * 31 + 7) % vocabulary;
        LlamaToken::new(next)
    };
    let mut decode = |context: &mut LlamaContext<'_>, start: usize, count: usize| {
        let mut batch = LlamaBatch::new(count, 1);
        for at in 0..count {
            let position = i32::try_from(start + at).unwrap_or(i32::MAX);
            let added = batch.add(token(), position, &[0], at + 1 == count);
            added.map_err(|error| error.to_string())?;
        }
        let decoded = context.decode(&mut batch);
        context.synchronize();
        decoded.map_err(|error| error.to_string())
    };
    // Not counted: reads what is mapped.
    decode(&mut context, 0, 1)?;
    context.clear_kv_cache();
    let started = Instant::now();
    decode(&mut context, 0, prompt_tokens)?;
    let prompt_seconds = started.elapsed().as_secs_f64();
    context.clear_kv_cache();
    let started = Instant::now();
    for at in 0..decode_tokens {
        decode(&mut context, at, 1)?;
    }
    let decode_seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "some hundred tokens")]
    let rate = |tokens: usize, seconds: f64| tokens as f64 / seconds.max(1e-9);
    Ok(Reference {
        prompt_tokens_per_second: rate(prompt_tokens, prompt_seconds),
        decode_tokens_per_second: rate(decode_tokens, decode_seconds),
    })
}
