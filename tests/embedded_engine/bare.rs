//! What llama.cpp does with a few tokens at once: whether checking a draft of two or three tokens could
//! pay, and whether it would change an answer. Prints figures. Run it alone, because the engine sets
//! llama.cpp up as well: `cargo test --test embedded_engine -- --ignored bare::`.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

/// Tokens of each way.
const TOKENS: usize = 48;
/// Contexts in front of them: llama.cpp's attention takes another way from 512 cells on.
const PROMPTS_TOKENS: [usize; 2] = [64, 700];

#[expect(clippy::unused_async, reason = "the cases of the table are async")]
pub(crate) async fn small_batches(weights: &Path) {
    let backend = LlamaBackend::init().unwrap();
    let model =
        LlamaModel::load_from_file(&backend, weights, &LlamaModelParams::default()).unwrap();
    let text = crate::support::document("widget").repeat(3);
    let tokens = model.vocab().tokenize(text.as_bytes(), false, false);
    eprintln!("threads | context | batch | ms per batch | over one token | rows with other bits");
    for threads in [1, 2] {
        for prompt_tokens in PROMPTS_TOKENS {
            let run = |batch| one_way(&backend, &model, &tokens, threads, prompt_tokens, batch);
            let (single_ms, single) = run(1);
            for batch in 1..=4 {
                let (ms, rows) = run(batch);
                let other = rows.iter().zip(&single).filter(|(a, b)| a != b).count();
                eprintln!(
                    "{threads} | {prompt_tokens} | {batch} | {ms:.1} | {:.2} | {other} of {}",
                    ms / single_ms,
                    rows.len()
                );
            }
        }
    }
}

/// Milliseconds of a batch, and the bits of each row of logits.
fn one_way(
    backend: &LlamaBackend,
    model: &LlamaModel,
    tokens: &[LlamaToken],
    threads: i32,
    prompt_tokens: usize,
    batch_tokens: usize,
) -> (f64, Vec<u64>) {
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(1024))
        .with_n_batch(512)
        .with_n_ubatch(512)
        .with_n_threads(threads)
        .with_n_threads_batch(threads);
    let mut context = model.new_context(backend, params).unwrap();
    for (at, chunk) in tokens[..prompt_tokens].chunks(64).enumerate() {
        decode(&mut context, at * 64, chunk, false);
    }
    let mut rows = Vec::new();
    let mut best_ms = f64::INFINITY;
    let measured = &tokens[prompt_tokens..prompt_tokens + TOKENS];
    for (at, chunk) in measured.chunks(batch_tokens).enumerate() {
        let started = Instant::now();
        decode(&mut context, prompt_tokens + at * batch_tokens, chunk, true);
        best_ms = best_ms.min(started.elapsed().as_secs_f64() * 1000.0);
        for row in 0..i32::try_from(chunk.len()).unwrap() {
            let bits = context
                .get_logits_ith(row)
                .iter()
                .map(|logit| logit.to_bits());
            rows.push(bits.fold(7_u64, |hash, bits| {
                (hash ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3)
            }));
        }
    }
    (best_ms, rows)
}

fn decode(context: &mut LlamaContext<'_>, start: usize, tokens: &[LlamaToken], logits: bool) {
    let mut batch = LlamaBatch::new(tokens.len(), 1);
    for (at, &token) in tokens.iter().enumerate() {
        let position = i32::try_from(start + at).unwrap();
        batch.add(token, position, &[0], logits).unwrap();
    }
    context.decode(&mut batch).unwrap();
    context.synchronize();
}
