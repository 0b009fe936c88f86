//! What the events of `/v1/completions` and `/v1/chat/completions` mean.
//!
//! The end is `[DONE]`, and failing that the end of the bytes after a `finish_reason`: some proxies drop
//! the one, some servers send counts after the other.

use std::collections::VecDeque;

use super::api::{AnswerEvent, Usage};
use super::cost::Cost;
use crate::backend::events::Dialect;
use crate::backend::failure::{Asked, error_text};
use crate::backend::text::{Pushed, TextOut};
use crate::backend::thinking::ThinkSplitter;
use crate::backend::wire::Event;
use crate::backend::{BackendError, Chunk, Finish, StopReason};

/// One answer on its way in.
pub(super) struct Answer {
    stops: TextOut,
    /// Of a conversation: models whose server does not split their thoughts off write them in tags.
    thoughts: Option<ThinkSplitter>,
    /// Why the server ended the text.
    reason: Option<StopReason>,
    usage: Option<Usage>,
    /// Events with text: about one a token, for servers that count nothing.
    pieces: u32,
    ended: bool,
    /// Of a completion.
    cost: Option<Cost>,
}

impl Answer {
    /// A completion with its cost, or a conversation.
    pub(super) fn new(stops: Vec<String>, cost: Option<Cost>) -> Self {
        Self {
            stops: TextOut::new(stops),
            thoughts: cost.is_none().then(|| ThinkSplitter::new(false)),
            cost,
            reason: None,
            usage: None,
            pieces: 0,
            ended: false,
        }
    }

    fn put(&mut self, text: String, out: &mut VecDeque<Chunk>) {
        if text.is_empty() {
            return;
        }
        match &mut self.thoughts {
            Some(thoughts) => out.extend(thoughts.push(&text)),
            None => out.push_back(Chunk::Text(text)),
        }
    }

    /// The end, with what is still held back.
    fn close(&mut self, stop: StopReason, out: &mut VecDeque<Chunk>) {
        let rest = self.stops.finish();
        self.put(rest, out);
        if let Some(rest) = self.thoughts.as_mut().and_then(ThinkSplitter::finish) {
            out.push_back(rest);
        }
        let usage = self.usage.clone().unwrap_or_default();
        self.ended = true;
        out.push_back(Chunk::Done(Finish {
            stop,
            prompt_tokens: usage.prompt,
            cached_tokens: usage.cached(),
            generated_tokens: usage.generated.max(self.pieces),
            load: None,
        }));
    }
}

impl Dialect for Answer {
    fn event(
        &mut self,
        asked: Asked<'_>,
        event: &Event,
        out: &mut VecDeque<Chunk>,
    ) -> Result<(), BackendError> {
        if self.ended {
            return Ok(());
        }
        if event.data.trim() == "[DONE]" {
            self.close(self.reason.unwrap_or_default(), out);
            return Ok(());
        }
        let event: AnswerEvent = serde_json::from_str(&event.data)
            .map_err(|_| asked.protocol("an event is not the JSON expected"))?;
        if let Some(error) = &event.error {
            return Err(asked.failed(&error_text(error)));
        }
        if event.object.as_deref() == Some("error") {
            return Err(asked.failed(&event.message.unwrap_or_default()));
        }
        out.extend(self.cost.as_mut().and_then(|cost| cost.event(&event)));
        if event.usage.is_some() {
            self.usage = event.usage;
        }
        let Some(choice) = event.choices.first() else {
            return Ok(());
        };
        let thinking = choice.thinking();
        if !thinking.is_empty() {
            self.pieces += 1;
            out.push_back(Chunk::Thinking(thinking.to_owned()));
        }
        let text = choice.text();
        if !text.is_empty() {
            self.pieces += 1;
            match self.stops.push(text.as_bytes()) {
                Pushed::Text(text) => self.put(text, out),
                Pushed::Stopped(text) => {
                    self.put(text, out);
                    self.close(StopReason::Stop, out);
                    return Ok(());
                }
            }
        }
        if let Some(reason) = &choice.finish_reason {
            self.reason = Some(match reason.as_str() {
                "length" => StopReason::Length,
                _ => StopReason::Stop,
            });
        }
        Ok(())
    }

    fn end(&mut self, out: &mut VecDeque<Chunk>) {
        if let Some(reason) = self.reason.filter(|_| !self.ended) {
            self.close(reason, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const ASKED: Asked<'_> = Asked {
        backend: "b",
        model: "m",
    };

    /// Text, thinking, and how it ended.
    fn read(
        stops: &[&str],
        chat: bool,
        events: &[&str],
    ) -> Result<(String, String, Option<Finish>), BackendError> {
        let stops = stops.iter().map(|&stop| stop.to_owned()).collect();
        let cost = (!chat).then(|| Cost::begin(&Arc::default(), "m", "prompt"));
        let mut answer = Answer::new(stops, cost);
        let mut out = VecDeque::new();
        for data in events {
            let event = Event {
                name: "message".to_owned(),
                data: (*data).to_owned(),
            };
            answer.event(ASKED, &event, &mut out)?;
        }
        answer.end(&mut out);
        let (mut text, mut thinking, mut finish) = (String::new(), String::new(), None);
        for chunk in out {
            assert!(finish.is_none(), "something follows the end");
            match chunk {
                Chunk::Text(piece) => text.push_str(&piece),
                Chunk::Thinking(piece) => thinking.push_str(&piece),
                Chunk::Done(end) => finish = Some(end),
                Chunk::Prompt { estimated, .. } => assert!(estimated && !chat && text.is_empty()),
            }
        }
        Ok((text, thinking, finish))
    }

    #[test]
    fn answers_of_each_server() {
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}"#;
        // (stop strings, conversation, events, text, thinking, stop, counts)
        let vllm: &[&str] = &[
            r#"{"choices":[{"index":0,"text":"a b","finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"text":" c","finish_reason":"length"}]}"#,
            usage,
            "[DONE]",
        ];
        let (text, _, end) = read(&["x"], false, vllm).expect("an answer");
        let end = end.expect("an end");
        assert_eq!(text, "a b c");
        assert_eq!((end.stop, end.prompt_tokens), (StopReason::Length, 9));
        assert_eq!((end.cached_tokens, end.generated_tokens), (Some(4), 2));

        // A fifth stop string, in two pieces; what comes after it does not count.
        let (text, _, end) = read(
            &["1", "2", "3", "4", "<end>"],
            false,
            &[
                r#"{"choices":[{"text":"a<e"}]}"#,
                r#"{"choices":[{"text":"nd>b"}]}"#,
                r#"{"choices":[{"text":"c"}]}"#,
                "[DONE]",
            ],
        )
        .expect("an answer");
        assert_eq!(
            (text.as_str(), end.map(|e| e.stop)),
            ("a", Some(StopReason::Stop))
        );

        // What looked like a stop string and was none; no counts; no `[DONE]`.
        let (text, _, end) = read(
            &["<end>"],
            false,
            &[
                r#"{"choices":[{"text":"a<e"}]}"#,
                r#"{"choices":[{"text":"","finish_reason":"stop"}]}"#,
            ],
        )
        .expect("an answer");
        assert_eq!(
            (text.as_str(), end.map(|e| e.generated_tokens)),
            ("a<e", Some(1))
        );

        // Thinking told apart, in either name, or in tags.
        for events in [
            vec![
                r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#,
                r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#,
                r#"{"choices":[{"delta":{"content":"yes"}}]}"#,
                "[DONE]",
            ],
            vec![
                r#"{"choices":[{"delta":{"reasoning":"hm"}}]}"#,
                r#"{"choices":[{"delta":{"content":"yes"}}]}"#,
                "[DONE]",
            ],
            vec![
                r#"{"choices":[{"delta":{"content":"<think>hm</th"}}]}"#,
                r#"{"choices":[{"delta":{"content":"ink>yes"}}]}"#,
                "[DONE]",
            ],
        ] {
            let (text, thinking, end) = read(&[], true, &events).expect("an answer");
            assert_eq!(
                (text.as_str(), thinking.as_str()),
                ("yes", "hm"),
                "{events:?}"
            );
            assert!(end.is_some());
        }

        // Neither an end nor a reason: the bytes broke off.
        let (_, _, end) = read(&[], false, &[r#"{"choices":[{"text":"a"}]}"#]).expect("text");
        assert_eq!(end, None);
    }

    #[test]
    fn errors_within_a_stream() {
        for data in [
            r#"{"error":{"message":"out of memory","code":500}}"#,
            r#"{"error":"out of memory"}"#,
            r#"{"object":"error","message":"out of memory","code":400}"#,
        ] {
            let error = read(&[], true, &[data]).expect_err("a failure");
            assert_eq!(error.to_string(), "b failed: out of memory");
        }
        let error = read(&[], true, &["<html>"]).expect_err("a failure");
        assert!(matches!(error, BackendError::Protocol { .. }));
    }
}
