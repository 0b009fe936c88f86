//! What is written down of generations that run elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::time::Instant;

use crate::backend::{
    Backend, BackendError, Chunk, ChunkStream, Finish, Installed, Priority, PromptBudget, Request,
};
use crate::eval::oracle::{Generated, Ledger, Oracle};
use crate::eval::replay::Books;

/// The books of one pass.
#[derive(Debug, Default)]
pub(super) struct WallBooks {
    /// Also told what comes, where it stands in for the model.
    oracle: Option<Oracle>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    key: usize,
    steps: HashMap<i32, usize>,
    generations: Vec<Generated>,
    open: Duration,
    /// Each ghost with the step at which it was shown.
    shown: Vec<(usize, String)>,
}

impl WallBooks {
    pub(super) fn new(oracle: Option<Oracle>) -> Arc<Self> {
        Arc::new(Self {
            oracle,
            inner: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time in which a generation was open.
    pub(super) fn open(&self) -> Duration {
        self.lock().open
    }

    /// Writes down what `ghostline/generationEnded` tells.
    pub(super) fn ended(&self, params: &Value) {
        let number = |key: &str| params[key].as_u64().and_then(|n| u32::try_from(n).ok());
        let time = |key: &str| params[key].as_f64().map(|ms| ms / 1e3);
        let computed = number("promptTokens")
            .zip(number("cachedTokens"))
            .map(|(prompt, cached)| prompt.saturating_sub(cached));
        let mut inner = self.lock();
        let version = params["version"].as_i64();
        let version = version.and_then(|version| i32::try_from(version).ok());
        let step = version.and_then(|version| inner.steps.get(&version).copied());
        let key = step.unwrap_or(inner.key);
        inner.open += time("openMs").map_or(Duration::ZERO, Duration::from_secs_f64);
        inner.generations.push(Generated {
            key,
            priority: if params["prefetch"] == true {
                Priority::Prefetch
            } else {
                Priority::Completion
            },
            computed_tokens: computed,
            first_token: time("firstTokenMs").map(Duration::from_secs_f64),
            tokens: number("generatedTokens").unwrap_or(0),
            shown_tokens: 0,
            text: params["text"].as_str().unwrap_or_default().to_owned(),
            began: None,
        });
    }
}

impl Books for WallBooks {
    fn look_ahead(&self, key: usize, version: i32, before: &str, future: &str) {
        if let Some(oracle) = &self.oracle {
            oracle.look_ahead(key, before, future);
        }
        let mut inner = self.lock();
        inner.key = key;
        inner.steps.insert(version, key);
    }

    fn turn_to(&self, key: usize) {
        if let Some(oracle) = &self.oracle {
            oracle.turn_to(key);
        }
        self.lock().key = key;
    }

    fn shown(&self, text: &str) {
        let mut inner = self.lock();
        let key = inner.key;
        inner.shown.push((key, text.to_owned()));
    }

    fn ledger(&self) -> Ledger {
        let inner = self.lock();
        let mut generations = inner.generations.clone();
        generations.sort_by_key(|generation| generation.key);
        for (key, ghost) in &inner.shown {
            book(&mut generations, *key, ghost);
        }
        Ledger::of(generations)
    }
}

/// Books a ghost shown at step `key` to the newest generation that holds its first line: the tokens up
/// to the ghost's end, by its share of the text.
fn book(generations: &mut [Generated], key: usize, ghost: &str) {
    let Some(line) = ghost.lines().map(str::trim).find(|l| !l.is_empty()) else {
        return;
    };
    let newest = generations.iter_mut().rev().filter(|g| g.key <= key);
    for generated in newest {
        let whole = generated.text.rfind(ghost).map(|at| at + ghost.len());
        let first = || generated.text.rfind(line).map(|at| at + line.len());
        let Some(end) = whole.or_else(first) else {
            continue;
        };
        let tokens = usize::try_from(generated.tokens).unwrap_or(usize::MAX);
        let shown = (tokens * end).div_ceil(generated.text.len().max(1));
        let shown = u32::try_from(shown).unwrap_or(u32::MAX);
        generated.shown_tokens = generated.shown_tokens.max(shown).min(generated.tokens);
        return;
    }
}

/// A backend whose generations are written down.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) inner: Arc<dyn Backend>,
    pub(super) books: Arc<WallBooks>,
}

/// One generation; written down when it is dropped.
struct Open {
    books: Arc<WallBooks>,
    stream: ChunkStream,
    key: usize,
    priority: Priority,
    started: Instant,
    first_token: Option<Duration>,
    pieces: u32,
    text: String,
    finish: Option<Finish>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let finish = self.finish;
        let computed = finish.and_then(|f| Some(f.prompt_tokens.saturating_sub(f.cached_tokens?)));
        let mut inner = self.books.lock();
        inner.open += self.started.elapsed();
        inner.generations.push(Generated {
            key: self.key,
            priority: self.priority,
            computed_tokens: computed,
            first_token: self.first_token,
            tokens: finish.map_or(self.pieces, |f| f.generated_tokens),
            shown_tokens: 0,
            text: std::mem::take(&mut self.text),
            began: None,
        });
    }
}

impl Open {
    async fn next(&mut self) -> Option<Result<Chunk, BackendError>> {
        let chunk = self.stream.next().await?;
        match &chunk {
            Ok(Chunk::Text(text)) => {
                let elapsed = self.started.elapsed();
                self.first_token.get_or_insert(elapsed);
                self.pieces += 1;
                self.text.push_str(text);
            }
            Ok(Chunk::Done(finish)) => self.finish = Some(*finish),
            _ => {}
        }
        Some(chunk)
    }
}

impl Backend for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Installed>, BackendError>> {
        self.inner.probe()
    }

    fn warm_up(&self, model: &str) -> BoxFuture<'static, Result<(), BackendError>> {
        self.inner.warm_up(model)
    }

    fn stream(&self, request: Request) -> ChunkStream {
        let key = self.books.lock().key;
        let open = Open {
            books: self.books.clone(),
            priority: request.priority,
            stream: self.inner.stream(request),
            key,
            started: Instant::now(),
            first_token: None,
            pieces: 0,
            text: String::new(),
            finish: None,
        };
        Box::pin(stream::unfold(open, |mut open| async move {
            let chunk = open.next().await?;
            Some((chunk, open))
        }))
    }

    fn prompt_budget(&self) -> PromptBudget {
        self.inner.prompt_budget()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_ghost_is_booked_to_the_newest_generation_that_holds_it() {
        let books = WallBooks::new(None);
        for (key, version) in [(5, 1), (6, 2), (9, 3)] {
            books.look_ahead(key, version, "", "");
        }
        let generation = |version: i32, text: &str| {
            let mut params = json!({ "version": version, "prefetch": false, "text": text });
            params["generatedTokens"] = json!(4);
            params["promptTokens"] = json!(10);
            params["cachedTokens"] = json!(7);
            books.ended(&params);
        };
        generation(2, "abcdefgh");
        generation(1, "abcdefgh");
        books.lock().key = 7;
        books.shown("cd");
        generation(3, "cd");
        let ledger = books.ledger();
        let seen: Vec<_> = ledger
            .generations
            .iter()
            .map(|g| (g.key, g.computed_tokens, g.shown_tokens))
            .collect();
        assert_eq!(seen, [(5, Some(3), 0), (6, Some(3), 2), (9, Some(3), 0)]);
    }
}
