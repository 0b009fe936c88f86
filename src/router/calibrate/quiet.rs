//! Whether anybody waits for a model: measuring is for the moments in which nobody does.
//!
//! Told by whoever asks a model, through the router; one for all routers of a process, as they share the
//! machine.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Calibration;

/// What models are asked.
#[derive(Debug)]
pub(super) struct Quiet {
    work: watch::Sender<Work>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    /// Requests whose end is told.
    under_way: usize,
    /// When the last one began or ended.
    last: Instant,
}

impl Default for Quiet {
    fn default() -> Self {
        Self {
            work: watch::Sender::new(Work {
                under_way: 0,
                last: Instant::now(),
            }),
        }
    }
}

impl Quiet {
    /// A request begins whose end is not told.
    pub(super) fn disturb(&self) {
        self.work.send_modify(|work| work.last = Instant::now());
    }

    fn begin(&self) {
        self.work.send_modify(|work| {
            work.under_way += 1;
            work.last = Instant::now();
        });
    }

    fn end(&self) {
        self.work.send_modify(|work| {
            work.under_way = work.under_way.saturating_sub(1);
            work.last = Instant::now();
        });
    }

    /// Waits until nobody has asked anything for `rest`; what is asked from then on changes the receiver.
    pub(super) async fn after(&self, rest: Duration) -> watch::Receiver<Work> {
        let mut work = self.work.subscribe();
        loop {
            let now = *work.borrow_and_update();
            if now.under_way == 0 && now.last.elapsed() >= rest {
                return work;
            }
            let rested = async {
                if now.under_way > 0 {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep_until(now.last + rest).await;
            };
            tokio::select! {
                // The sender is this.
                _ = work.changed() => {}
                () = rested => {}
            }
        }
    }
}

/// A request under way.
#[derive(Debug)]
#[must_use = "it ends when this is dropped"]
pub struct AtWork(Option<Arc<Calibration>>);

impl AtWork {
    pub(super) fn begin(calibration: Option<Arc<Calibration>>) -> Self {
        if let Some(calibration) = &calibration {
            calibration.quiet.begin();
        }
        Self(calibration)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(calibration) = &self.0 {
            calibration.quiet.end();
        }
    }
}
