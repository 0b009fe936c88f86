//! Turns on a device that several roles share, where its server cannot be told who goes first.
//!
//! An Ollama, or llama.cpp's server, computes what comes in the order of arrival. A chat's prompt takes
//! seconds, in which no key is answered, and a chat that starts may evict the completion's model. So a
//! request that nobody types for waits until no completion is under way there, and of such requests one
//! at a time has its prompt computed; while tokens come, completions get in between.
//!
//! Used by the pool for each endpoint. Completions never wait here. Waiting is bounded: somebody who
//! types without a pause must not keep a chat from its answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::backend::Priority;

/// How long something waits for a moment without a completion. Completions come with every key; there
/// is such a moment after each unless the server is slower than the typing.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// One device.
#[derive(Debug)]
pub(super) struct Device {
    /// Completions under way.
    completions: watch::Sender<usize>,
    /// One long prompt at a time.
    prompts: Arc<Semaphore>,
}

/// Leave to compute on the device.
#[derive(Debug)]
pub(super) struct Turn {
    device: Option<Arc<Device>>,
    /// Until the first token.
    prompt: Option<OwnedSemaphorePermit>,
}

impl Device {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            completions: watch::Sender::new(0),
            prompts: Arc::new(Semaphore::new(1)),
        })
    }

    /// Waits for a turn; a completion and a guess at the next have it at once.
    pub(super) async fn turn(self: &Arc<Self>, priority: Priority) -> Turn {
        if matches!(priority, Priority::Completion | Priority::Prefetch) {
            let is_typed = priority == Priority::Completion;
            if is_typed {
                self.completions.send_modify(|count| *count += 1);
            }
            return Turn {
                device: is_typed.then(|| Arc::clone(self)),
                prompt: None,
            };
        }
        // Nobody closes it.
        let prompt = Arc::clone(&self.prompts).acquire_owned().await.ok();
        let mut completions = self.completions.subscribe();
        let quiet = completions.wait_for(|count| *count == 0);
        // Too long a wait is no reason to wait any longer.
        drop(timeout(LONGEST_WAIT, quiet).await);
        Turn {
            device: None,
            prompt,
        }
    }
}

impl Turn {
    /// The prompt was computed: the next one may be.
    pub(super) fn first_token(&mut self) {
        self.prompt = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(device) = &self.device {
            device.completions.send_modify(|count| *count -= 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::{Instant, advance};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_chat_waits_for_a_completion_and_never_the_other_way() {
        let device = Device::new();
        let typed = device.turn(Priority::Completion).await;
        let mut chat = Box::pin(device.turn(Priority::Chat));
        assert!((&mut chat).now_or_never().is_none());
        let second = device.turn(Priority::Completion).now_or_never();
        drop(typed);
        assert!((&mut chat).now_or_never().is_none(), "one is left");
        drop(second);
        let chat = chat.await;
        assert!(device.turn(Priority::Completion).now_or_never().is_some());
        drop(chat);
    }

    #[tokio::test(start_paused = true)]
    async fn one_long_prompt_is_computed_at_a_time() {
        let device = Device::new();
        let mut first = device.turn(Priority::Chat).await;
        let mut second = Box::pin(device.turn(Priority::Embedding));
        assert!((&mut second).now_or_never().is_none());
        first.first_token();
        assert!(second.now_or_never().is_some());
        drop(first);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let device = Device::new();
        let _typed = device.turn(Priority::Completion).await;
        let asked = Instant::now();
        let _chat = device.turn(Priority::Chat).await;
        assert_eq!(asked.elapsed(), LONGEST_WAIT);
        advance(LONGEST_WAIT).await;
    }
}
