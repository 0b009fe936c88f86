//! The next completion, before anybody asks for it.
//!
//! Two places are worth a guess. While a whole ghost text is shown: the end of it, where the editor will
//! ask as soon as it is accepted; the prompt differs from the one before in a few last tokens, so the
//! guess costs little. For a person who types everything that guess waits until some of the ghost text was
//! typed and little is left. And once a statement was accepted: the line below, where the person goes with
//! Enter. Both run at the lowest priority, in the one slot there is, and only while nothing else wants it;
//! any real request that they do not fit ends them.

use super::place::opener_of;
use super::wanted::Lead;
use super::{Completion, Engine, Place, Skip, Target, lock, trigger};
use crate::config::{Role, Settings};
use crate::document::{Document, Edit};
use crate::router::RoleState;

/// Characters of a ghost text that a person who types everything is likely to type as shown: about two
/// tokens. Of guesses behind 24 characters one token in six was ever shown, behind 6 one in four; behind
/// 3 a model on a processor was late where a ghost text ends.
const SURE_CHARS: usize = 6;

impl Engine {
    /// `completion` is shown at `now`: prepares the place at its end, if one would be asked for there.
    pub(super) fn prefetch_end_of(
        &self,
        now: &Place,
        target: &Target,
        completion: &Completion,
        settings: &Settings,
    ) {
        let inserted = completion
            .insert_text
            .strip_prefix(target.selected.as_str());
        let (takes, follows) = {
            let outcomes = lock(&self.outcomes);
            (
                outcomes.takes_what_is_shown(),
                outcomes.follows_what_is_shown(),
            )
        };
        let likely = |text: &&str| takes || follows && text.trim().chars().count() <= SURE_CHARS;
        // Inside brackets and quotes the line goes on as well.
        let mut right = now.line_suffix.trim_end().chars();
        let room = right.all(|c| opener_of(c).is_some() || matches!(c, ';' | ','));
        if let Some(inserted) = inserted.filter(|text| room && likely(text)) {
            self.prefetch(
                now,
                &target.document,
                target.offset_bytes,
                inserted,
                settings,
            );
        }
    }

    /// A completion was accepted and the person is at `now`, byte `offset_bytes`: prepares the line
    /// below, unless the editor will ask right here.
    pub(super) fn prefetch_line_below(
        &self,
        now: &Place,
        document: &Document,
        offset_bytes: usize,
    ) {
        let settings = self.settings.load();
        if now.at_line_end() && self.check(now, document, &settings) == Err(Skip::AfterEnd) {
            self.prefetch(now, document, offset_bytes, "\n", &settings);
        }
    }

    /// Generates for the place after `text` is typed at `now`.
    fn prefetch(
        &self,
        now: &Place,
        document: &Document,
        offset_bytes: usize,
        text: &str,
        settings: &Settings,
    ) {
        if !settings.inline.prefetch || self.is_busy() {
            return;
        }
        let RoleState::Ready(route) = self.router.route(Role::Completion) else {
            return;
        };
        let mut document = document.clone();
        let offset_bytes = document.apply(&Edit {
            range_bytes: Some(offset_bytes..offset_bytes),
            text: text.to_owned(),
        });
        let next = Target::new(document, offset_bytes, None);
        let Some(place) = Place::at(&next.document, offset_bytes) else {
            return;
        };
        let asked_there = self.check(&place, &next.document, settings).is_ok();
        if asked_there && !lock(&self.cache).knows(&place.origin()) {
            let accepted = Lead {
                place: now.clone(),
                text: text.to_owned(),
            };
            self.generate(
                &route,
                place.origin(),
                &next,
                settings,
                false,
                Some(accepted),
            );
        }
    }

    fn check(&self, place: &Place, document: &Document, settings: &Settings) -> Result<(), Skip> {
        let files = self.files.load();
        trigger::check(place, &document.language_id, false, settings, &files)
    }
}
