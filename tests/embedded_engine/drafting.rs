//! Drafts: they change when a text comes, never which.

use std::path::Path;

use ghostline::backend::embedded::{Drafting, Embedded, EngineOptions};
use ghostline::prompt::Segment;

use crate::support::{answer, engine_with, fim};

/// Tokens of each answer: some lines, in which drafts are right and wrong.
const TOKENS: u32 = 40;

/// Tokens of an answer that is asked for once more. What is written anew stands in other cells, which are
/// summed in another order: of two tokens that are equally likely, another may come some lines further on.
const FEW_TOKENS: u32 = 8;

fn engine(weights: &Path, drafting: Drafting) -> Embedded {
    engine_with(
        weights,
        EngineOptions {
            context_tokens: 2048,
            drafting,
            ..EngineOptions::default()
        },
    )
}

/// Text that goes on much as it went before, text that does not, a word cut in its middle, and a context of more
/// than 512 tokens, from where on llama.cpp attends for a single token in another way.
fn prompts() -> [Vec<Segment>; 4] {
    let arms = "fn name(kind: Kind) -> &'static str {\n    match kind {\n        \
                Kind::Created => \"created\",\n        Kind::Changed => \"changed\",\n        \
                Kind::Renamed => \"renamed\",\n";
    let fields = "impl Default for Options {\n    fn default() -> Self {\n        Self {\n            \
                  width: 80,\n            height: 24,\n";
    let other = "/// Sorts numbers in place, by inserting each where it belongs.\n\
                 pub fn insertion_sort(numbers: &mut [i32]) {\n";
    let long: Vec<String> = (0..60)
        .map(|at| format!("        Kind::Number{at} => {},\n", at * 7919 % 1000))
        .collect();
    let long = [
        "fn value(kind: Kind) -> u32 {\n    match kind {\n",
        &long.concat(),
    ]
    .concat();
    [
        fim(arms, "    }\n}\n", "        Kind::Rem"),
        fim(fields, "        }\n    }\n}\n", "            "),
        fim(other, "}\n", "    for i"),
        fim(&long, "    }\n}\n", "        Kind::Number60"),
    ]
}

pub(crate) async fn drafts_change_no_answer(weights: &Path) {
    let plain = engine(weights, Drafting::Off);
    let drafting = engine(weights, Drafting::Always);
    for prompt in prompts() {
        let (expect, one_by_one) = answer(&plain, &prompt, TOKENS).await;
        let (text, finish) = answer(&drafting, &prompt, TOKENS).await;
        assert_eq!(text, expect);
        assert_eq!(finish.generated_tokens, one_by_one.generated_tokens);
        // What drafts left in the cache is what the text says.
        let (text, _) = answer(&drafting, &prompt, FEW_TOKENS).await;
        assert!(expect.starts_with(&text), "once more: {text:?}, {expect:?}");
    }
    assert_eq!(plain.tokens_drafted(), (0, 0));
    let (drafted, right) = drafting.tokens_drafted();
    assert!(0 < right && right < drafted, "{right} of {drafted}");
}

/// What was typed and taken back is a draft too: where the model spells it out as it was, what comes behind
/// comes in the same step.
pub(crate) async fn what_was_typed_is_drafted(weights: &Path) {
    let plain = engine(weights, Drafting::Off);
    let drafting = engine(weights, Drafting::Always);
    let below = "    }\n    total\n}\n";
    let line = "    for number in numbers.iter() {";
    let (mut steps, mut steps_drafting) = (0, 0);
    for (at, _) in line.char_indices().skip(4) {
        let (typed, _) = line.split_at(at);
        // What is above differs, so that no place is known from the key before.
        let above = format!("// {at}\nfn sum(numbers: &[u32]) -> u32 {{\n    let mut total = 0;\n");
        let prompt = fim(&above, below, typed.trim_end());
        // The prompt but for its end: the first step of an engine has nothing to compare a draft with.
        answer(&plain, &fim(&above, below, ""), 0).await;
        answer(&drafting, &fim(&above, below, ""), 0).await;
        let before = (plain.steps_decoded(), drafting.steps_decoded());
        let (expect, _) = answer(&plain, &prompt, 1).await;
        let (text, _) = answer(&drafting, &prompt, 1).await;
        assert_eq!(text, expect, "{typed:?}");
        steps += plain.steps_decoded() - before.0;
        steps_drafting += drafting.steps_decoded() - before.1;
    }
    assert!(steps_drafting < steps, "{steps_drafting} of {steps} steps");
}
