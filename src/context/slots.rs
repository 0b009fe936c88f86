//! The order of snippets: what stays, stays in front.
//!
//! A backend keeps the longest prefix that two prompts share. So a snippet that is still there keeps
//! its place, one that is new goes to the end, and one that changed counts as new: what changes often
//! gathers at the end, where a change costs least. What is no longer asked for stays while there is
//! room, because the next place is likely to ask for it again, and leaves from the end.

use std::collections::BTreeMap;

use crate::prompt::Snippet;

/// Where a snippet comes from: each source has its switch and its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Declarations of names in use, and imports.
    Declarations,
    /// Copied text.
    Clipboard,
    /// What was edited lately.
    RecentEdits,
    /// Similar windows of other files.
    OpenFiles,
}

/// A snippet with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) source: Source,
    pub(super) snippet: Snippet,
}

/// Tokens left, in all and by source.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) total_tokens: usize,
    pub(super) by_source: BTreeMap<Source, usize>,
}

impl Room {
    /// Takes the room of `slot`, if there is enough.
    pub(super) fn take(&mut self, slot: &Slot) -> bool {
        let tokens = slot.snippet.tokens();
        let of_source = self.by_source.entry(slot.source).or_default();
        if tokens > self.total_tokens || tokens > *of_source {
            return false;
        }
        self.total_tokens -= tokens;
        *of_source -= tokens;
        true
    }
}

/// The new order: `chosen`, which has its room already, and what of `before` is `still` true and
/// finds room.
pub(super) fn arrange(
    before: &[Slot],
    chosen: Vec<Slot>,
    mut room: Room,
    still: impl Fn(&Slot) -> bool,
) -> Vec<Slot> {
    let mut arranged: Vec<Slot> = before
        .iter()
        .filter(|slot| chosen.contains(slot) || (still(slot) && room.take(slot)))
        .cloned()
        .collect();
    for slot in chosen {
        if !arranged.contains(&slot) {
            arranged.push(slot);
        }
    }
    arranged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::prompt::block_tests::snippet;

    fn slot(name: &str) -> Slot {
        Slot {
            source: Source::OpenFiles,
            snippet: snippet(name, name),
        }
    }

    fn slots(names: &str) -> Vec<Slot> {
        names.split_whitespace().map(slot).collect()
    }

    fn room(total_tokens: usize) -> Room {
        Room {
            total_tokens,
            by_source: [(Source::OpenFiles, 1_000)].into(),
        }
    }

    #[test]
    fn what_stays_keeps_its_place_and_what_is_new_goes_last() {
        let token = slot("a").snippet.tokens();
        // (before, chosen, room in snippets, no longer true) → after
        for (before, chosen, free, gone, after) in [
            ("", "b a", 9, "", "b a"),
            ("a b c", "c d a", 9, "", "a b c d"),
            ("a b c", "c d a", 0, "", "a c d"),
            ("a b c d", "e", 2, "", "a b e"),
            ("a b c", "a B c", 9, "b", "a c B"),
            ("a b", "", 9, "a b", ""),
        ] {
            let arranged = arrange(&slots(before), slots(chosen), room(free * token), |slot| {
                !gone.contains(&*slot.snippet.path)
            });
            assert_eq!(arranged, slots(after), "{before} + {chosen}");
        }
    }

    #[test]
    fn a_source_has_no_more_than_its_budget() {
        let each = slot("a").snippet.tokens();
        let mut room = Room {
            total_tokens: 100 * each,
            by_source: [(Source::OpenFiles, 2 * each)].into(),
        };
        let taken = slots("a b c").iter().filter(|slot| room.take(slot)).count();
        assert_eq!(taken, 2);
        let other = Slot {
            source: Source::Clipboard,
            ..slot("d")
        };
        assert!(!room.take(&other));
    }

    proptest! {
        #[test]
        fn a_change_of_one_leaves_the_order_of_the_others(
            names in proptest::collection::btree_set("[a-z]{1,4}", 2..8),
            changed in 0..8_usize,
        ) {
            let before: Vec<Slot> = names.iter().map(|name| slot(name)).collect();
            let changed = changed % before.len();
            let mut chosen = before.clone();
            chosen[changed].snippet.text = "changed".into();
            // Whatever the ranks are.
            chosen.rotate_left(changed);
            let gone = before[changed].clone();
            let after = arrange(&before, chosen, room(1_000), |slot| *slot != gone);
            let others = |slots: &[Slot]| -> Vec<Slot> {
                slots.iter().filter(|s| s.snippet.path != gone.snippet.path).cloned().collect()
            };
            prop_assert_eq!(others(&after), others(&before));
            prop_assert_eq!(&after[..changed], &before[..changed]);
            prop_assert_eq!(after.len(), before.len());
        }
    }
}
