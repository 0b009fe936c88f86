//! Starts a generation: the prompt, the shape, and the stream in the place of the one before.

use std::sync::Arc;
use std::time::Duration;

use super::ask::Trace;
use super::live::{Live, Start, Watch};
use super::notice::Notice;
use super::place::Place;
use super::stop::Shape;
use super::target::Target;
use super::wanted::Lead;
use super::{Engine, lock, wrapped};
use crate::backend::{Priority, Request, StopReason, Urgency};
use crate::config::{MultiLine, Settings};
use crate::router::Route;

impl Engine {
    /// Starts a generation at `origin` in the place of the one in flight, which ends: a guess, where a
    /// text must be `accepted` first.
    pub(super) fn generate(
        &self,
        route: &Arc<Route>,
        origin: Place,
        target: &Target,
        settings: &Settings,
        explicit: bool,
        accepted: Option<Lead>,
    ) -> Watch {
        let Target {
            document,
            offset_bytes,
            lead,
            ..
        } = target;
        let speculative = accepted.is_some();
        let prompt = (self.surroundings).prompt(route, document, *offset_bytes, explicit);
        let request = Request {
            model: route.model.clone(),
            prompt: prompt.into(),
            max_tokens: settings.inline.max_tokens,
            stop: route.family.stops.iter().map(|&s| s.to_owned()).collect(),
            priority: if speculative {
                Priority::Prefetch
            } else {
                Priority::Completion
            },
        };
        let trace = Trace {
            model: route.model.as_str().into(),
            backend: route.backend.name().into(),
            prompt_tokens: None,
            prompt_estimated: false,
            cached_tokens: None,
            generated_tokens: 0,
            first_token: None,
            total: Duration::ZERO,
            stop: StopReason::Cut,
        };
        let router = self.router.clone();
        let scene = self.syntax.scene(document, *offset_bytes, &origin);
        // Who asks by hand wants more than the rest of a line, wherever there is room for it.
        let multi_line = match settings.inline.multi_line {
            MultiLine::Auto if explicit => MultiLine::Always,
            setting => setting,
        };
        let shape = Shape::of(&origin, &scene, multi_line, route.family.stops);
        let urgency = Urgency::new(request.priority);
        self.router.asked();
        let mut stream = route.backend.stream_raisable(request, &urgency);
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
            version: document.version,
            prefetch: speculative,
        });
        let start = Start {
            notice,
            slot: self.slot.clone(),
            stream: self.surroundings.warm_ups().before(stream),
            urgency,
            origin,
            shape,
            trace,
            speculative,
            lead: accepted.or_else(|| lead.clone()),
            cache: self.cache.clone(),
        };
        let serving = Arc::clone(route);
        let live = Live::start(start, move |error| router.report(&serving, &error));
        let watch = live.watch();
        *slot = Some(live);
        watch
    }
}
