//! Keeps the backend's cache warm where the person is, and on the line below a finished one.
//!
//! After a jump the front of the prompt is another, and the first key there pays for all of it. Editors
//! that tell where the cursor goes, and edits at which no completion is asked for, say so earlier: once
//! the cursor has rested there for a moment, after a click at once, and nothing else is under way, the prompt
//! for that place is computed.
//!
//! Only where it matters: a backend that begins early enough with a cold prompt is left alone. One that is
//! so slow that it has no text of elsewhere in its prompts computes the window of which it answers soonest
//! (`cold`) at once, where it goes on with that for whoever comes next, and the usual one once the cursor
//! has rested for long.
//!
//! Invariants: the lowest priority; the next generation ends it and takes over what was computed; the next
//! place does so too where that costs nothing.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::layout::{LaidOut, Wanted};
use crate::backend::{Chunk, ChunkStream, Priority, PromptBudget, Request};
use crate::common_prefix::common_prefix;
use crate::config::Role;
use crate::context::Active;
use crate::document::Edit;
use crate::inline::place::Place;
use crate::inline::trigger::at_end;
use crate::prompt::{BYTES_PER_TOKEN, Segment};
use crate::router::{RoleState, Route};

/// How long the cursor rests before its place is warmed: a held arrow key repeats every 33 ms.
const REST: Duration = Duration::from_millis(40);
/// The same before a backend that takes seconds: what it begins it rarely ends before the next key.
const LONG_REST: Duration = Duration::from_secs(1);
/// By when the first token of a cold prompt has to come: two more make a word that may be shown, and at
/// 100 ms a ghost text no longer feels immediate.
const FIRST_TOKEN_BY_S: f64 = 0.08;
/// Up to so many tokens a prompt counts as cached: what a few keys add to it.
const FEW_TOKENS: u32 = 16;
/// How much one more observation counts: about the last twenty.
const WEIGHT: f64 = 0.05;

/// How long a backend takes to its first token.
#[derive(Debug, Default)]
pub(super) struct Speed {
    /// With a cached prompt, in seconds.
    first_s: Option<f64>,
    /// For each prompt token that is not cached, in seconds.
    token_s: Option<f64>,
}

impl Speed {
    /// Notes a prompt of which so many tokens were computed.
    pub(super) fn learn(&mut self, computed_tokens: u32, first: Duration) {
        let first_s = first.as_secs_f64();
        if computed_tokens <= FEW_TOKENS {
            learn(&mut self.first_s, first_s);
        } else if let Some(warm_s) = self.first_s {
            let token_s = (first_s - warm_s).max(0.0) / f64::from(computed_tokens);
            learn(&mut self.token_s, token_s);
        }
    }

    /// How many tokens of a prompt may be computed before somebody who asks waits too long; a text of a
    /// few is warm enough however slow the backend is. `None` before both kinds of prompt were seen.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and saturating is right"
    )]
    fn tokens_in_time(&self) -> Option<usize> {
        let (first_s, token_s) = self.first_s.zip(self.token_s)?;
        let in_time = ((FIRST_TOKEN_BY_S - first_s).max(0.0) / token_s) as usize;
        Some(in_time.max(FEW_TOKENS as usize))
    }
}

fn learn(value: &mut Option<f64>, seen: f64) {
    let value = value.get_or_insert(seen);
    *value += WEIGHT * (seen - *value);
}

/// Holds streams back until a warm-up in flight has ended.
#[derive(Debug, Clone)]
pub(in crate::inline) struct WarmUps(pub(super) Arc<Shared>);

impl WarmUps {
    /// The stream of a generation, which begins when a warm-up in flight has ended.
    pub(in crate::inline) fn before(&self, stream: ChunkStream) -> ChunkStream {
        self.0.after_warm_up(stream)
    }
}

/// Where the next completion is wanted: where a statement ends, on the line below.
fn next_place(mut active: Active) -> Active {
    let place = Place::at(&active.document, active.offset_bytes);
    if place.is_some_and(|place| place.at_line_end() && at_end(&place.line_prefix)) {
        let at = active.offset_bytes;
        active.offset_bytes = active.document.apply(&Edit {
            range_bytes: Some(at..at),
            text: "\n".to_owned(),
        });
    }
    active
}

/// Whether a backend takes seconds for a cold prompt.
fn is_slow(budget: PromptBudget) -> bool {
    budget.context_tokens == 0
}

/// About how many tokens a prompt has.
pub(super) fn tokens_of(prompt: &[Segment]) -> usize {
    let bytes: usize = prompt.iter().map(|s| s.as_str().len()).sum();
    bytes / BYTES_PER_TOKEN
}

/// How many bytes at the beginning of a prompt are those of the last one.
fn bytes_in_front(prompt: &[Segment], sent: &[Segment]) -> usize {
    let mut common = 0;
    for (new, old) in prompt.iter().zip(sent) {
        let (new, old) = (new.as_str().as_bytes(), old.as_str().as_bytes());
        let same = common_prefix(new, old);
        common += same;
        if same < new.len() {
            break;
        }
    }
    common
}

/// The lines of a prompt, with their ends.
pub(super) fn lines_of(prompt: &[Segment]) -> impl Iterator<Item = &str> {
    let texts = prompt.iter().map(Segment::as_str);
    texts.flat_map(|text| text.split_inclusive('\n'))
}

/// How many bytes of a prompt are lines that the last one has too, wherever they stand.
fn bytes_moved(prompt: &[Segment], sent: &[Segment]) -> usize {
    let old: HashSet<&str> = lines_of(sent).collect();
    lines_of(prompt)
        .filter(|line| old.contains(line))
        .map(str::len)
        .sum()
}

impl Shared {
    /// Warms the places at which the cursor rests, for ever.
    pub(super) async fn keep_warm(self: Arc<Self>) {
        loop {
            self.touched.notified().await;
            while let Some(active) = self.rest().await
                && tokio::select! {
                    biased;
                    () = self.touched.notified() => true,
                    () = self.warm_where_it_rests(active) => false,
                }
            {}
        }
    }

    /// Waits until the cursor rests, and tells where; `None` when nobody is in a document any more. Keys
    /// that come meanwhile wake nothing.
    async fn rest(&self) -> Option<Active> {
        loop {
            let active = self.context.active()?;
            let due = active.at + REST;
            if active.at_one_go || Instant::now() >= due {
                return Some(active);
            }
            sleep_until(due).await;
        }
    }

    /// Warms where the person rests, unless that is given up because of the next touch.
    async fn warm_where_it_rests(self: &Arc<Self>, active: Active) {
        let RoleState::Ready(route) = self.parts.router.route(Role::Completion) else {
            return;
        };
        if !self.serves(&active.document) {
            return;
        }
        let Active {
            document,
            offset_bytes,
            at,
            ..
        } = next_place(active);
        if Place::at(&document, offset_bytes).is_none() {
            return;
        }
        let idle = || !self.is_busy() && !self.sent().segments.is_empty();
        let block = || self.block(&document.uri);
        if is_slow(route.backend.prompt_budget()) {
            if idle() && route.backend.capabilities().hands_over {
                let block = block();
                let wanted = Wanted::new(&route, &document, offset_bytes, block.as_deref());
                let prompt = self.soonest(&wanted);
                if self.is_late(&route, self.tokens_behind(&prompt.segments)) {
                    self.warm(&route, prompt);
                }
            }
            sleep_until(at + LONG_REST).await;
        }
        while self.is_warming() {
            self.warmed.notified().await;
        }
        if idle() {
            let block = block();
            let wanted = Wanted::new(&route, &document, offset_bytes, block.as_deref());
            let prompt = self.lay_out(&wanted);
            if self.is_late(&route, self.tokens_to_compute(&route, &prompt.segments)) {
                self.warm(&route, prompt);
            }
        }
    }

    /// Whether a backend that computes so many tokens begins too late.
    fn is_late(&self, route: &Route, tokens: usize) -> bool {
        let soon = self.tokens_in_time(route.backend.prompt_budget());
        soon.is_some_and(|soon| tokens > soon)
    }

    /// About how many tokens of `prompt` come after what it has in common with the last one. What a backend
    /// finds of them elsewhere it moves, which is quickly done, and done ahead.
    fn tokens_behind(&self, prompt: &[Segment]) -> usize {
        let in_front = bytes_in_front(prompt, &self.sent().segments);
        tokens_of(prompt).saturating_sub(in_front / BYTES_PER_TOKEN)
    }

    /// How many tokens of a prompt the backend, which has that budget, computes in time; `None` while
    /// nobody knows.
    pub(super) fn tokens_in_time(&self, budget: PromptBudget) -> Option<usize> {
        let speed = self.speed.lock().unwrap_or_else(PoisonError::into_inner);
        let slow = is_slow(budget).then_some(FEW_TOKENS as usize);
        speed.tokens_in_time().or(slow)
    }

    /// About how many tokens of `prompt` a backend computes anew that has seen the last one.
    pub(super) fn tokens_to_compute(&self, route: &Route, prompt: &[Segment]) -> usize {
        let sent = self.sent();
        let cached = if route.backend.capabilities().moves_cached {
            bytes_moved(prompt, &sent.segments)
        } else {
            bytes_in_front(prompt, &sent.segments)
        };
        tokens_of(prompt).saturating_sub(cached / BYTES_PER_TOKEN)
    }

    /// Lets the backend compute a prompt, in the place of the one it is warming up for.
    pub(super) fn warm(self: &Arc<Self>, route: &Route, prompt: LaidOut) {
        let at_work = self.parts.router.at_work();
        let stream = route.backend.stream(Request {
            model: route.model.clone(),
            prompt: prompt.segments.clone().into(),
            // Only the prompt counts.
            max_tokens: 0,
            stop: Vec::new(),
            priority: Priority::WarmUp,
        });
        let mut stream = self.after_warm_up(stream);
        let shared = Arc::clone(self);
        let warming = tokio::spawn(async move {
            let _at_work = at_work;
            loop {
                match stream.next().await {
                    None | Some(Ok(Chunk::Done(_))) => {
                        *shared.sent() = prompt;
                        break;
                    }
                    Some(Ok(_)) => {}
                    // A completion that fails the same way is reported.
                    Some(Err(error)) => {
                        tracing::debug!(%error, "the new front of a prompt was not computed");
                        break;
                    }
                }
            }
            shared.warmed.notify_one();
        });
        let mut slot = self.warming.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(warming);
    }

    /// `stream`, which begins when a warm-up in flight has ended.
    fn after_warm_up(&self, stream: ChunkStream) -> ChunkStream {
        let Some(warming) = self.stop_warming() else {
            return stream;
        };
        let ended = async move {
            // Ends with the drop of its stream.
            let _ = warming.await;
            stream
        };
        futures_util::stream::once(ended).flatten().boxed()
    }

    fn is_warming(&self) -> bool {
        let slot = self.warming.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().is_some_and(|warming| !warming.is_finished())
    }

    /// Ends the warm-up in flight; what is returned ends when the backend is free.
    pub(super) fn stop_warming(&self) -> Option<JoinHandle<()>> {
        let mut slot = self.warming.lock().unwrap_or_else(PoisonError::into_inner);
        let warming = slot.take().filter(|warming| !warming.is_finished())?;
        warming.abort();
        self.warmed.notify_one();
        Some(warming)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cached_in_front_and_what_has_moved() {
        let prompt = |text: &str| vec![Segment::Special("<pre>"), Segment::Text(text.into())];
        let sent = prompt("one\ntwo\nthree\nfour");
        // (prompt, bytes in front, bytes of lines that are there)
        for (text, in_front, moved) in [
            ("one\ntwo\nthree\nfour", 5 + 18, 5 + 18),
            // The window's first line is dropped.
            ("two\nthree\nfour", 5, 5 + 14),
            // A line comes in between; the last one is longer.
            ("one\nnew\ntwo\nfour and", 5 + 4, 5 + 8),
            ("other", 5 + 1, 5),
        ] {
            let prompt = prompt(text);
            assert_eq!(bytes_in_front(&prompt, &sent), in_front, "{text:?}");
            assert_eq!(bytes_moved(&prompt, &sent), moved, "{text:?}");
        }
    }
}
