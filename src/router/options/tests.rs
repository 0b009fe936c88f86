//! What is installed where, the candidates, and who is asked between whom.

use super::*;
use crate::backend::named::Named;

/// What is installed: `backend/model`, quantisation, size in megabytes, 0 where nobody tells.
type Listed<'a> = (&'a str, &'a str, u64);

fn all(listed: &[Listed<'_>]) -> Vec<(Arc<dyn Backend>, Vec<Installed>)> {
    ["ollama", "far", "team", "embedded"]
        .map(|name| {
            let of = listed.iter().filter_map(|(text, quantization, megabytes)| {
                let (backend, model) = text.split_once('/')?;
                (backend == name).then(|| Installed {
                    name: model.to_owned(),
                    quantization: (!quantization.is_empty()).then(|| (*quantization).to_owned()),
                    size_bytes: (*megabytes > 0).then_some(megabytes * 1_000_000),
                    ..Installed::default()
                })
            });
            let backend: Arc<dyn Backend> = Arc::new(Named(name));
            (backend, of.collect())
        })
        .into()
}

fn candidates(texts: &[&str]) -> Vec<Candidate> {
    let split = |text: &&str| match text.split_once('/') {
        Some((backend, model)) => (Some(backend.to_owned()), model.to_owned()),
        None => (None, (*text).to_owned()),
    };
    let candidate = |(backend, model)| Candidate { backend, model };
    texts.iter().map(split).map(candidate).collect()
}

#[track_caller]
fn check(role: Role, candidates: &[Candidate], listed: &[Listed<'_>], expect: &[&str]) {
    let all = all(listed);
    let mut contents = Contents::default();
    contents.learn(&all);
    let elsewhere = BTreeSet::from(["far".to_owned()]);
    let got: Vec<String> = options(role, candidates, &all, &contents, &elsewhere, |_, _| true)
        .iter()
        .map(|found| format!("{}/{}", found.route.backend.name(), found.route.model))
        .collect();
    assert_eq!(got, expect, "{listed:?}");
}

#[test]
fn speed_decides_between_places_of_one_model() {
    let both: &[Listed<'_>] = &[("ollama/m:1", "", 0), ("embedded/m:1", "", 0)];
    let rows: &[(&[&str], &[Listed<'_>], &[&str])] = &[
        (&["m:1"], &[], &[]),
        (&["m:1"], both, &["ollama/m:1", "embedded/m:1"]),
        // A name of a backend is obeyed, in front and further back.
        (&["embedded/m:1"], both, &["embedded/m:1"]),
        (&["ollama/m:1", "embedded/m:1"], both, &["ollama/m:1"]),
        (&["m:1", "embedded/m:1"], both, &["ollama/m:1"]),
        // Another model of the list is never an option, however quick.
        (
            &["m:1", "n:1"],
            &[("ollama/m:1", "", 0), ("team/n:1", "", 0)],
            &["ollama/m:1"],
        ),
        (
            &["m:*"],
            &[
                ("ollama/m:7b", "", 0),
                ("team/m:1b", "", 0),
                ("embedded/m:7b", "", 0),
            ],
            &["ollama/m:7b", "embedded/m:7b"],
        ),
        (
            &["m"],
            &[("ollama/m:latest", "", 0), ("team/m", "", 0)],
            &["ollama/m:latest", "team/m"],
        ),
        // One name, and not one model.
        (
            &["m:1"],
            &[("ollama/m:1", "Q4_K_M", 0), ("team/m:1", "Q8_0", 0)],
            &["ollama/m:1"],
        ),
        (
            &["m:1"],
            &[("ollama/m:1", "", 1000), ("team/m:1", "", 400)],
            &["ollama/m:1"],
        ),
        (
            &["m:1"],
            &[
                ("ollama/m:1", "Q4_K_M", 400),
                ("team/m:1", "q4_k_m", 491),
                ("embedded/m:1", "Q4_K - Medium", 0),
            ],
            &["ollama/m:1", "team/m:1", "embedded/m:1"],
        ),
        (
            &["m:1"],
            &[
                ("ollama/m:1", "Q4_K_S", 0),
                ("team/m:1", "Q4_K - Medium", 0),
                ("embedded/m:1", "Q4_K - Small", 0),
            ],
            &["ollama/m:1", "embedded/m:1"],
        ),
        // Nobody's text leaves the machine because it is quicker elsewhere; what was chosen stands.
        (
            &["m:1"],
            &[
                ("ollama/m:1", "", 0),
                ("far/m:1", "", 0),
                ("team/m:1", "", 0),
            ],
            &["ollama/m:1", "team/m:1"],
        ),
        (
            &["m:1"],
            &[("far/m:1", "", 0), ("team/m:1", "", 0)],
            &["far/m:1", "team/m:1"],
        ),
        (
            &["m:cloud"],
            &[("ollama/m:cloud", "", 0), ("team/m:cloud", "", 0)],
            &["ollama/m:cloud"],
        ),
    ];
    for (names, listed, expect) in rows {
        check(Role::Completion, &candidates(names), listed, expect);
    }
    check(
        Role::Embedding,
        &candidates(&["m:1"]),
        both,
        &["ollama/m:1"],
    );
}

#[test]
fn the_default_list_knows_twins() {
    let ours = |role| Settings::default().roles[&role].candidates.clone();
    let ollama = ("ollama/qwen2.5-coder:1.5b", "Q4_K_M", 986);
    let embedded = ("embedded/qwen2.5-coder-1.5b", "Q4_K_M", 1117);
    let both = ["ollama/qwen2.5-coder:1.5b", "embedded/qwen2.5-coder-1.5b"];
    check(
        Role::Completion,
        &ours(Role::Completion),
        &[ollama, embedded],
        &both,
    );
    // In a list of the person's own the second choice is the second choice.
    let own = candidates(&["qwen2.5-coder:1.5b", "embedded/qwen2.5-coder-1.5b"]);
    check(Role::Completion, &own, &[ollama, embedded], &both[..1]);
    let own = candidates(&["qwen2.5-coder:1.5b"]);
    check(Role::Completion, &own, &[ollama, embedded], &both[..1]);
    for (listed, expect) in [
        // Not the model that was chosen: a base model, a larger one, other weights.
        ("ollama/qwen2.5-coder:1.5b-base", "Q4_K_M"),
        ("ollama/qwen2.5-coder:7b", "Q4_K_M"),
        ("ollama/qwen2.5-coder:1.5b", "Q8_0"),
    ]
    .map(|(name, quantization)| ((name, quantization, 0), name))
    {
        check(
            Role::Completion,
            &ours(Role::Completion),
            &[listed, embedded],
            &[expect],
        );
    }
    // What an Ollama has fetched the engine can run too.
    let fetched = [
        ("ollama/qwen2.5-coder:1.5b-base-q4_K_M", "Q4_K_M", 986),
        ("embedded/qwen2.5-coder:1.5b-base-q4_K_M", "Q4_K_M", 986),
        embedded,
    ];
    let expect = [fetched[0].0, fetched[1].0];
    check(Role::Completion, &ours(Role::Completion), &fetched, &expect);
}
