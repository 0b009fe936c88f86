//! Breaking a computation off in its middle.
//!
//! A decode step of the 1.5B model takes 30 ms on two cores and a chunk of a prompt 160 ms. llama.cpp
//! asks before each of the some hundred nodes of its graph whether it is to go on; what it had begun is
//! then removed from the cache. The async side says what happened ([`Interrupt::given_up`],
//! [`Interrupt::arrived`]), the engine's thread what it works on ([`Interrupt::work`]). Invariant: work is
//! only interrupted for something that came after it began, so whoever begins looks at the queue after it
//! said so.
//!
//! A step of a prompt that is of use to who comes is not broken off, and theirs from then on. Who is given up
//! in favour of somebody else is so a moment before that one comes: such a step goes on for [`GRACE`].
//!
//! Before it computes, llama.cpp turns the keys of text that has moved, in a graph of its own. Broken off
//! in that, some layers would be turned and some not. So a step can be told how many times it is asked
//! until that is over, and answers no till then.

use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_sys_2::llama_context_params;

use super::stretch::{PromptText, Stretch};
use crate::backend::Priority;

/// How long a step of a prompt goes on that was given up: a key that makes one request useless comes with
/// the next one.
const GRACE: Duration = Duration::from_millis(2);

/// The bits of [`Interrupt::running`] under the work's number: its rank.
const LOW_BITS: u32 = 3;
const RANK_MASK: u64 = 0b0111;

/// The rank of work that nobody asked for. Behind every priority.
const NOBODYS_RANK: u64 = 0b0111;

/// What is computed now and whether it is to end.
#[derive(Debug)]
pub(super) struct Interrupt {
    /// The work's number and rank; 0 while nothing is computed that may be broken off.
    running: AtomicU64,
    /// The value of `running` that is to end.
    unwanted: AtomicU64,
    /// The value of `running` that is to end at `given_up_until`.
    given_up: AtomicU64,
    /// In microseconds since `epoch`.
    given_up_until: AtomicU64,
    epoch: Instant,
    /// What the step computes, where that may be of use to others. A std mutex, held for a comparison.
    stretch: Mutex<Option<Stretch>>,
    /// How often the step was asked.
    asked: AtomicU64,
    /// So many times it goes on whatever happens.
    deaf: AtomicU64,
}

/// A step of work. It can be interrupted until this is dropped.
pub(super) struct Step<'a>(&'a Interrupt);

impl Drop for Step<'_> {
    fn drop(&mut self) {
        let mut stretch = self.0.stretch();
        self.0.running.store(0, SeqCst);
        *stretch = None;
    }
}

/// Work that was queued.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) priority: Priority,
    /// Its number and its prompt, where it may take a step over: nobody more important waits.
    pub(super) prompt: Option<(u64, Arc<PromptText>)>,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self {
            running: AtomicU64::new(0),
            unwanted: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            given_up_until: AtomicU64::new(0),
            epoch: Instant::now(),
            stretch: Mutex::default(),
            asked: AtomicU64::new(0),
            deaf: AtomicU64::new(0),
        }
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step")
    }
}

impl Interrupt {
    /// A step of the work with this number begins, of a prompt where a `stretch` of it is computed. It ends
    /// early when somebody more important comes, and when it is given up, but not the first `deaf` times that
    /// it is asked.
    pub(super) fn work(
        &self,
        number: u64,
        priority: Priority,
        deaf: u64,
        stretch: Option<Stretch>,
    ) -> Step<'_> {
        self.begin(label(number, priority), deaf, stretch)
    }

    /// A step begins that nobody asked for. It ends early when anybody comes, as [`work`](Self::work) does.
    pub(super) fn nobodys_work(&self, deaf: u64) -> Step<'_> {
        self.begin(1 << (u64::BITS - 1) | NOBODYS_RANK, deaf, None)
    }

    fn begin(&self, running: u64, deaf: u64, stretch: Option<Stretch>) -> Step<'_> {
        let mut slot = self.stretch();
        *slot = stretch;
        self.asked.store(0, SeqCst);
        self.deaf.store(deaf, SeqCst);
        self.unwanted.store(0, SeqCst);
        self.given_up.store(0, SeqCst);
        self.running.store(running, SeqCst);
        Step(self)
    }

    fn stretch(&self) -> MutexGuard<'_, Option<Stretch>> {
        self.stretch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody was queued.
    pub(super) fn arrived(&self, arrival: &Arrival) {
        // No step begins or ends meanwhile.
        let stretch = self.stretch();
        let running = self.running.load(SeqCst);
        let gives_way = running & RANK_MASK > rank(arrival.priority)
            || running != 0 && self.given_up.load(SeqCst) == running;
        // Who made it end still waits.
        let ends = self.unwanted.load(SeqCst) == running;
        if !gives_way || ends {
            return;
        }
        match (&*stretch, &arrival.prompt) {
            (Some(stretch), Some((number, prompt))) if stretch.serves(prompt) => {
                let taken_over = label(*number, arrival.priority);
                self.running.store(taken_over, SeqCst);
            }
            _ => self.unwanted.store(running, SeqCst),
        }
    }

    /// Somebody of this priority waits by now for the work with this number, wherever it is.
    pub(super) fn raised(&self, number: u64, priority: Priority) {
        let running = self.running.load(SeqCst);
        if running >> LOW_BITS != number && running & RANK_MASK > rank(priority) {
            self.unwanted.store(running, SeqCst);
        }
    }

    /// Nobody waits for the work with this number any more.
    pub(super) fn given_up(&self, number: u64) {
        let stretch = self.stretch();
        let running = self.running.load(SeqCst);
        if running >> LOW_BITS != number {
            return;
        }
        if stretch.is_none() {
            self.unwanted.store(running, SeqCst);
            return;
        }
        self.given_up_until
            .store(micros(self.epoch.elapsed() + GRACE), SeqCst);
        self.given_up.store(running, SeqCst);
    }

    /// The engine is closing.
    pub(super) fn closing(&self) {
        self.unwanted.store(self.running.load(SeqCst), SeqCst);
    }

    /// How often contexts asked since the last step began.
    pub(super) fn times_asked(&self) -> u64 {
        self.asked.load(SeqCst)
    }

    fn is_wanted(&self) -> bool {
        if self.asked.fetch_add(1, SeqCst) < self.deaf.load(SeqCst) {
            return false;
        }
        let running = self.running.load(SeqCst);
        if running == 0 {
            return false;
        }
        let is_over = || micros(self.epoch.elapsed()) >= self.given_up_until.load(SeqCst);
        self.unwanted.load(SeqCst) == running || self.given_up.load(SeqCst) == running && is_over()
    }

    /// Lets the contexts made from `params` ask. They must not outlive `interrupt`.
    #[expect(
        unsafe_code,
        reason = "llama-cpp-2 0.1.160 has no other way to set llama.cpp's abort callback"
    )]
    pub(super) fn listen(interrupt: &Arc<Self>, params: &mut LlamaContextParams) {
        // The wrapper has one field; of the same size, both begin at the same place.
        const { assert!(size_of::<LlamaContextParams>() == size_of::<llama_context_params>()) };
        const { assert!(align_of::<LlamaContextParams>() == align_of::<llama_context_params>()) };
        let raw = std::ptr::from_mut(params).cast::<llama_context_params>();
        // SAFETY: `raw` comes from a unique reference to a struct of exactly this content.
        unsafe {
            (*raw).abort_callback = Some(asked);
            (*raw).abort_callback_data = Arc::as_ptr(interrupt).cast_mut().cast();
        }
    }
}

/// Called by llama.cpp between two nodes, from one of its threads.
#[expect(unsafe_code, reason = "a callback of the C interface")]
unsafe extern "C" fn asked(interrupt: *mut c_void) -> bool {
    // SAFETY: the pointer is that of `listen`, whose caller keeps the value for as long as the context;
    // it is only read, through atomics.
    unsafe { &*interrupt.cast_const().cast::<Interrupt>() }.is_wanted()
}

fn rank(priority: Priority) -> u64 {
    priority as u64
}

/// What tells a step's work from other work.
fn label(number: u64, priority: Priority) -> u64 {
    number << LOW_BITS | rank(priority)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Arrival, GRACE, Interrupt};
    use crate::backend::Priority::{self, Chat, Completion, Prefetch, WarmUp};
    use crate::backend::embedded::stretch::tests::{saying, stretch};

    fn nameless(priority: Priority) -> Arrival {
        Arrival {
            priority,
            prompt: None,
        }
    }

    #[test]
    fn only_what_matters_to_it_ends_a_step() {
        let interrupt = Interrupt::default();
        let ends = |what: &dyn Fn(&Interrupt)| {
            what(&interrupt);
            interrupt.is_wanted()
        };
        assert!(!ends(&|i| i.arrived(&nameless(Completion))), "nothing runs");

        let step = interrupt.work(7, Chat, 0, None);
        assert!(!ends(&|i| i.arrived(&nameless(Chat))));
        assert!(!ends(&|i| i.arrived(&nameless(Prefetch))));
        assert!(!ends(&|i| i.given_up(6)));
        assert!(!ends(&|i| i.raised(7, Completion)), "it is the raised work");
        assert!(!ends(&|i| i.raised(6, Chat)));
        assert!(ends(&|i| i.raised(6, Completion)));
        assert!(ends(&|i| i.arrived(&nameless(Completion))));
        drop(step);
        assert!(!ends(&|_| ()));

        let step = interrupt.work(7, Chat, 0, None);
        assert!(!ends(&|_| ()), "what ended one step does not end the next");
        assert!(ends(&|i| i.given_up(7)));
        drop(step);

        let step = interrupt.work(8, Completion, 0, None);
        assert!(ends(&Interrupt::closing));
        drop(step);

        let step = interrupt.nobodys_work(0);
        assert!(!ends(&|i| i.given_up(0)));
        assert!(ends(&|i| i.arrived(&nameless(Prefetch))));
        drop(step);
    }

    #[test]
    fn a_deaf_step_goes_on_for_so_many_questions() {
        let interrupt = Interrupt::default();
        let step = interrupt.work(7, Chat, 2, None);
        interrupt.given_up(7);
        let answers: Vec<_> = (0..4).map(|_| interrupt.is_wanted()).collect();
        assert_eq!(answers, [false, false, true, true]);
        assert_eq!(interrupt.times_asked(), 4);
        drop(step);
        let step = interrupt.work(8, Chat, 0, None);
        interrupt.given_up(8);
        assert!(interrupt.is_wanted(), "the next one is not deaf");
        drop(step);
    }

    #[test]
    fn a_step_that_serves_who_comes_goes_on_and_is_theirs() {
        let interrupt = Interrupt::default();
        let with = |number, priority, text| Arrival {
            priority,
            prompt: Some((number, saying(text))),
        };
        let warm_up = || interrupt.work(7, WarmUp, 0, Some(stretch("above below", 0..11)));
        let wait_for_grace = || std::thread::sleep(GRACE);

        let step = warm_up();
        interrupt.arrived(&with(8, Completion, "above below typed"));
        assert!(!interrupt.is_wanted());
        interrupt.given_up(7);
        interrupt.arrived(&with(9, Prefetch, "other"));
        wait_for_grace();
        assert!(!interrupt.is_wanted(), "it is no longer the warm-up's");
        interrupt.given_up(8);
        wait_for_grace();
        assert!(interrupt.is_wanted());
        drop(step);

        // Given up first, taken over a moment later, by whoever it is.
        let step = warm_up();
        interrupt.given_up(7);
        interrupt.arrived(&with(8, WarmUp, "above below typed"));
        wait_for_grace();
        assert!(!interrupt.is_wanted());
        drop(step);

        for prompt in ["other", "above"] {
            let step = warm_up();
            interrupt.arrived(&with(8, Completion, prompt));
            assert!(interrupt.is_wanted(), "of no use: {prompt}");
            drop(step);
        }
        let step = warm_up();
        interrupt.given_up(7);
        interrupt.arrived(&with(8, Completion, "other"));
        assert!(interrupt.is_wanted(), "nobody else comes");
        drop(step);
        let step = warm_up();
        interrupt.arrived(&with(8, Completion, "other"));
        interrupt.arrived(&with(9, Completion, "above below typed"));
        assert!(interrupt.is_wanted(), "another one waits");
        drop(step);
        let step = warm_up();
        interrupt.given_up(7);
        wait_for_grace();
        assert!(interrupt.is_wanted(), "nobody came");
        drop(step);
        // Who is as important waits, unless it is given up.
        let step = interrupt.work(7, Completion, 0, Some(stretch("above below", 0..11)));
        interrupt.arrived(&with(8, Completion, "above below typed"));
        interrupt.given_up(8);
        wait_for_grace();
        assert!(!interrupt.is_wanted());
        drop(step);
    }
}
