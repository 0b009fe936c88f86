//! What the events of `/completion` mean.
//!
//! Text comes whole: the server holds back half characters and the beginnings of stop strings.

use std::collections::VecDeque;
use std::time::Duration;

use super::api::CompletionEvent;
use crate::backend::events::Dialect;
use crate::backend::failure::{Asked, error_text};
use crate::backend::wire::Event;
use crate::backend::{BackendError, Chunk, Finish, StopReason};

/// The end is the event with `stop`.
#[derive(Debug)]
pub(super) struct Completion<F> {
    /// Hears once of what was computed of the prompt, and how long that took.
    heard: Option<F>,
}

impl<F: FnOnce(u32, Duration)> Completion<F> {
    pub(super) fn new(heard: F) -> Self {
        Self { heard: Some(heard) }
    }

    /// What the prompt cost, with the first event that says it.
    fn prompt(&mut self, event: &CompletionEvent, out: &mut VecDeque<Chunk>) {
        let Some(timings) = &event.timings else {
            return;
        };
        let Some(((computed, took), heard)) = timings.prompt().zip(self.heard.take()) else {
            return;
        };
        heard(computed, took);
        // Servers before `cache_n` say with the end what was cached.
        if let Some(cached_tokens) = timings.cached {
            out.push_back(Chunk::Prompt {
                prompt_tokens: cached_tokens + computed,
                cached_tokens: Some(cached_tokens),
                estimated: false,
            });
        }
    }
}

impl<F: FnOnce(u32, Duration) + Send> Dialect for Completion<F> {
    fn event(
        &mut self,
        asked: Asked<'_>,
        event: &Event,
        out: &mut VecDeque<Chunk>,
    ) -> Result<(), BackendError> {
        // Before 2025 a failure was a line `error: {…}` without the object around it.
        if event.name == "error" {
            let error = serde_json::from_str(&event.data).unwrap_or_default();
            return Err(asked.failed(&error_text(&error)));
        }
        // Nothing to do with `/completion`, but proxies in front of several dialects add it.
        if event.data == "[DONE]" {
            return Ok(());
        }
        let event: CompletionEvent = serde_json::from_str(&event.data)
            .map_err(|_| asked.protocol("an event is not the JSON expected"))?;
        if let Some(error) = &event.error {
            return Err(asked.failed(&error_text(error)));
        }
        self.prompt(&event, out);
        if !event.content.is_empty() {
            out.push_back(Chunk::Text(event.content.clone()));
        }
        if event.stop {
            out.push_back(Chunk::Done(finish(&event)));
        }
        Ok(())
    }

    fn end(&mut self, _: &mut VecDeque<Chunk>) {}
}

fn finish(event: &CompletionEvent) -> Finish {
    let timings = event.timings.as_ref();
    let computed = timings.and_then(|timings| timings.computed);
    let evaluated = event.tokens_evaluated;
    let cached = timings
        .and_then(|timings| timings.cached)
        // Servers before `cache_n` tell the whole and what was computed of it.
        .or_else(|| Some(evaluated?.saturating_sub(computed?)));
    let total = evaluated.or_else(|| Some(cached? + computed?));
    Finish {
        stop: match event.stop_type.as_deref() {
            Some("limit") => StopReason::Length,
            _ => StopReason::Stop,
        },
        prompt_tokens: total.unwrap_or(0),
        cached_tokens: cached,
        generated_tokens: timings
            .and_then(|timings| timings.generated)
            .or(event.tokens_predicted)
            .unwrap_or(0),
        load: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'_> = Asked {
        backend: "b",
        model: "m",
    };

    fn read(name: &str, data: &str) -> Result<Vec<Chunk>, BackendError> {
        let event = Event {
            name: name.to_owned(),
            data: data.to_owned(),
        };
        let mut out = VecDeque::new();
        Completion::new(|_, _| ()).event(ASKED, &event, &mut out)?;
        Ok(out.into())
    }

    #[test]
    fn an_end_tells_what_it_cost() {
        let cases = [
            (
                r#"{"content":"","stop":true,"stop_type":"limit","tokens_evaluated":12,
                    "timings":{"cache_n":4,"prompt_n":8,"predicted_n":3}}"#,
                (StopReason::Length, 12, Some(4), 3),
            ),
            (
                r#"{"stop":true,"stop_type":"word","tokens_evaluated":12,"tokens_predicted":2,
                    "timings":{"prompt_n":8}}"#,
                (StopReason::Stop, 12, Some(4), 2),
            ),
            (
                r#"{"stop":true,"timings":{"cache_n":4,"prompt_n":8}}"#,
                (StopReason::Stop, 12, Some(4), 0),
            ),
            (r#"{"stop":true}"#, (StopReason::Stop, 0, None, 0)),
        ];
        for (data, expect) in cases {
            let chunks = read("message", data).expect("an end");
            let [Chunk::Done(end)] = chunks[..] else {
                panic!("{chunks:?}")
            };
            let seen = (
                end.stop,
                end.prompt_tokens,
                end.cached_tokens,
                end.generated_tokens,
            );
            assert_eq!(seen, expect, "{data}");
        }
    }

    #[test]
    fn the_first_event_with_timings_tells_what_the_prompt_cost() {
        let mut heard = Vec::new();
        let mut answer = Completion::new(|tokens, took| heard.push((tokens, took)));
        let mut out = VecDeque::new();
        for data in [
            r#"{"content":"a"}"#,
            r#"{"content":"b","timings":{"cache_n":4,"prompt_n":8,"prompt_ms":2.5,"predicted_n":2}}"#,
            r#"{"content":"c","timings":{"cache_n":4,"prompt_n":8,"prompt_ms":2.5,"predicted_n":3}}"#,
        ] {
            let event = Event {
                name: "message".to_owned(),
                data: data.to_owned(),
            };
            answer.event(ASKED, &event, &mut out).expect("an event");
        }
        let cost = Chunk::Prompt {
            prompt_tokens: 12,
            cached_tokens: Some(4),
            estimated: false,
        };
        let text = |text: &str| Chunk::Text(text.to_owned());
        assert_eq!(out, [text("a"), cost, text("b"), text("c")]);
        assert_eq!(heard, [(8, Duration::from_micros(2_500))]);
    }

    #[test]
    fn the_last_event_may_carry_text() {
        let chunks = read("message", r#"{"content":"x","stop":true}"#).expect("chunks");
        assert_eq!(chunks[0], Chunk::Text("x".into()));
        assert_eq!(chunks.len(), 2);
    }

    #[test]
    fn failures_are_told_in_the_servers_words() {
        for (name, data) in [
            ("error", r#"{"code":400,"message":"no room","type":"x"}"#),
            ("message", r#"{"error":{"code":400,"message":"no room"}}"#),
        ] {
            let error = read(name, data).expect_err("a failure");
            assert_eq!(error.to_string(), "b failed: no room");
        }
        assert!(matches!(
            read("message", "<html>"),
            Err(BackendError::Protocol { .. })
        ));
    }
}
