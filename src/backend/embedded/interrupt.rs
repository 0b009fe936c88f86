//! Breaking a computation off in its middle.
//!
//! A decode step of the 1.5B model takes 30 ms on two cores and a chunk of a prompt 160 ms. llama.cpp
//! asks before each of the some hundred nodes of its graph whether it is to go on; what it had begun is
//! then removed from the cache. The async side says what happened ([`Interrupt::given_up`],
//! [`Interrupt::arrived`]), the engine's thread what it works on ([`Interrupt::work`]). Invariant: work is
//! only interrupted for something that came after it began, so whoever begins looks at the queue after it
//! said so.
//!
//! Before it computes, llama.cpp turns the keys of text that has moved, in a graph of its own. Broken off
//! in that, some layers would be turned and some not. So a step can be told how many times it is asked
//! until that is over, and answers no till then.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_sys_2::llama_context_params;

use crate::backend::Priority;

/// The bits of [`Interrupt::running`] under the work's number: its rank.
const LOW_BITS: u32 = 3;
const RANK_MASK: u64 = 0b0111;

/// The rank of work that nobody asked for. Behind every priority.
const NOBODYS_RANK: u64 = 0b0111;

/// What is computed now and whether it is to end.
#[derive(Debug, Default)]
pub(super) struct Interrupt {
    /// The work's number and rank; 0 while nothing is computed that may be broken off.
    running: AtomicU64,
    /// The value of `running` that is to end.
    unwanted: AtomicU64,
    /// How often the step was asked.
    asked: AtomicU64,
    /// So many times it goes on whatever happens.
    deaf: AtomicU64,
}

/// A step of work. It can be interrupted until this is dropped.
pub(super) struct Step<'a>(&'a Interrupt);

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.0.running.store(0, SeqCst);
    }
}

impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step")
    }
}

impl Interrupt {
    /// A step of the work with this number begins. It ends early when somebody more important comes, and
    /// when it is given up, but not the first `deaf` times that it is asked.
    pub(super) fn work(&self, number: u64, priority: Priority, deaf: u64) -> Step<'_> {
        self.begin(number << LOW_BITS | rank(priority), deaf)
    }

    /// A step begins that nobody asked for. It ends early when anybody comes, as [`work`](Self::work) does.
    pub(super) fn nobodys_work(&self, deaf: u64) -> Step<'_> {
        self.begin(1 << (u64::BITS - 1) | NOBODYS_RANK, deaf)
    }

    fn begin(&self, running: u64, deaf: u64) -> Step<'_> {
        self.asked.store(0, SeqCst);
        self.deaf.store(deaf, SeqCst);
        self.unwanted.store(0, SeqCst);
        self.running.store(running, SeqCst);
        Step(self)
    }

    /// Somebody was queued.
    pub(super) fn arrived(&self, priority: Priority) {
        let running = self.running.load(SeqCst);
        if running & RANK_MASK > rank(priority) {
            self.unwanted.store(running, SeqCst);
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
        let running = self.running.load(SeqCst);
        if running >> LOW_BITS == number {
            self.unwanted.store(running, SeqCst);
        }
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
        running != 0 && self.unwanted.load(SeqCst) == running
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

#[cfg(test)]
mod tests {
    use super::Interrupt;
    use crate::backend::Priority::{Chat, Completion, Prefetch};

    #[test]
    fn only_what_matters_to_it_ends_a_step() {
        let interrupt = Interrupt::default();
        let ends = |what: &dyn Fn(&Interrupt)| {
            what(&interrupt);
            interrupt.is_wanted()
        };
        assert!(!ends(&|i| i.arrived(Completion)), "nothing runs");

        let step = interrupt.work(7, Chat, 0);
        assert!(!ends(&|i| i.arrived(Chat)));
        assert!(!ends(&|i| i.arrived(Prefetch)));
        assert!(!ends(&|i| i.given_up(6)));
        assert!(!ends(&|i| i.raised(7, Completion)), "it is the raised work");
        assert!(!ends(&|i| i.raised(6, Chat)));
        assert!(ends(&|i| i.raised(6, Completion)));
        assert!(ends(&|i| i.arrived(Completion)));
        drop(step);
        assert!(!ends(&|_| ()));

        let step = interrupt.work(7, Chat, 0);
        assert!(!ends(&|_| ()), "what ended one step does not end the next");
        assert!(ends(&|i| i.given_up(7)));
        drop(step);

        let step = interrupt.work(8, Completion, 0);
        assert!(ends(&Interrupt::closing));
        drop(step);

        let step = interrupt.nobodys_work(0);
        assert!(!ends(&|i| i.given_up(0)));
        assert!(ends(&|i| i.arrived(Prefetch)));
        drop(step);
    }

    #[test]
    fn a_deaf_step_goes_on_for_so_many_questions() {
        let interrupt = Interrupt::default();
        let step = interrupt.work(7, Chat, 2);
        interrupt.given_up(7);
        let answers: Vec<_> = (0..4).map(|_| interrupt.is_wanted()).collect();
        assert_eq!(answers, [false, false, true, true]);
        assert_eq!(interrupt.times_asked(), 4);
        drop(step);
        let step = interrupt.work(8, Chat, 0);
        interrupt.given_up(8);
        assert!(interrupt.is_wanted(), "the next one is not deaf");
        drop(step);
    }
}
