//! The next completion, before anybody asks for it.
//!
//! Once a whole ghost text is shown, the likeliest next place is the line after it: the person accepts
//! and presses Enter. The generation for that place runs at the lowest priority, in the one slot there
//! is, and only while nothing else wants it; any real request that it does not fit ends it.

use super::{Completion, Engine, Place, Prediction, Target, lock};
use crate::config::{Role, Settings};
use crate::document::Edit;
use crate::router::RoleState;

impl Engine {
    /// Starts generating for the place after `completion`, as if it had been accepted.
    pub(super) fn prefetch(
        &self,
        now: &Place,
        target: &Target,
        completion: &Completion,
        settings: &Settings,
    ) {
        if !settings.inline.prefetch || self.is_busy() {
            return;
        }
        let RoleState::Ready(route) = self.router.route(Role::Completion) else {
            return;
        };
        let Some((next, accepted)) = target.after(now, completion) else {
            return;
        };
        let Some(place) = Place::at(&next.document, next.offset_bytes) else {
            return;
        };
        if lock(&self.cache).find(&place).is_none() {
            let predicted = Some(Prediction {
                place: now.clone(),
                text: accepted,
            });
            self.generate(&route, place.origin(), &next, settings, predicted);
        }
    }
}

impl Target {
    /// The document with `completion` accepted and Enter pressed, and what that inserts; nothing where text stands right of
    /// the cursor, because the person goes on there.
    fn after(&self, now: &Place, completion: &Completion) -> Option<(Self, String)> {
        if !now.at_line_end() {
            return None;
        }
        let mut document = self.document.clone();
        let inserted = completion
            .insert_text
            .strip_prefix(self.selected.as_str())?;
        let at = self.offset_bytes;
        let text = [inserted, "\n"].concat();
        let offset_bytes = document.apply(&Edit {
            range_bytes: Some(at..at),
            text: text.clone(),
        });
        let range_bytes = offset_bytes..offset_bytes;
        Some((
            Self {
                document,
                offset_bytes,
                range_bytes,
                selected: String::new(),
            },
            text,
        ))
    }
}
