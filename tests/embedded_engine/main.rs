//! The in-process engine with real weights.
//!
//! `GHOSTLINE_TEST_WEIGHTS` names a GGUF file of Qwen2.5-Coder; the 0.5B is enough. Without it every
//! trial is marked ignored, and a line on stderr says how many were. Nothing here depends on time:
//! what a cancel saved is read from the engine's counters.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "skipped tests are announced")]

mod answers;
mod asking;
mod bare;
mod caching;
mod context;
mod drafting;
mod filling;
mod healing;
mod loading;
mod measure;
mod queueing;
mod residing;
mod splicing;
mod support;

#[path = "../shared/generation.rs"]
mod generation;

mod conversing;

use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};

use generation::on_runtime;

const WEIGHTS: &str = "GHOSTLINE_TEST_WEIGHTS";

type Case = fn(&Path) -> Result<(), Failed>;

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn main() {
    let weights = std::env::var_os(WEIGHTS)
        .map(PathBuf::from)
        .filter(|path| path.is_file());
    let cases: &[(&str, Case)] = &[
        ("answers::a_gap_is_filled", |weights| {
            on_runtime(answers::a_gap_is_filled(weights))
        }),
        ("answers::text_is_no_sentinel", |weights| {
            on_runtime(answers::text_is_no_sentinel(weights))
        }),
        ("answers::an_answer_ends_where_it_should", |weights| {
            on_runtime(answers::an_answer_ends_where_it_should(weights))
        }),
        ("caching::the_next_key_computes_little", |weights| {
            on_runtime(caching::the_next_key_computes_little(weights))
        }),
        (
            "caching::a_cancel_stops_and_leaves_a_valid_cache",
            |weights| on_runtime(caching::a_cancel_stops_and_leaves_a_valid_cache(weights)),
        ),
        ("caching::what_was_chosen_is_chosen_again", |weights| {
            on_runtime(caching::what_was_chosen_is_chosen_again(weights))
        }),
        ("caching::two_documents_keep_their_caches", |weights| {
            on_runtime(caching::two_documents_keep_their_caches(weights))
        }),
        ("caching::a_chat_has_a_context_of_its_own", |weights| {
            on_runtime(caching::a_chat_has_a_context_of_its_own(weights))
        }),
        ("caching::a_full_context_makes_room", |weights| {
            on_runtime(caching::a_full_context_makes_room(weights))
        }),
        (
            "context::a_declaration_of_another_file_is_used",
            |weights| on_runtime(context::a_declaration_of_another_file_is_used(weights)),
        ),
        ("splicing::a_line_more_computes_little", |weights| {
            on_runtime(splicing::a_line_more_computes_little(weights))
        }),
        ("splicing::moved_there_and_back_is_as_before", |weights| {
            on_runtime(splicing::moved_there_and_back_is_as_before(weights))
        }),
        ("splicing::refreshed_is_as_computed_whole", |weights| {
            on_runtime(splicing::refreshed_is_as_computed_whole(weights))
        }),
        ("splicing::nothing_is_moved_when_off", |weights| {
            on_runtime(splicing::nothing_is_moved_when_off(weights))
        }),
        ("drafting::drafts_change_no_answer", |weights| {
            on_runtime(drafting::drafts_change_no_answer(weights))
        }),
        ("drafting::what_was_typed_is_drafted", |weights| {
            on_runtime(drafting::what_was_typed_is_drafted(weights))
        }),
        (
            "splicing::a_cancel_while_keys_are_turned_breaks_nothing",
            |weights| {
                on_runtime(splicing::a_cancel_while_keys_are_turned_breaks_nothing(
                    weights,
                ))
            },
        ),
        (
            "splicing::any_order_of_edits_and_cancels_works",
            |weights| on_runtime(splicing::any_order_of_edits_and_cancels_works(weights)),
        ),
        ("filling::a_prefilled_prompt_is_cached", |weights| {
            on_runtime(filling::a_prefilled_prompt_is_cached(weights))
        }),
        ("filling::a_step_goes_on_for_who_needs_it", |weights| {
            on_runtime(filling::a_step_goes_on_for_who_needs_it(weights))
        }),
        ("filling::a_prompt_survives_many_completions", |weights| {
            on_runtime(filling::a_prompt_survives_many_completions(weights))
        }),
        (
            "filling::ten_thousand_requests_leave_nothing_behind",
            |weights| on_runtime(filling::ten_thousand_requests_leave_nothing_behind(weights)),
        ),
        ("queueing::a_completion_goes_before_a_chat", |weights| {
            on_runtime(queueing::a_completion_goes_before_a_chat(weights))
        }),
        ("queueing::a_full_queue_is_busy", |weights| {
            on_runtime(queueing::a_full_queue_is_busy(weights))
        }),
        ("queueing::a_dropped_engine_ends_its_streams", |weights| {
            on_runtime(queueing::a_dropped_engine_ends_its_streams(weights))
        }),
        ("healing::a_word_is_finished_in_its_own_tokens", |weights| {
            on_runtime(healing::a_word_is_finished_in_its_own_tokens(weights))
        }),
        ("healing::an_indentation_is_computed_once", |weights| {
            on_runtime(healing::an_indentation_is_computed_once(weights))
        }),
        ("healing::the_typed_text_is_not_repeated", |weights| {
            on_runtime(healing::the_typed_text_is_not_repeated(weights))
        }),
        ("healing::keys_within_a_word_compute_little", |weights| {
            on_runtime(healing::keys_within_a_word_compute_little(weights))
        }),
        ("loading::bad_files_are_load_errors", |weights| {
            on_runtime(loading::bad_files_are_load_errors(weights))
        }),
        ("loading::the_installed_model_is_described", |weights| {
            on_runtime(loading::the_installed_model_is_described(weights))
        }),
        ("loading::an_unused_model_is_unloaded", |weights| {
            on_runtime(loading::an_unused_model_is_unloaded(weights))
        }),
    ];
    // Figures, not verdicts: run with `--ignored` and a name.
    let measurements: &[(&str, Case)] = &[
        ("measure::healed_against_unhealed", |weights| {
            on_runtime(measure::healed_against_unhealed(weights))
        }),
        ("bare::small_batches", |weights| {
            on_runtime(bare::small_batches(weights))
        }),
    ];
    if weights.is_none() {
        eprintln!(
            "SKIPPED: {} tests of the in-process engine, because {WEIGHTS} names no file",
            cases.len() + conversing::CASES.len() + asking::CASES.len() + residing::CASES.len()
        );
    }
    let trial = |&(name, case): &(&str, Case)| {
        let path = weights.clone().unwrap_or_default();
        Trial::test(name, move || case(&path))
    };
    let trials = cases
        .iter()
        .chain(conversing::CASES)
        .chain(asking::CASES)
        .chain(residing::CASES)
        .map(|case| trial(case).with_ignored_flag(weights.is_none()))
        .chain(
            measurements
                .iter()
                .map(|case| trial(case).with_ignored_flag(true)),
        )
        .collect();
    let mut arguments = Arguments::from_args();
    // Each trial holds a model and its cache; one after the other is kind to a small machine.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}
