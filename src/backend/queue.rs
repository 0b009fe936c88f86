//! The line in front of the engine: bounded, by [`Priority`], then by arrival.
//!
//! One for all models. Used by the embedded engine, and by the device of a replay, which has no model.
//! The async side pushes, the engine's thread pops and asks between two steps whether somebody more
//! important waits. The lock is held for a few comparisons, never during a decode or an await; a std mutex
//! is enough and works from both sides. What was given up by its asker counts as gone, and the priority is
//! the one that the work has when somebody looks: it may rise while it waits. Whoever pops or asks says
//! which work can be done at once; the rest, which waits for its model, is as if it were not there.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::Priority;

/// What waits in the line.
pub(crate) trait Work {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Who waits for it at this moment.
    fn priority(&self) -> Priority;
}

/// A place among equals. A lower one goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrival(u64);

/// Why something was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many as [`Queue::new`] allows wait already.
    Full,
    /// The engine is gone.
    Closed,
}

/// What [`Queue::pop`] saw.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Popped<T> {
    Item(Arrival, T),
    /// Nothing came within the time.
    Idle,
    /// Nothing will come.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Queue<T> {
    line: Mutex<Line<T>>,
    /// Signalled at each push and at the end.
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct Line<T> {
    waiting: Vec<(Arrival, T)>,
    arrivals: u64,
    closed: bool,
}

impl<T: Work> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let line = Line {
            waiting: Vec::new(),
            arrivals: 0,
            closed: false,
        };
        Self {
            line: Mutex::new(line),
            changed: Condvar::new(),
            capacity,
        }
    }

    /// A panic while the lock was held cannot leave the line half changed, so it stays usable.
    fn lock(&self) -> MutexGuard<'_, Line<T>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `item` behind all of its priority.
    pub(crate) fn push(&self, item: T) -> Result<(), Refused> {
        let mut line = self.lock();
        if line.closed {
            return Err(Refused::Closed);
        }
        line.waiting.retain(|(_, waiting)| !waiting.is_abandoned());
        if line.waiting.len() >= self.capacity {
            return Err(Refused::Full);
        }
        line.arrivals += 1;
        let arrival = Arrival(line.arrivals);
        line.waiting.push((arrival, item));
        self.changed.notify_one();
        Ok(())
    }

    /// Puts work that was begun back at its old place, whatever the capacity. Dropped once closed.
    pub(crate) fn put_back(&self, arrival: Arrival, item: T) {
        let mut line = self.lock();
        if !line.closed {
            line.waiting.push((arrival, item));
            self.changed.notify_one();
        }
    }

    /// Queues what the engine itself has to do, whatever the capacity. Dropped once closed.
    pub(crate) fn push_own(&self, item: T) {
        self.put_back(Arrival(0), item);
    }

    /// Waits for the first in line that is `ready`, at most for `patience`, or for ever.
    pub(crate) fn pop(&self, patience: Option<Duration>, ready: impl Fn(&T) -> bool) -> Popped<T> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let mut line = self.lock();
        loop {
            if line.closed {
                return Popped::Closed;
            }
            line.waiting.retain(|(_, waiting)| !waiting.is_abandoned());
            let first = line
                .waiting
                .iter()
                .enumerate()
                .filter(|(_, (_, item))| ready(item))
                .min_by_key(|(_, (arrival, item))| (item.priority(), *arrival))
                .map(|(at, _)| at);
            if let Some(first) = first {
                let (arrival, item) = line.waiting.swap_remove(first);
                return Popped::Item(arrival, item);
            }
            line = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Popped::Idle,
                Some(left) => {
                    self.changed
                        .wait_timeout(line, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(line)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Whether somebody waits who is `ready` and goes before work of `priority` that already runs.
    pub(crate) fn waits_before(&self, priority: Priority, ready: impl Fn(&T) -> bool) -> bool {
        let line = self.lock();
        line.waiting
            .iter()
            .any(|(_, item)| item.priority() < priority && !item.is_abandoned() && ready(item))
    }

    /// Whether nobody waits who is `ready`, and the end has not come.
    pub(crate) fn is_empty(&self, ready: impl Fn(&T) -> bool) -> bool {
        let line = self.lock();
        let mut waiting = line.waiting.iter();
        !line.closed && waiting.all(|(_, item)| item.is_abandoned() || !ready(item))
    }

    /// Takes out everything that `is_meant`.
    pub(crate) fn take(&self, is_meant: impl Fn(&T) -> bool) -> Vec<T> {
        let mut line = self.lock();
        let (taken, left) = std::mem::take(&mut line.waiting)
            .into_iter()
            .partition(|(_, item)| is_meant(item));
        line.waiting = left;
        drop(line);
        let taken: Vec<(Arrival, T)> = taken;
        taken.into_iter().map(|(_, item)| item).collect()
    }

    /// Changes what waits. Its order is looked at anew when somebody pops.
    pub(crate) fn for_each(&self, change: impl FnMut(&mut T)) {
        let mut line = self.lock();
        line.waiting
            .iter_mut()
            .map(|(_, item)| item)
            .for_each(change);
    }

    /// Drops all that waits, and refuses all that comes.
    pub(crate) fn close(&self) {
        let mut line = self.lock();
        line.closed = true;
        let dropped = std::mem::take(&mut line.waiting);
        self.changed.notify_all();
        drop(line);
        // Dropped without the lock: an item's drop wakes its asker, who may come here.
        drop(dropped);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::{Popped, Queue, Refused, Work};
    use crate::backend::Priority::{self, Chat, Completion, Prefetch, WarmUp};

    #[derive(Debug, Clone, PartialEq)]
    struct Item {
        number: u32,
        given_up: Rc<Cell<bool>>,
        priority: Rc<Cell<Priority>>,
    }

    impl Work for Item {
        fn is_abandoned(&self) -> bool {
            self.given_up.get()
        }

        fn priority(&self) -> Priority {
            self.priority.get()
        }
    }

    fn item(number: u32, priority: Priority) -> Item {
        Item {
            number,
            given_up: Rc::default(),
            priority: Rc::new(Cell::new(priority)),
        }
    }

    fn any(_: &Item) -> bool {
        true
    }

    fn queue_of(priorities: &[Priority]) -> Queue<Item> {
        let queue = Queue::new(priorities.len());
        for (number, &priority) in (0..).zip(priorities) {
            queue.push(item(number, priority)).expect("there is room");
        }
        queue
    }

    fn pop_all(queue: &Queue<Item>) -> Vec<u32> {
        std::iter::from_fn(|| match queue.pop(Some(Duration::ZERO), any) {
            Popped::Item(_, item) => Some(item.number),
            Popped::Idle | Popped::Closed => None,
        })
        .collect()
    }

    #[test]
    fn order_is_by_priority_then_arrival() {
        let cases: &[(&[Priority], &[u32])] = &[
            (&[], &[]),
            (&[Chat, Chat, Chat], &[0, 1, 2]),
            (
                &[WarmUp, Chat, Completion, Prefetch, Completion],
                &[2, 4, 1, 3, 0],
            ),
        ];
        for (priorities, expect) in cases {
            assert_eq!(pop_all(&queue_of(priorities)), *expect, "{priorities:?}");
        }
    }

    #[test]
    fn work_put_back_keeps_its_place_even_in_a_full_line() {
        let queue = queue_of(&[Chat, Chat]);
        let Popped::Item(arrival, first) = queue.pop(None, any) else {
            panic!("nothing waits")
        };
        queue.push(item(7, Chat)).expect("there is room");
        assert_eq!(queue.push(item(8, Chat)), Err(Refused::Full));
        queue.put_back(arrival, first);
        queue.push_own(item(9, Chat));
        assert_eq!(pop_all(&queue), [9, 0, 1, 7]);
    }

    #[test]
    fn only_a_higher_priority_interrupts() {
        let queue = queue_of(&[Chat]);
        assert!(!queue.waits_before(Completion, any));
        assert!(!queue.waits_before(Chat, any));
        assert!(queue.waits_before(Prefetch, any));
    }

    #[test]
    fn a_priority_that_rises_moves_its_work_forward() {
        let queue = queue_of(&[Chat, Prefetch]);
        let guess = item(7, Prefetch);
        queue.put_back(super::Arrival(9), guess.clone());
        assert!(!queue.waits_before(Chat, any));
        guess.priority.set(Completion);
        assert!(queue.waits_before(Chat, any));
        assert_eq!(pop_all(&queue), [7, 0, 1]);
    }

    #[test]
    fn what_is_not_ready_is_passed_over() {
        let queue = queue_of(&[Completion, Chat, Completion]);
        let even = |item: &Item| item.number.is_multiple_of(2);
        let odd = |item: &Item| !even(item);
        assert!(queue.waits_before(Chat, even));
        assert!(!queue.waits_before(Chat, odd));
        assert!(!queue.is_empty(odd));
        let Popped::Item(_, first) = queue.pop(None, odd) else {
            panic!("nothing is ready")
        };
        assert_eq!(first.number, 1);
        assert!(queue.is_empty(odd));
        assert_eq!(queue.pop(Some(Duration::ZERO), odd), Popped::Idle);
        queue.for_each(|item| item.number += 1);
        let taken = queue.take(|item| item.number == 3);
        assert_eq!(
            taken.iter().map(|item| item.number).collect::<Vec<_>>(),
            [3]
        );
        assert_eq!(pop_all(&queue), [1]);
    }

    #[test]
    fn what_was_given_up_is_gone() {
        let queue = Queue::new(1);
        let given_up = item(0, Completion);
        queue.push(given_up.clone()).expect("there is room");
        assert!(queue.waits_before(Chat, any));
        given_up.given_up.set(true);
        assert!(!queue.waits_before(Chat, any));
        queue.push(item(1, Chat)).expect("there is room");
        assert_eq!(pop_all(&queue), [1]);
    }

    #[test]
    fn a_closed_line_is_empty_and_refuses() {
        let queue = queue_of(&[Chat]);
        queue.close();
        assert_eq!(queue.pop(None, any), Popped::Closed);
        assert_eq!(queue.push(item(1, Chat)), Err(Refused::Closed));
    }
}
