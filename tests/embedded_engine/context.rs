//! What another file declares reaches the answer.

use std::path::Path;

use ghostline::config::Settings;
use ghostline::context::{Context, Gatherer, Wish};
use ghostline::document::Document;
use ghostline::prompt::fim::family_of;
use ghostline::prompt::window;

use crate::support::{answer, engine};

const LEDGER: &str = "use crate::account::AccountId;\n\npub struct Ledger {\n    entries: Vec<Entry>,\n}\n\n\
impl Ledger {\n    /// Books an amount.\n    pub fn post_entry(&mut self, account: AccountId, cents: i64, memo: &str) -> Receipt {\n        \
self.entries.push(Entry { account, cents, memo: memo.to_owned() });\n        Receipt(self.entries.len())\n    }\n}\n";
const RENT: &str = "use crate::account::AccountId;\nuse crate::ledger::Ledger;\n\n/// Pays the rent.\n\
pub fn pay_rent(ledger: &mut Ledger, landlord: AccountId, cents: i64) -> Receipt {\n    ledger.|\n}\n";

/// The same gap without and with the block that the other file makes.
pub(crate) async fn a_signature_of_another_file_is_used(weights: &Path) {
    let cursor = RENT.find('|').unwrap();
    let rent = Document::new(
        "file:///bank/src/rent.rs",
        1,
        "rust",
        &RENT.replace('|', ""),
    );
    let context = Context::default();
    context.opened(&Document::new(
        "file:///bank/src/ledger.rs",
        1,
        "rust",
        LEDGER,
    ));
    context.touched(&rent, cursor);
    let (seen, copied) = context.snapshot();
    let mut settings = Settings::default().context;
    settings.open_files = false;
    let wish = Wish {
        document: &rent,
        offset_bytes: cursor,
        window_lines: 0..7,
        budget_tokens: 512,
        settings: &settings,
        folders: &["/bank".into()],
        allowed: &|_| true,
    };
    let block = Gatherer::default().gather(&wish, &seen, copied.as_ref());
    assert!(block.is_some());

    let engine = engine(weights);
    let family = family_of("qwen2.5-coder", None).unwrap();
    let mut texts = Vec::new();
    for block in [None, block.as_ref()] {
        let window = window::cut(&rent.text, cursor, 384, 96);
        let prompt = family.lay_out_with(block, window.above, window.typed, window.after);
        let (text, finish) = answer(&engine, &prompt, 16).await;
        eprintln!("{} prompt tokens: {text:?}", finish.prompt_tokens);
        texts.push(text);
    }
    let [plain, informed] = texts.as_slice() else {
        unreachable!("two were asked")
    };
    assert!(!plain.contains("post_entry"), "{plain:?}");
    assert!(
        informed.starts_with("post_entry(landlord, cents"),
        "{informed:?}"
    );
}
