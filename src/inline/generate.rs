//! Starts a generation: the prompt, the shape, and the stream in the place of the one before.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::ask::Trace;
use super::live::{Live, Resume, Start, Watch};
use super::notice::Notice;
use super::place::Place;
use super::stop::Shape;
use super::target::Target;
use super::wanted::{Prediction, is_enough};
use super::{Engine, lock, wrapped};
use crate::backend::{Priority, Request, StopReason};
use crate::config::{Role, Settings};
use crate::router::{RoleState, Route};

/// How a generation is wanted.
pub(super) struct Wish {
    /// What it takes for accepted, where nobody asked for it yet.
    pub(super) predicted: Option<Prediction>,
    /// Whether it may come in parts: the editor draws what grows, and nobody waits for the whole.
    pub(super) in_parts: bool,
    /// What is there of it already, mostly nothing: it goes on behind that, once more is wanted.
    pub(super) begun: String,
}

impl Engine {
    /// Starts a generation at `origin` in the place of the one in flight, which ends.
    pub(super) fn generate(
        &self,
        route: &Arc<Route>,
        origin: Place,
        target: &Target,
        settings: &Settings,
        wish: Wish,
    ) -> Watch {
        let prompt = self
            .surroundings
            .prompt(route, &target.document, target.offset_bytes);
        let request = Request {
            model: route.model.clone(),
            prompt: prompt.into(),
            max_tokens: settings.inline.max_tokens,
            stop: route.family.stops.iter().map(|&s| s.to_owned()).collect(),
            priority: match wish.predicted {
                None => Priority::Completion,
                Some(_) => Priority::Prefetch,
            },
        };
        let resume = wish.in_parts.then(|| self.resume(route, &request));
        let trace = Trace {
            model: route.model.as_str().into(),
            backend: route.backend.name().into(),
            prompt_tokens: None,
            cached_tokens: None,
            generated_tokens: 0,
            first_token: None,
            total: Duration::ZERO,
            stop: StopReason::Cut,
        };
        let router = self.router.clone();
        let scene = self
            .syntax
            .scene(&target.document, target.offset_bytes, &origin);
        let multi_line = settings.inline.multi_line;
        let shape = Shape::of(&origin, &scene, multi_line, route.family.stops);
        let mut stream = match wish.begun.as_str() {
            "" => route.backend.stream(request),
            _ => futures_util::stream::empty().boxed(),
        };
        if !shape.fences_are_text {
            stream = wrapped::unwrapped(stream);
        }
        let mut slot = lock(&self.live);
        if slot.as_ref().is_some_and(Live::is_waste) {
            lock(&self.rhythm).generation_ended(false);
        }
        // The old stream closes before the new one opens: nothing is queued at a backend.
        drop(slot.take());
        let notice = self.generations.clone().map(|to| Notice {
            to,
            version: target.document.version,
            prefetch: wish.predicted.is_some(),
        });
        let start = Start {
            notice,
            slot: self.slot.clone(),
            stream: self.surroundings.warm_ups().before(stream),
            resume,
            origin,
            shape,
            trace,
            begun: wish.begun,
            predicted: wish.predicted,
            cache: self.cache.clone(),
        };
        let live = Live::start(start, move |error| router.report(&error));
        let watch = live.watch();
        *slot = Some(live);
        watch
    }

    /// A generation that took a break and was left, for a person who is back at `place`.
    pub(super) fn revive(
        &self,
        place: &Place,
        target: &Target,
        settings: &Settings,
    ) -> Option<Watch> {
        let (entry, typed) = lock(&self.cache).find(place, false)?;
        let rest = entry.text.get(typed..).filter(|rest| is_enough(rest))?;
        let RoleState::Ready(route) = self.router.route(Role::Completion) else {
            return None;
        };
        let origin = place.origin();
        let space = place.line_prefix.get(origin.line_prefix.len()..)?;
        let wish = Wish {
            predicted: None,
            in_parts: true,
            begun: [space, rest].concat(),
        };
        Some(self.generate(&route, origin, target, settings, wish))
    }

    /// Goes on with a generation of `request` after a break: behind its text, which is cached.
    fn resume(&self, route: &Arc<Route>, request: &Request) -> Resume {
        let (route, request) = (route.clone(), request.clone());
        let warm_ups = self.surroundings.warm_ups();
        Box::new(move |text, tokens| {
            let mut request = request.clone();
            request.prompt = request.prompt.clone().continued(text);
            request.max_tokens = request.max_tokens.saturating_sub(tokens).max(1);
            // The person has come here.
            request.priority = Priority::Completion;
            warm_ups.before(route.backend.stream(request))
        })
    }
}
