//! Long work on files, off the async threads, with byte counts on the way.

use tokio::sync::watch;

/// Runs `work` on a blocking thread. The counts it reports reach `report` on the calling task;
/// counts that come faster than the task runs are merged.
///
/// When the returned future is dropped, `work` runs on to its end: it must own what it needs, the
/// store's lock included.
pub(super) async fn counted<T: Send + 'static>(
    work: impl FnOnce(&mut dyn FnMut(u64)) -> T + Send + 'static,
    mut report: impl FnMut(u64),
) -> T {
    let (sender, mut counts) = watch::channel(0);
    let mut thread = tokio::task::spawn_blocking(move || {
        work(&mut |count_bytes| {
            sender.send_replace(count_bytes);
        })
    });
    loop {
        tokio::select! {
            biased;
            done = &mut thread => return finished(done),
            Ok(()) = counts.changed() => {
                let count_bytes = *counts.borrow_and_update();
                report(count_bytes);
            }
        }
    }
}

/// Runs `work` on a blocking thread; the same rule about dropping holds.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    finished(tokio::task::spawn_blocking(work).await)
}

/// A panic there is a panic here.
fn finished<T>(done: Result<T, tokio::task::JoinError>) -> T {
    match done {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("the runtime shut down under a file operation: {error}"),
        },
    }
}
