//! The chat that goes on while somebody types: one question after the other.
//!
//! In virtual time it is a real conversation ([`Chats`]), which asks the router for a model as `ghostline/chat`
//! does; in real time the served process has it, and [`Told`] counts what comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::chat::{Ask, Chats, Event};
use crate::eval::figures::Quantiles;
use crate::metrics::ms;
use crate::router::Router;

/// What is asked, in turns: questions with long answers.
pub(in crate::eval) const QUESTIONS: &[&str] = &[
    "Write a doubly linked list in Rust, with comments, and say what each function does.",
    "Explain ownership and borrowing to somebody who knows C, with ten examples.",
    "Write a tokenizer for arithmetic in Rust, step by step, with a test for each step.",
];

/// How the chat fared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChatFigures {
    /// Answers that came to their end.
    pub answers: usize,
    /// Answers that failed. Must be 0.
    pub failed: usize,
    /// Tokens of all answers, also of one that was still being written at the end.
    pub tokens: u64,
    /// These by the time of the typing.
    pub tokens_per_second: f64,
    /// From a question to the first token of its answer.
    pub first_token_ms: Quantiles,
}

/// What the chat has told so far. Shared between who talks and who reports.
#[derive(Debug, Clone, Default)]
pub(in crate::eval) struct Told(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    answers: usize,
    failed: usize,
    tokens: u64,
    first_tokens: Vec<Duration>,
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token came.
    pub(in crate::eval) fn token(&self) {
        self.lock().tokens += 1;
    }

    /// Whether nothing has come yet.
    pub(in crate::eval) fn is_silent(&self) -> bool {
        self.lock().tokens == 0
    }

    /// An answer ended, with the time to its first token; or it failed.
    pub(in crate::eval) fn ended(&self, first_token: Option<Duration>, failed: bool) {
        let mut counts = self.lock();
        counts.answers += usize::from(!failed);
        counts.failed += usize::from(failed);
        counts.first_tokens.extend(first_token);
    }

    /// Forgets what was told before the typing began.
    pub(in crate::eval) fn forget(&self) {
        *self.lock() = Counts::default();
    }

    /// The figures of so long a time.
    pub(in crate::eval) fn figures(&self, elapsed: Duration) -> ChatFigures {
        let counts = self.lock();
        #[expect(clippy::cast_precision_loss, reason = "a few million tokens")]
        let per_second = counts.tokens as f64 / elapsed.as_secs_f64().max(1e-9);
        ChatFigures {
            answers: counts.answers,
            failed: counts.failed,
            tokens: counts.tokens,
            tokens_per_second: (per_second * 10.0).round() / 10.0,
            first_token_ms: Quantiles::of(counts.first_tokens.iter().copied().map(ms).collect()),
        }
    }
}

/// Asks one question after the other. Ends with the runtime, or with an answer that fails.
pub(super) async fn talk(router: Arc<Router>, told: Told) {
    let chats = Chats::new(router, None);
    for question in QUESTIONS.iter().cycle() {
        let ask = Ask {
            message: Some((*question).to_owned()),
            ..Ask::default()
        };
        let mut on = |event: Event<'_>| {
            if let Event::Delta(_) = event {
                told.token();
            }
        };
        match chats.answer(ask, &mut on).await {
            Ok(answer) => told.ended(answer.usage.first_token, false),
            Err(error) => {
                tracing::error!(%error, "the chat failed");
                return told.ended(None, true);
            }
        }
    }
}
