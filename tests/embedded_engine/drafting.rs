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
