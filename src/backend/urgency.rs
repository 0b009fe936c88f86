//! Who waits for a generation, which may change while it runs.
//!
//! Made by whoever asks, kept by the backend as well. A guess at the next completion is asked for by
//! nobody; a person who types on to where it was made joins it, and from then on waits for it.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use super::Priority;

/// In the order of [`Priority`].
const PRIORITIES: [Priority; 5] = [
    Priority::Completion,
    Priority::Chat,
    Priority::Prefetch,
    Priority::Embedding,
    Priority::WarmUp,
];

/// The priority that a generation has now.
pub struct Urgency {
    /// An index into [`PRIORITIES`].
    priority: AtomicU8,
    /// Told of each rise; set once, by the backend that takes the request.
    heard: OnceLock<Box<dyn Fn(Priority) + Send + Sync>>,
}

impl fmt::Debug for Urgency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Urgency").field(&self.priority()).finish()
    }
}

impl Urgency {
    /// As the request says.
    pub fn new(priority: Priority) -> Arc<Self> {
        Arc::new(Self {
            priority: AtomicU8::new(index(priority)),
            heard: OnceLock::new(),
        })
    }

    /// Who waits now.
    pub fn priority(&self) -> Priority {
        let at = usize::from(self.priority.load(Ordering::SeqCst));
        PRIORITIES.get(at).copied().unwrap_or(Priority::WarmUp)
    }

    /// Somebody of `priority` waits too. Nothing changes when that is less important.
    pub fn raise(&self, priority: Priority) {
        let before = self.priority.fetch_min(index(priority), Ordering::SeqCst);
        if before > index(priority)
            && let Some(heard) = self.heard.get()
        {
            heard(priority);
        }
    }

    /// Calls `heard` at each rise from now on; only the first caller's is kept.
    pub(crate) fn listen(&self, heard: impl Fn(Priority) + Send + Sync + 'static) {
        drop(self.heard.set(Box::new(heard)));
    }
}

fn index(priority: Priority) -> u8 {
    priority as u8
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{PRIORITIES, Urgency, index};
    use crate::backend::Priority::{Chat, Completion, Prefetch, WarmUp};

    #[test]
    fn it_rises_and_never_falls() {
        for (at, &priority) in (0_u8..).zip(&PRIORITIES) {
            assert_eq!(index(priority), at);
        }
        let urgency = Urgency::new(Prefetch);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = heard.clone();
        urgency.listen(move |priority| told.lock().expect("not poisoned").push(priority));
        for (raise, expect) in [
            (WarmUp, Prefetch),
            (Chat, Chat),
            (Completion, Completion),
            (Chat, Completion),
        ] {
            urgency.raise(raise);
            assert_eq!(urgency.priority(), expect);
        }
        assert_eq!(*heard.lock().expect("not poisoned"), [Chat, Completion]);
    }
}
