//! Candidates and what is installed: rows of names, digests and what serves.

use super::*;
use crate::backend::named::Named;

fn model(name: &str, digest: &str, quantization: &str) -> Installed {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Installed {
        name: name.to_owned(),
        digest: text(digest),
        quantization: text(quantization),
        ..Installed::default()
    }
}

fn candidate(text: &str) -> Candidate {
    let (backend, model) = match text.split_once('/') {
        Some((backend, model)) => (Some(backend.to_owned()), model),
        None => (None, text),
    };
    Candidate {
        backend,
        model: model.to_owned(),
    }
}

const ONE: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const TWO: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn content_counts_and_not_only_the_name() {
    // What was listed before, what is listed now, the candidates, and what serves as which choice.
    type Row<'a> = (
        &'a [(&'a str, &'a str)],
        &'a [(&'a str, &'a str, &'a str)],
        &'a [&'a str],
        Option<(&'a str, bool)>,
    );
    let catalogue = MODELS[0];
    let rows: &[Row<'_>] = &[
        (&[], &[("a:1", ONE, "")], &["a:1"], Some(("a:1", false))),
        (&[], &[("b:1", TWO, "")], &["a:1"], None),
        (
            &[],
            &[("b:1", TWO, "")],
            &["a:1", "b:1"],
            Some(("b:1", true)),
        ),
        // Copied to another name, and the old one removed.
        (
            &[("a:1", ONE)],
            &[("mine:latest", ONE, "")],
            &["a:1", "b:1"],
            Some(("mine:latest", false)),
        ),
        // The name itself goes before what has its content.
        (
            &[("a:1", ONE)],
            &[("mine:latest", ONE, ""), ("a:1", TWO, "")],
            &["a:1"],
            Some(("a:1", false)),
        ),
        // Fetched anew under the same name: the old content is not it any more.
        (
            &[("a:1", ONE), ("a:1", TWO)],
            &[("mine:latest", ONE, "")],
            &["a:1"],
            None,
        ),
        // Names of Ollama's library for one model.
        (
            &[],
            &[(
                "qwen2.5-coder:1.5b-base",
                "sha256:02e0f2817a890123456789",
                "Q4_K_M",
            )],
            &["qwen3-coder:1.5b-q4_K_M", "qwen2.5-coder:1.5b-base-q4_K_M"],
            Some(("qwen2.5-coder:1.5b-base", true)),
        ),
        (
            &[],
            &[("mine:latest", "sha256:02e0f2817a890123456789", "Q4_K_M")],
            &["qwen2.5-coder:1.5b-base-q4_K_M"],
            Some(("mine:latest", false)),
        ),
        (
            &[],
            &[("m:7b", ONE, "Q4_K_M")],
            &["m:7b-q4_K_M"],
            Some(("m:7b", false)),
        ),
        (&[], &[("m:7b", ONE, "Q8_0")], &["m:7b-q4_K_M"], None),
        // Weights of our catalogue that somebody else has fetched.
        (
            &[],
            &[("hf.co/anna/coder:Q4_K_M", catalogue.sha256, "")],
            &[catalogue.name],
            Some(("hf.co/anna/coder:Q4_K_M", false)),
        ),
        // Nobody's text leaves the machine because of a digest.
        (
            &[("a:1", ONE)],
            &[("a:480b-cloud", ONE, "")],
            &["a:1"],
            None,
        ),
        // Too short to tell anything.
        (
            &[("a:1", "sha256:aaaa")],
            &[("b:1", ONE, "")],
            &["a:1"],
            None,
        ),
        (
            &[],
            &[("nomic-embed-text:latest", "", "")],
            &["nomic-embed-text"],
            Some(("nomic-embed-text:latest", false)),
        ),
    ];
    for (before, now, candidates, expect) in rows {
        let backend: Arc<dyn Backend> = Arc::new(Named("ollama"));
        let mut contents = Contents::default();
        for (name, digest) in *before {
            contents.learn(&[(Arc::clone(&backend), vec![model(name, digest, "")])]);
        }
        let installed = now
            .iter()
            .map(|(name, digest, quantization)| model(name, digest, quantization));
        let all = [(backend, installed.collect())];
        contents.learn(&all);
        let candidates: Vec<_> = candidates.iter().map(|text| candidate(text)).collect();
        let route = choose(Role::Chat, &candidates, &all, &contents, |_, _| true);
        let got = route
            .as_ref()
            .map(|route| (route.model.as_str(), route.fallback));
        assert_eq!(got, *expect, "{now:?} {candidates:?}");
        let first = route.as_ref().and_then(|route| route.instead_of.as_ref());
        assert_eq!(first.is_some(), got.is_some_and(|(_, fallback)| fallback));
    }
}

#[test]
fn content_is_looked_for_where_the_candidate_says() {
    let ollama: Arc<dyn Backend> = Arc::new(Named("ollama"));
    let team: Arc<dyn Backend> = Arc::new(Named("team"));
    let all = [
        (ollama, vec![model("a:1", ONE, "")]),
        (team, vec![model("copy:1", ONE, "")]),
    ];
    let mut contents = Contents::default();
    contents.learn(&all);
    for (text, expect) in [
        ("team/a:1", "copy:1"),
        ("ollama/copy:1", "a:1"),
        ("a:1", "a:1"),
    ] {
        let route = choose(Role::Chat, &[candidate(text)], &all, &contents, |_, _| true);
        assert_eq!(
            route.map(|route| route.model).as_deref(),
            Some(expect),
            "{text}"
        );
    }
}
