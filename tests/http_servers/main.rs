//! The backends that speak HTTP against llama.cpp's real server, with real weights.
//!
//! `GHOSTLINE_TEST_WEIGHTS` names a GGUF file of Qwen2.5-Coder; the 0.5B is enough.
//! `GHOSTLINE_TEST_PYTHON` names a Python that has the packages of `requirements.txt`. Without either
//! every trial is marked ignored, and a line on stderr says why.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "skipped tests are announced")]

#[cfg(feature = "embedded")]
mod calibrate;
mod llama_server;
mod openai;
mod pool;
mod support;

#[path = "../shared/generation.rs"]
mod generation;

use libtest_mimic::{Arguments, Failed, Trial};

use generation::on_runtime;

use support::Machine;

type Case = fn(&Machine) -> Result<(), Failed>;

fn main() {
    let cases: &[(&str, Case)] = &[
        ("llama_server::a_gap_is_filled_and_cached", |machine| {
            on_runtime(llama_server::a_gap_is_filled_and_cached(machine))
        }),
        ("llama_server::text_is_no_sentinel", |machine| {
            on_runtime(llama_server::text_is_no_sentinel(machine))
        }),
        ("llama_server::a_cancel_frees_the_slot", |machine| {
            on_runtime(llama_server::a_cancel_frees_the_slot(machine))
        }),
        ("llama_server::killed_and_started_again", |machine| {
            on_runtime(llama_server::killed_and_started_again(machine))
        }),
        ("openai::a_gap_is_filled", |machine| {
            on_runtime(openai::a_gap_is_filled(machine))
        }),
        (
            "openai::a_conversation_is_answered_and_continued",
            |machine| on_runtime(openai::a_conversation_is_answered_and_continued(machine)),
        ),
        ("openai::texts_become_vectors", |machine| {
            on_runtime(openai::texts_become_vectors(machine))
        }),
        ("pool::a_completion_survives_a_killed_server", |machine| {
            on_runtime(pool::a_completion_survives_a_killed_server(machine))
        }),
        ("pool::a_conversation_survives_a_killed_server", |machine| {
            on_runtime(pool::a_conversation_survives_a_killed_server(machine))
        }),
        #[cfg(feature = "embedded")]
        ("calibrate::the_measured_place_serves", |machine| {
            on_runtime(calibrate::the_measured_place_serves(machine))
        }),
    ];
    let machine = Machine::find().inspect_err(|why| {
        eprintln!("SKIPPED: {} tests of real HTTP servers: {why}", cases.len());
    });
    let ignored = machine.is_err();
    let trials = cases
        .iter()
        .map(|&(name, case)| {
            let machine = machine.clone();
            Trial::test(name, move || case(&machine?)).with_ignored_flag(ignored)
        })
        .collect();
    let mut arguments = Arguments::from_args();
    // Each trial holds a model or two; one after the other is kind to a small machine.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}
