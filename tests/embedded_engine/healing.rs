//! A typed part that ends inside a token.

use std::path::Path;

use ghostline::backend::Backend;
use ghostline::backend::embedded::{Embedded, EngineOptions};
use ghostline::prompt::Segment;

use crate::support::{answer, collect, computed, document, engine, engine_with, fim, request};

/// As [`engine`], with what the words are made of left to the tokenizer.
pub(crate) fn unhealed(weights: &Path) -> Embedded {
    engine_with(
        weights,
        EngineOptions {
            context_tokens: 2048,
            healing: false,
            ..EngineOptions::default()
        },
    )
}

const ABOVE: &str = "class Index:\n    def __init__(self):\n        self.documents = []\n\n    \
                     def size(self):\n";
const BELOW: &str = "\n\n    def clear(self):\n        self.documents = []\n";

pub(crate) async fn a_word_is_finished_in_its_own_tokens(weights: &Path) {
    let engine = engine(weights);
    let cases = [
        ("        return len(self.docu", "ments"),
        ("        return len(self.d", "ocuments"),
        ("        return len(self.documen", "ts"),
        ("        return len(self.", "documents"),
        ("        retu", "rn "),
    ];
    for (typed, expect) in cases {
        let (text, _) = answer(&engine, &fim(ABOVE, BELOW, typed), 6).await;
        assert!(text.starts_with(expect), "{typed:?}: {text:?}");
    }
}

/// The blanks before a word stay in the cache, and no token is spent on them.
pub(crate) async fn an_indentation_is_computed_once(weights: &Path) {
    let engine = engine(weights);
    for above in ["", "        self.count += 1\n"] {
        let fim = |typed: &str| fim(ABOVE, BELOW, &[above, typed].concat());
        let (text, begun) = answer(&engine, &fim("        "), 1).await;
        assert!(!text.trim().is_empty(), "{begun:?}");
        let (_, typed) = answer(&engine, &fim("        r"), 1).await;
        assert_eq!(typed.prompt_tokens, begun.prompt_tokens, "{above:?}");
        assert_eq!(typed.cached_tokens, Some(typed.prompt_tokens), "{above:?}");
    }
}

/// Whatever the model would say, what comes out goes on behind what was typed.
pub(crate) async fn the_typed_text_is_not_repeated(weights: &Path) {
    let engine = engine(weights);
    let whole = "        return len(self.documents)";
    let mut right = 0;
    for (at, _) in whole.char_indices().skip(8) {
        let (typed, rest) = whole.split_at(at);
        let (text, finish) = answer(&engine, &fim(ABOVE, BELOW, typed), 8).await;
        assert!(finish.generated_tokens <= 8, "{typed:?}: {finish:?}");
        right += usize::from(!rest.trim().is_empty() && text.starts_with(rest.trim_end()));
    }
    // Any text that was not cut off its own beginning would fit at no place.
    assert!(right > 10, "only {right} of the places were completed");

    // Letters that no vocabulary joins, half of a word that is no word, and more than is taken back.
    for typed in ["let größe_ß", "xqzv", "let a = \"日本", &"-".repeat(200)] {
        let limited = request(fim("", "\n", typed), 4);
        let (text, finish) = collect(engine.stream(limited)).await.unwrap();
        assert!(!text.contains('\u{fffd}'), "{typed:?}: {text:?}");
        assert!(finish.generated_tokens <= 4, "{typed:?}: {finish:?}");
    }

    // A prompt that is no gap to fill stays as it is.
    let chat = [Segment::Text("The first word of \"self.docu".to_owned())];
    let (_, healed) = answer(&engine, &chat, 1).await;
    let (_, plain) = answer(&unhealed(weights), &chat, 1).await;
    assert_eq!(healed.prompt_tokens, plain.prompt_tokens);
}

pub(crate) async fn keys_within_a_word_compute_little(weights: &Path) {
    let engine = engine(weights);
    let above = document("widget");
    let word = "let total = widget_1(a) + widget_2(a)";
    answer(&engine, &fim(&above, "\n}\n", ""), 1).await;
    for (at, character) in word.char_indices() {
        let end = at + character.len_utf8();
        let (typed, _) = word.split_at(end);
        let before = engine.tokens_decoded();
        // Dropped at its first text, as a person who types on does.
        let mut stream = engine.stream(request(fim(&above, "\n}\n", typed.trim_end()), 1));
        while let Some(Ok(_)) = futures_util::StreamExt::next(&mut stream).await {}
        let tokens = engine.tokens_decoded() - before;
        assert!(tokens <= 4, "{typed:?} took {tokens} tokens");
    }
    let (_, finish) = answer(&engine, &fim(&above, "\n}\n", word), 1).await;
    assert!(computed(&finish) <= 4, "{finish:?}");
}
