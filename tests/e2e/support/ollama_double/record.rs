//! What happened to the double: the log that tests look into.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::Method;
use serde_json::Value;

use super::{Shared, lock};

/// How a request ended, seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The answer was handed over to its last line.
    Finished,
    /// The client left before that.
    Disconnected,
}

/// One request, in order of arrival.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// `null` when there was none.
    pub(crate) body: Value,
    /// `None` while it is under way.
    pub(crate) end: Option<End>,
    /// Prompt tokens that the prefix cache did not hold.
    pub(crate) computed_tokens: usize,
}

impl Record {
    /// The prompt of a generation.
    pub(crate) fn prompt(&self) -> Option<&str> {
        self.body["prompt"].as_str().filter(|text| !text.is_empty())
    }
}

/// Everything recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub(crate) requests: Vec<Record>,
    /// Connections made.
    pub(crate) connections: usize,
    pub(crate) loads_started: usize,
    pub(crate) loads_finished: usize,
    /// Loads that ended because the client that caused them left.
    pub(crate) loads_aborted: usize,
    /// The most `/api/generate`, `/api/chat` and `/api/embed` requests that one model had at once, from arrival to last line.
    pub(crate) most_in_flight: usize,
    pub(super) waiting_for_load: usize,
    in_flight: HashMap<String, usize>,
}

impl Log {
    /// The requests that generate, in order of arrival.
    pub(crate) fn generations(&self) -> impl Iterator<Item = &Record> {
        self.requests
            .iter()
            .filter(|record| record.prompt().is_some())
    }

    /// How many requests ended that way.
    pub(crate) fn ended(&self, end: End) -> usize {
        let ends = self.requests.iter().filter_map(|record| record.end);
        ends.filter(|seen| *seen == end).count()
    }
}

impl Shared {
    /// Changes the log and wakes those who wait for that.
    pub(super) fn note<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let result = change(&mut lock(&self.log));
        self.changes.send_modify(|version| *version += 1);
        result
    }
}

/// A request under way. Dropped before [`Ticket::finished`] it means that the client left.
pub(super) struct Ticket {
    shared: Arc<Shared>,
    index: usize,
    model: Option<String>,
    end: End,
}

impl Ticket {
    pub(super) fn new(shared: &Arc<Shared>, method: &Method, path: &str, body: &Value) -> Self {
        let model = body["model"]
            .as_str()
            .filter(|_| matches!(path, "/api/generate" | "/api/chat" | "/api/embed"));
        let model = model.map(str::to_owned);
        let index = shared.note(|log| {
            if let Some(model) = &model {
                let count = log.in_flight.entry(model.clone()).or_default();
                *count += 1;
                log.most_in_flight = log.most_in_flight.max(*count);
            }
            log.requests.push(Record {
                method: method.clone(),
                path: path.to_owned(),
                body: body.clone(),
                end: None,
                computed_tokens: 0,
            });
            log.requests.len() - 1
        });
        Self {
            shared: Arc::clone(shared),
            index,
            model,
            end: End::Disconnected,
        }
    }

    pub(super) fn computes(&self, tokens: usize) {
        self.shared
            .note(|log| log.requests[self.index].computed_tokens = tokens);
    }

    pub(super) fn finished(mut self) {
        self.end = End::Finished;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.shared.note(|log| {
            log.requests[self.index].end = Some(self.end);
            if let Some(count) = self
                .model
                .as_ref()
                .and_then(|model| log.in_flight.get_mut(model))
            {
                *count -= 1;
            }
        });
    }
}
