//! Turns at something that serves few at a time: a server's slots.
//!
//! Used by the backends whose server queues in order of arrival, where nobody can take a request back
//! or go ahead: the queue is kept here instead. Who waits for a completion goes before who waits for a
//! chat, and so on by [`Priority`]; among equals the first comes first. Dropping a wait leaves the
//! queue, dropping a [`Permit`] lets the next one in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Priority;

/// So many permits, and who waits for one.
#[derive(Debug)]
pub(super) struct Permits {
    /// Never held across an await, nor while a permit is dropped.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    size: usize,
    taken: usize,
    arrived: u64,
    waiting: BTreeMap<(Priority, u64), oneshot::Sender<Permit>>,
}

/// A turn.
#[derive(Debug)]
pub(super) struct Permit {
    permits: Arc<Permits>,
}

impl Permits {
    /// `size` turns at a time; at least 1.
    pub(super) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                size: size.max(1),
                taken: 0,
                arrived: 0,
                waiting: BTreeMap::new(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole before the lock is let go.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn.
    pub(super) async fn acquire(self: &Arc<Self>, priority: Priority) -> Permit {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            state.arrived += 1;
            let place = (priority, state.arrived);
            state.waiting.insert(place, sender);
        }
        self.admit();
        if let Ok(permit) = receiver.await {
            return permit;
        }
        // Senders leave the queue only with a permit; this is a turn out of order, not a hang.
        self.state().taken += 1;
        Permit {
            permits: Arc::clone(self),
        }
    }

    /// Changes how many turns there are at a time; those that are taken stay.
    pub(super) fn resize(self: &Arc<Self>, size: usize) {
        self.state().size = size.max(1);
        self.admit();
    }

    /// Lets in whoever there is room for.
    fn admit(self: &Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state();
                if state.taken >= state.size {
                    return;
                }
                let Some((_, next)) = state.waiting.pop_first() else {
                    return;
                };
                state.taken += 1;
                next
            };
            let permit = Permit {
                permits: Arc::clone(self),
            };
            if let Err(permit) = next.send(permit) {
                // Nobody waits there any more. Not dropped: that would start this loop within itself.
                std::mem::forget(permit);
                self.state().taken -= 1;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.state().taken -= 1;
        self.permits.admit();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn completions_go_first_and_equals_in_order() {
        let permits = Permits::new(1);
        let held = permits.acquire(Priority::Chat).now_or_never();
        let mut waits: Vec<_> = [
            Priority::Chat,
            Priority::Prefetch,
            Priority::Completion,
            Priority::Chat,
            Priority::Completion,
        ]
        .into_iter()
        .map(|priority| Box::pin(permits.acquire(priority)))
        .collect();
        for wait in &mut waits {
            assert!(wait.now_or_never().is_none());
        }
        drop(held);
        let mut order = Vec::new();
        while order.len() < waits.len() {
            let mut done = None;
            for (index, wait) in waits.iter_mut().enumerate() {
                if order.contains(&index) {
                    continue;
                }
                if let Some(permit) = wait.now_or_never() {
                    assert!(done.replace((index, permit)).is_none(), "two at a time");
                }
            }
            let (index, permit) = done.expect("a turn was lost");
            order.push(index);
            drop(permit);
        }
        assert_eq!(order, [2, 4, 0, 3, 1]);
    }

    #[test]
    fn a_wait_that_is_given_up_loses_no_turn() {
        let permits = Permits::new(1);
        let held = permits.acquire(Priority::Chat).now_or_never();
        let mut gone = Box::pin(permits.acquire(Priority::Completion));
        let mut handed = Box::pin(permits.acquire(Priority::Completion));
        let mut last = Box::pin(permits.acquire(Priority::Chat));
        assert!((&mut gone).now_or_never().is_none());
        assert!((&mut handed).now_or_never().is_none());
        assert!((&mut last).now_or_never().is_none());
        drop(gone);
        drop(held);
        // It has its turn by now and never looks.
        drop(handed);
        assert!(last.now_or_never().is_some());
        assert!(permits.acquire(Priority::WarmUp).now_or_never().is_some());
    }

    #[test]
    fn more_turns_let_more_in() {
        let permits = Permits::new(0);
        let _one = permits
            .acquire(Priority::Chat)
            .now_or_never()
            .expect("at least one");
        let mut second = Box::pin(permits.acquire(Priority::Chat));
        assert!((&mut second).now_or_never().is_none());
        permits.resize(2);
        assert!(second.now_or_never().is_some());
    }
}
