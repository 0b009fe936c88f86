//! What the tests of this module share, and which actions are offered where.

use super::*;

/// A scene in Rust.
pub(super) fn scene(text: &str, lines: Range<usize>, selected: bool) -> Scene {
    Scene {
        document: Document::new("file:///p/a.rs", 1, "rust", text),
        lines,
        selected,
        remarks: Vec::new(),
        instruction: None,
        asks: false,
    }
}

fn titles(scene: &Scene) -> Vec<String> {
    offered(scene).into_iter().map(|(_, title)| title).collect()
}

#[test]
fn actions_are_offered_where_they_apply() {
    let text = "// make it faster\nfn a() {\n    todo!()\n}\n\n";
    assert_eq!(
        titles(&scene(text, 1..2, false)),
        ["Explain", "Document", "Write tests"]
    );
    assert_eq!(
        titles(&scene(text, 0..4, true)),
        [
            "Complete the todo",
            "Explain",
            "Document",
            "Write tests",
            "Simplify",
            "Rewrite as the comment says",
            "Plan the change"
        ]
    );
    assert!(titles(&scene(text, 4..5, false)).is_empty());
    assert!(titles(&scene(text, 90..99, true)).is_empty());
    let mut asked = scene(text, 1..2, true);
    asked.asks = true;
    asked.remarks.push(Remark {
        line: 1,
        message: format!("wrong {}", "x".repeat(80)),
    });
    let titles = titles(&asked);
    assert!(titles[0].starts_with("Fix: wrong x") && titles[0].ends_with('…'));
    assert!(titles.contains(&"Rewrite…".to_owned()));
    let mut prose = scene("Words.\n", 0..1, true);
    prose.document.language_id = "markdown".into();
    let offered = offered(&prose);
    assert!(
        !offered
            .iter()
            .any(|(a, _)| a.id == "tests" || a.id == "document")
    );
    assert!(ACTIONS.iter().all(|a| named(a.id).is_some()));
}
