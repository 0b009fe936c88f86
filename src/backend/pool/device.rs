//! Turns on a device that several roles share, where its servers cannot be told who goes first.
//!
//! An Ollama, or llama.cpp's server, computes what comes in the order of arrival, and two servers on one
//! machine know nothing of each other. A chat's prompt takes seconds, in which no key is answered, and a
//! chat that starts may evict the completion's model. So a request that nobody types for waits until no
//! completion is under way on that machine, and of such requests one at a time has its prompt computed;
//! while tokens come, completions get in between.
//!
//! Made by the host, one for each machine; each endpoint of a pool has a [`Seat`], and so has the engine in
//! this process, which knows itself who goes first of its own. Completions never wait here. Waiting is
//! bounded: somebody who types without a pause must not keep a chat from its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::backend::ollama::{base_url, is_loopback};
use crate::backend::{ChunkStream, Priority};

/// How long something waits for a moment without a completion. Completions come with every key; there
/// is such a moment after each unless the server is slower than the typing.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The machines that run models, each one device.
#[derive(Debug, Default)]
pub struct Devices {
    /// By host; this machine under its own name. Held for a look-up.
    known: Mutex<HashMap<String, Arc<Device>>>,
}

impl Devices {
    /// The device of this machine.
    pub fn here(&self) -> Arc<Device> {
        self.of_host("localhost")
    }

    /// The device of the machine at `url`. All loopback addresses are this one.
    pub fn at(&self, url: &str) -> Arc<Device> {
        let url = base_url(url).ok();
        let host = match &url {
            Some(url) if is_loopback(url) => return self.here(),
            Some(url) => url.host_str().unwrap_or_default(),
            None => "",
        };
        self.of_host(host)
    }

    fn of_host(&self, host: &str) -> Arc<Device> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(host.to_owned()).or_default())
    }
}

/// One device.
#[derive(Debug)]
pub struct Device {
    /// Completions under way, by seat.
    completions: watch::Sender<Vec<usize>>,
    /// One long prompt at a time.
    prompts: Arc<Semaphore>,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            completions: watch::Sender::default(),
            prompts: Arc::new(Semaphore::new(1)),
        }
    }
}

/// An endpoint's place at its device.
#[derive(Debug)]
pub(crate) struct Seat {
    device: Arc<Device>,
    number: usize,
    /// The server takes in what comes while it computes, so that its own requests do not wait for each
    /// other.
    batches: bool,
}

/// Leave to compute on the device.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Of a completion: the device and the seat that it is counted at.
    counted: Option<(Arc<Device>, usize)>,
    /// Until the first token.
    prompt: Option<OwnedSemaphorePermit>,
}

impl Seat {
    pub(crate) fn new(device: Arc<Device>, batches: bool) -> Self {
        let mut number = 0;
        device.completions.send_modify(|counts| {
            number = counts.len();
            counts.push(0);
        });
        Self {
            device,
            number,
            batches,
        }
    }

    /// Waits for a turn; a completion and a guess at the next have it at once.
    pub(crate) async fn turn(&self, priority: Priority) -> Turn {
        if priority == Priority::Completion {
            let completions = &self.device.completions;
            completions.send_modify(|counts| counts[self.number] += 1);
            return Turn {
                counted: Some((Arc::clone(&self.device), self.number)),
                prompt: None,
            };
        }
        let mut turn = Turn {
            counted: None,
            prompt: None,
        };
        if priority == Priority::Prefetch {
            return turn;
        }
        if !self.batches {
            // Nobody closes it.
            turn.prompt = Arc::clone(&self.device.prompts).acquire_owned().await.ok();
        }
        let mut completions = self.device.completions.subscribe();
        let quiet = completions.wait_for(|counts| {
            let mut seats = counts.iter().enumerate();
            seats.all(|(seat, count)| *count == 0 || (self.batches && seat == self.number))
        });
        // Too long a wait is no reason to wait any longer.
        drop(timeout(LONGEST_WAIT, quiet).await);
        turn
    }
}

/// A generation at its seat: its first poll waits for the turn, which is given back with the stream.
pub(crate) fn in_turn(seat: Arc<Seat>, priority: Priority, chunks: ChunkStream) -> ChunkStream {
    let begun = async move {
        let turn = seat.turn(priority).await;
        chunks.inspect(move |_| {
            // Until the last chunk: what a closure holds is dropped with its stream.
            let _ = &turn;
        })
    };
    begun.flatten_stream().boxed()
}

impl Turn {
    /// The prompt was computed: the next one may be.
    pub(super) fn first_token(&mut self) {
        self.prompt = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((device, seat)) = &self.counted {
            device.completions.send_modify(|counts| counts[*seat] -= 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::{Instant, advance};

    use super::*;

    fn seat() -> Seat {
        Seat::new(Arc::default(), false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_chat_waits_for_a_completion_and_never_the_other_way() {
        let seat = seat();
        let typed = seat.turn(Priority::Completion).await;
        let mut chat = Box::pin(seat.turn(Priority::Chat));
        assert!((&mut chat).now_or_never().is_none());
        let second = seat.turn(Priority::Completion).now_or_never();
        drop(typed);
        assert!((&mut chat).now_or_never().is_none(), "one is left");
        drop(second);
        let chat = chat.await;
        assert!(seat.turn(Priority::Completion).now_or_never().is_some());
        drop(chat);
    }

    #[tokio::test(start_paused = true)]
    async fn servers_on_one_machine_know_of_each_other() {
        let devices = Devices::default();
        let chats = Seat::new(devices.at("http://127.0.0.1:8080"), false);
        let completes = Seat::new(devices.at("localhost:11434"), false);
        let elsewhere = Seat::new(devices.at("http://gpu-box:8080"), false);
        let batches = Seat::new(devices.at("http://[::1]:8000"), true);
        let typed = completes.turn(Priority::Completion).await;
        assert!(chats.turn(Priority::Chat).now_or_never().is_none());
        assert!(batches.turn(Priority::Chat).now_or_never().is_none());
        assert!(elsewhere.turn(Priority::Chat).now_or_never().is_some());
        drop(typed);
        // What a server batches waits for others only, and takes no one's turn.
        let typed = batches.turn(Priority::Completion).await;
        let chat = batches.turn(Priority::Chat).now_or_never();
        assert!(chat.is_some());
        assert!(chats.turn(Priority::Chat).now_or_never().is_none());
        drop(typed);
        assert!(chats.turn(Priority::Chat).now_or_never().is_some());
    }

    #[cfg(feature = "embedded")]
    #[tokio::test(start_paused = true)]
    async fn the_engine_of_this_process_sits_at_the_same_device() {
        use futures_util::stream;

        use crate::backend::{Chunk, Finish};

        let devices = Devices::default();
        let server = Seat::new(devices.at("http://127.0.0.1:11434"), false);
        let engine = Arc::new(Seat::new(devices.here(), true));
        let begin = |priority| {
            let end = stream::iter([Ok(Chunk::Done(Finish::default()))]);
            in_turn(Arc::clone(&engine), priority, end.boxed())
        };
        // A chat of the server's waits for as long as the engine completes, though it has said all.
        let mut completes = begin(Priority::Completion);
        assert!(completes.next().now_or_never().is_some());
        assert!(server.turn(Priority::Chat).now_or_never().is_none());
        // The engine's own chat does not: the engine knows who goes first.
        assert!(begin(Priority::Chat).next().now_or_never().is_some());
        drop(completes);
        assert!(server.turn(Priority::Chat).now_or_never().is_some());
        // And the other way round.
        let typed = server.turn(Priority::Completion).await;
        let mut chat = begin(Priority::Chat);
        assert!(chat.next().now_or_never().is_none());
        assert!(begin(Priority::Completion).next().now_or_never().is_some());
        drop(typed);
        assert!(chat.next().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_long_prompt_is_computed_at_a_time() {
        let seat = seat();
        let mut first = seat.turn(Priority::Chat).await;
        let mut second = Box::pin(seat.turn(Priority::Embedding));
        assert!((&mut second).now_or_never().is_none());
        first.first_token();
        assert!(second.now_or_never().is_some());
        drop(first);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let seat = seat();
        let _typed = seat.turn(Priority::Completion).await;
        let asked = Instant::now();
        let _chat = seat.turn(Priority::Chat).await;
        assert_eq!(asked.elapsed(), LONGEST_WAIT);
        advance(LONGEST_WAIT).await;
    }
}
