//! What another file declares reaches the answer.

use std::path::Path;

use ghostline::config::Settings;
use ghostline::context::{Context, Gatherer, Wish};
use ghostline::document::Document;
use ghostline::prompt::fim::family_of;
use ghostline::prompt::window;

use crate::support::{answer, engine};

const SAIL: &str =
    "/// Where the wind is.\npub enum Heading {\n    Windward,\n    Leeward,\n    Abeam,\n}\n";
const TRIM: &str = "use crate::sail::Heading;\n\npub fn trim_degrees(heading: Heading) -> u8 {\n    \
match heading {\n        Heading::|\n    }\n}\n";

/// The same gap without and with the block that the other file makes.
pub(crate) async fn a_declaration_of_another_file_is_used(weights: &Path) {
    let cursor = TRIM.find('|').unwrap();
    let trim = Document::new(
        "file:///boat/src/trim.rs",
        1,
        "rust",
        &TRIM.replace('|', ""),
    );
    let context = Context::default();
    context.opened(&Document::new("file:///boat/src/sail.rs", 1, "rust", SAIL));
    context.touched(&trim, cursor);
    let (seen, copied) = context.snapshot();
    let mut settings = Settings::default().context;
    settings.open_files = false;
    let wish = Wish {
        document: &trim,
        offset_bytes: cursor,
        window_lines: 0..7,
        budget_tokens: 512,
        settings: &settings,
        redact_secrets: true,
        folders: &["/boat".into()],
        allowed: &|_| true,
    };
    let block = Gatherer::default().gather(&wish, &seen, copied.as_ref());
    assert!(block.is_some());

    let engine = engine(weights);
    let family = family_of("qwen2.5-coder", None).unwrap();
    let mut texts = Vec::new();
    for block in [None, block.as_ref()] {
        let window = window::cut(&trim.text, cursor, 384, 96);
        let prompt = family.lay_out_with(block, window.above, window.typed, window.after);
        let (text, finish) = answer(&engine, &prompt, 32).await;
        eprintln!("{} prompt tokens: {text:?}", finish.prompt_tokens);
        texts.push(text);
    }
    let [plain, informed] = texts.as_slice() else {
        unreachable!("two were asked")
    };
    // Nobody guesses these names.
    assert!(!plain.contains("Windward"), "{plain:?}");
    assert!(informed.starts_with("Windward =>"), "{informed:?}");
    assert!(informed.contains("Heading::Leeward"), "{informed:?}");
}
