//! The line in front of the engine: bounded, by [`Priority`], then by arrival.
//!
//! The async side pushes, the engine's thread pops and asks between two steps whether somebody more
//! important waits. The lock is held for a few comparisons, never during a decode or an await; a std
//! mutex is enough and works from both sides. What was given up by its asker counts as gone.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::Priority;

/// Work that its asker can give up.
pub(super) trait Abandon {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
}

/// A place in the line. A lower ticket goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) priority: Priority,
    arrival: u64,
}

/// Why something was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// As many as [`Queue::new`] allows wait already.
    Full,
    /// The engine is gone.
    Closed,
}

/// What [`Queue::pop`] saw.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped<T> {
    Item(Ticket, T),
    /// Nothing came within the time.
    Idle,
    /// Nothing will come.
    Closed,
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    line: Mutex<Line<T>>,
    /// Signalled at each push and at the end.
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct Line<T> {
    waiting: Vec<(Ticket, T)>,
    arrivals: u64,
    closed: bool,
}

impl<T: Abandon> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
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
    pub(super) fn push(&self, priority: Priority, item: T) -> Result<(), Refused> {
        let mut line = self.lock();
        if line.closed {
            return Err(Refused::Closed);
        }
        line.waiting.retain(|(_, waiting)| !waiting.is_abandoned());
        if line.waiting.len() >= self.capacity {
            return Err(Refused::Full);
        }
        line.arrivals += 1;
        let ticket = Ticket {
            priority,
            arrival: line.arrivals,
        };
        line.waiting.push((ticket, item));
        self.changed.notify_one();
        Ok(())
    }

    /// Puts work that was begun back at its old place, whatever the capacity. Dropped once closed.
    pub(super) fn put_back(&self, ticket: Ticket, item: T) {
        let mut line = self.lock();
        if !line.closed {
            line.waiting.push((ticket, item));
        }
    }

    /// Waits for the first in line, at most for `patience`, or for ever.
    pub(super) fn pop(&self, patience: Option<Duration>) -> Popped<T> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        let mut line = self.lock();
        loop {
            if line.closed {
                return Popped::Closed;
            }
            line.waiting.retain(|(_, waiting)| !waiting.is_abandoned());
            let first = (0..line.waiting.len()).min_by_key(|&at| line.waiting.get(at).map(|w| w.0));
            if let Some(first) = first {
                let (ticket, item) = line.waiting.swap_remove(first);
                return Popped::Item(ticket, item);
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

    /// Whether somebody waits who goes before work of `priority` that already runs.
    pub(super) fn waits_before(&self, priority: Priority) -> bool {
        let line = self.lock();
        line.waiting
            .iter()
            .any(|(ticket, item)| ticket.priority < priority && !item.is_abandoned())
    }

    /// Whether nobody waits, and the end has not come.
    pub(super) fn is_empty(&self) -> bool {
        let line = self.lock();
        !line.closed && line.waiting.iter().all(|(_, item)| item.is_abandoned())
    }

    /// Drops all that waits, and refuses all that comes.
    pub(super) fn close(&self) {
        let mut line = self.lock();
        line.closed = true;
        let dropped = std::mem::take(&mut line.waiting);
        self.changed.notify_all();
        drop(line);
        // Dropped without the lock: an item's drop wakes its asker, who may come here.
        drop(dropped);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::{Abandon, Popped, Queue, Refused};
    use crate::backend::Priority::{self, Chat, Completion, Prefetch, WarmUp};

    #[derive(Debug, Clone, PartialEq)]
    struct Work(u32, Rc<Cell<bool>>);

    impl Abandon for Work {
        fn is_abandoned(&self) -> bool {
            self.1.get()
        }
    }

    fn work(number: u32) -> Work {
        Work(number, Rc::new(Cell::new(false)))
    }

    fn queue_of(priorities: &[Priority]) -> Queue<Work> {
        let queue = Queue::new(priorities.len());
        for (number, &priority) in (0..).zip(priorities) {
            queue.push(priority, work(number)).expect("there is room");
        }
        queue
    }

    fn pop_all(queue: &Queue<Work>) -> Vec<u32> {
        std::iter::from_fn(|| match queue.pop(Some(Duration::ZERO)) {
            Popped::Item(_, work) => Some(work.0),
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
        let Popped::Item(ticket, first) = queue.pop(None) else {
            panic!("nothing waits")
        };
        queue.push(Chat, work(7)).expect("there is room");
        assert_eq!(queue.push(Chat, work(8)), Err(Refused::Full));
        queue.put_back(ticket, first);
        assert_eq!(pop_all(&queue), [0, 1, 7]);
    }

    #[test]
    fn only_a_higher_priority_interrupts() {
        let queue = queue_of(&[Chat]);
        assert!(!queue.waits_before(Completion));
        assert!(!queue.waits_before(Chat));
        assert!(queue.waits_before(Prefetch));
    }

    #[test]
    fn what_was_given_up_is_gone() {
        let queue = Queue::new(1);
        let given_up = work(0);
        queue
            .push(Completion, given_up.clone())
            .expect("there is room");
        assert!(queue.waits_before(Chat));
        given_up.1.set(true);
        assert!(!queue.waits_before(Chat));
        queue.push(Chat, work(1)).expect("there is room");
        assert_eq!(pop_all(&queue), [1]);
    }

    #[test]
    fn a_closed_line_is_empty_and_refuses() {
        let queue = queue_of(&[Chat]);
        queue.close();
        assert_eq!(queue.pop(None), Popped::Closed);
        assert_eq!(queue.push(Chat, work(1)), Err(Refused::Closed));
    }
}
