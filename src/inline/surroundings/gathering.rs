//! A block made for one place: in an idle moment, or at once for who has no editor.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Shared, Surroundings};
use crate::config::Role;
use crate::context::{Active, Gatherer, Wish};
use crate::document::Document;
use crate::prompt::{Block, window};
use crate::router::Route;

impl Surroundings {
    /// Makes the block for a document that no editor has open, now, with the files that it imports taken
    /// for open ones. Waits for a backend: its speed says how much may be in a block.
    pub(in crate::inline) async fn gather_now(&self, document: &Document, offset_bytes: usize) {
        let Some(route) = self.shared.parts.router.ready(Role::Completion).await else {
            return;
        };
        let active = Active {
            document: document.clone(),
            offset_bytes,
            at: Instant::now(),
            at_one_go: false,
        };
        if !self.shared.wants(&active, &route) {
            return;
        }
        self.opened(document);
        let shared = Arc::clone(&self.shared);
        let made = tokio::task::spawn_blocking(move || {
            let mut gatherer = Gatherer::default();
            let (seen, _) = shared.context.snapshot();
            let imported = |wish: &Wish<'_>| gatherer.imported_documents(wish, &seen);
            let imported = shared.with_wish(&active, &route, imported);
            // The last one opened counts as the nearest.
            for document in imported.iter().rev().chain([&active.document]) {
                shared.context.opened(document);
            }
            shared.gather(&mut gatherer, &active, &route)
        });
        if let Ok(Some(block)) = made.await {
            self.shared
                .blocks
                .insert(document.uri.clone(), Arc::new(block));
        }
    }
}

impl Shared {
    pub(super) fn gather(
        &self,
        gatherer: &mut Gatherer,
        active: &Active,
        route: &Route,
    ) -> Option<Block> {
        let (seen, copied) = self.context.snapshot();
        self.with_wish(active, route, |wish| {
            gatherer.gather(wish, &seen, copied.as_ref())
        })
    }

    /// What a block for the place where the person is may hold.
    fn with_wish<T>(
        &self,
        active: &Active,
        route: &Route,
        gather: impl FnOnce(&Wish<'_>) -> T,
    ) -> T {
        let Active {
            document,
            offset_bytes,
            ..
        } = active;
        let budget = route.backend.prompt_budget();
        let window = window::cut(
            &document.text,
            *offset_bytes,
            budget.prefix_tokens,
            budget.suffix_tokens,
        );
        let line = document
            .text
            .byte_to_line((*offset_bytes).min(document.text.len_bytes()));
        let settings = self.parts.settings.load();
        let files = self.parts.files.load();
        gather(&Wish {
            document,
            offset_bytes: *offset_bytes,
            window_lines: line.saturating_sub(window.above.lines().count())
                ..line + window.after.lines().count().max(1),
            budget_tokens: budget.context_tokens,
            settings: &settings.context,
            redact_secrets: settings.privacy.redact_secrets,
            folders: files.folders(),
            allowed: &|uri| files.refusal(uri).is_none(),
        })
    }
}
