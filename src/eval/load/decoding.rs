//! Decoding: beside more threads than there are cores, and against llama.cpp alone.
//!
//! A part of [`super`], called by it alone.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::super::chance::Chance;
use super::super::machine::Machine;
use super::typing::{DECODED_TOKENS, Scene, TEXT};
use super::{AgainstReference, Oversubscribed};
use crate::backend::embedded::{Reference, reference};
use crate::backend::{Backend, Chunk};
use crate::prompt::Segment;

/// Tokens of the prompt that is timed against llama.cpp alone, which computes it in one batch.
const PROMPT_TOKENS: usize = 384;

/// Of words in an order of chance a token has about so many bytes.
const BYTES_PER_TOKEN: usize = 4;

/// Times that both are measured; the best of each counts. A shared machine's speed changes by a tenth from
/// one to the next.
const ROUNDS: usize = 3;

/// How long is waited, at most, for the engine to have nothing left to do, and how often is looked.
const LOOK: Duration = Duration::from_millis(50);
const MOST_LOOKS: u32 = 600;

/// How long a load runs before it is measured beside: as long as the engine may take to see it.
const SETTLING: Duration = Duration::from_secs(2);

impl Scene<'_> {
    /// Times prompt and answer, and the same by llama.cpp alone, in turns.
    pub(super) async fn compare(&self, threads: usize) -> anyhow::Result<AgainstReference> {
        let mut best = [Reference {
            prompt_tokens_per_second: 0.0,
            decode_tokens_per_second: 0.0,
        }; 2];
        for round in 0..ROUNDS {
            self.rest().await?;
            let file = self.options.model.1.clone();
            let alone = tokio::task::spawn_blocking(move || {
                let decoded = usize::try_from(DECODED_TOKENS).unwrap_or(64);
                reference(&file, threads, PROMPT_TOKENS, decoded)
            });
            let alone = alone.await?.map_err(anyhow::Error::msg)?;
            let engine = Reference {
                prompt_tokens_per_second: self.prefill(round).await?,
                decode_tokens_per_second: self.decode().await?,
            };
            for (best, now) in best.iter_mut().zip([alone, engine]) {
                let (prompt, decode) = (now.prompt_tokens_per_second, now.decode_tokens_per_second);
                best.prompt_tokens_per_second = best.prompt_tokens_per_second.max(prompt);
                best.decode_tokens_per_second = best.decode_tokens_per_second.max(decode);
            }
        }
        let [reference, engine] = best;
        Ok(AgainstReference {
            reference,
            engine,
            prompt_ratio: engine.prompt_tokens_per_second / reference.prompt_tokens_per_second,
            decode_ratio: engine.decode_tokens_per_second / reference.decode_tokens_per_second,
        })
    }

    /// Waits until the engine has nothing left to compute anew: it would slow down what is measured, and compute
    /// with the kernels of that.
    async fn rest(&self) -> anyhow::Result<()> {
        for _ in 0..MOST_LOOKS {
            if self.engine.tokens_stale() == 0 {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        anyhow::bail!(
            "the engine still computes anew what was moved after {} s; run this where nothing else computes",
            (LOOK * MOST_LOOKS).as_secs()
        )
    }

    /// Tokens per second of a prompt that nothing is cached of, nor of a text that could be moved: words in an
    /// order of chance.
    async fn prefill(&self, round: usize) -> anyhow::Result<f64> {
        let words: Vec<&str> = TEXT.split_whitespace().collect();
        let mut chance = Chance::new(self.options.seed, "prompt", round as u64);
        let mut text = String::new();
        while text.len() < PROMPT_TOKENS * BYTES_PER_TOKEN {
            text.push_str(chance.pick(&words).copied().unwrap_or_default());
            text.push(' ');
        }
        let prompt = vec![Segment::Text(text)];
        let before = self.engine.tokens_decoded();
        let started = Instant::now();
        self.engine.prefill(self.request(prompt, 1)).await?;
        let took = started.elapsed();
        #[expect(clippy::cast_precision_loss, reason = "some hundred tokens")]
        let tokens = (self.engine.tokens_decoded() - before) as f64;
        Ok(tokens / took.as_secs_f64())
    }

    /// Decodes alone, and beside threads that never rest.
    pub(super) async fn oversubscribe(
        &self,
        machine: &Machine,
        threads: usize,
    ) -> anyhow::Result<Oversubscribed> {
        let load_threads = self.options.load_threads.unwrap_or(2 * machine.cores);
        let alone = self.decode().await?;
        let load = BusyThreads::start(load_threads)?;
        tokio::time::sleep(SETTLING).await;
        // What the engine learns from the load is learned before it is measured.
        self.decode().await?;
        let beside = self.decode().await?;
        drop(load);
        #[expect(clippy::cast_precision_loss, reason = "counts of threads")]
        let share = |threads: usize, all: usize| threads as f64 / all.max(1) as f64;
        let fair_share = share(machine.cores, threads + load_threads).min(1.0);
        Ok(Oversubscribed {
            load_threads,
            alone_tokens_per_second: alone,
            beside_tokens_per_second: beside,
            fair_share,
            share_of_fair: beside / (alone * fair_share),
        })
    }

    /// Tokens per second of an answer, its prompt left out.
    async fn decode(&self) -> anyhow::Result<f64> {
        let counting = vec![Segment::Text("1, 2, 3, 4, 5, 6, 7, 8, 9,".to_owned())];
        let mut stream = self.engine.stream(self.request(counting, DECODED_TOKENS));
        let mut first = None;
        let mut tokens = 0;
        while let Some(chunk) = stream.next().await {
            match chunk? {
                Chunk::Text(_) if first.is_none() => first = Some(Instant::now()),
                Chunk::Done(finish) => tokens = finish.generated_tokens,
                _ => {}
            }
        }
        let took = first.map(|first| first.elapsed()).unwrap_or_default();
        anyhow::ensure!(
            tokens > 8,
            "the model stopped counting after {tokens} tokens"
        );
        Ok(f64::from(tokens - 1) / took.as_secs_f64())
    }
}

/// Threads that compute until this is dropped.
struct BusyThreads {
    end: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl BusyThreads {
    fn start(count: usize) -> std::io::Result<Self> {
        let end = Arc::new(AtomicBool::new(false));
        let busy = |_| {
            let end = Arc::clone(&end);
            std::thread::Builder::new().spawn(move || {
                let mut sum = 0_u64;
                while !end.load(Ordering::Relaxed) {
                    for number in 0..10_000_u64 {
                        sum = black_box(sum.wrapping_mul(31).wrapping_add(number));
                    }
                }
            })
        };
        let threads = (0..count).map(busy).collect::<Result<_, _>>()?;
        Ok(Self { end, threads })
    }
}

impl Drop for BusyThreads {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}
