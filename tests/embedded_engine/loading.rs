//! Files: what is installed, what cannot be loaded, what is unloaded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ghostline::backend::embedded::{Embedded, EmbeddedModel, EngineOptions, EngineState};
use ghostline::backend::{Backend, BackendError, Request};

use crate::support::{MODEL, answer, collect, engine, engine_with, fim, request};

pub(crate) async fn bad_files_are_load_errors(weights: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(weights).unwrap();
    let truncated = |bytes: usize| whole.get(..bytes).unwrap().to_vec();
    let mut unknown_architecture = truncated(whole.len());
    let key = b"general.architecture";
    let at = whole
        .windows(key.len())
        .position(|window| window == key)
        .unwrap();
    // Behind the key: the value's type (4 bytes) and length (8 bytes).
    unknown_architecture[at + key.len() + 12] = b'?';
    let cases = [
        ("empty", Vec::new(), "not a GGUF file"),
        ("text", b"hello, weights".to_vec(), "not a GGUF file"),
        ("header", truncated(1000), "header"),
        ("half", truncated(whole.len() / 2), "cut short"),
        ("unknown", unknown_architecture, "architecture ?wen2"),
    ];
    for (name, bytes, expect) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let engine = engine(&path);
        let error = collect(engine.stream(request(fim("a", "b", "c"), 1)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, BackendError::Load { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(expect), "{name}: {error}");
        assert!(
            matches!(engine.state(MODEL), EngineState::Failed { .. }),
            "{name}"
        );
        let error = engine.warm_up(MODEL).await.unwrap_err();
        assert!(error.to_string().contains(expect), "{name}: {error}");
        std::fs::remove_file(&path).unwrap();
    }

    let gone = engine(&folder.path().join("gone"));
    let error = gone.warm_up(MODEL).await.unwrap_err();
    assert!(matches!(error, BackendError::Load { .. }), "{error}");
    assert_eq!(gone.probe().await.unwrap(), []);
    let error = gone.warm_up("another").await.unwrap_err();
    assert!(
        matches!(error, BackendError::ModelMissing { .. }),
        "{error}"
    );
}

/// Nothing is fetched twice: a manifest leads to the blob, and that is run.
pub(crate) async fn a_model_of_ollamas_store_is_run(weights: &Path) {
    let store = tempfile::tempdir().unwrap();
    let hash = "a".repeat(64);
    let blobs = store.path().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let size = std::fs::copy(weights, blobs.join(format!("sha256-{hash}"))).unwrap();
    let tags = store
        .path()
        .join("manifests/registry.ollama.ai/library/coder");
    std::fs::create_dir_all(&tags).unwrap();
    let manifest = format!(
        r#"{{"layers":[{{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:{hash}","size":{size}}}]}}"#
    );
    std::fs::write(tags.join("0.5b"), manifest).unwrap();
    let folder = store.path().to_owned();
    let list = move || {
        let models = ghostline::models::models_in(&folder).into_iter();
        let model = models.map(|model| EmbeddedModel {
            name: model.name,
            path: model.path,
            digest: Some(model.sha256),
        });
        model.collect()
    };
    let options = EngineOptions {
        context_tokens: 512,
        ..EngineOptions::default()
    };
    let engine = Embedded::new("embedded", list, options);
    let installed = engine.probe().await.unwrap();
    assert_eq!(
        installed.first().map(|m| m.name.as_str()),
        Some("coder:0.5b")
    );
    let request = Request {
        model: "coder:0.5b".to_owned(),
        ..request(fim("fn add(a: i32, b: i32) -> i32 {\n", "\n}\n", "    "), 8)
    };
    let (text, _) = collect(engine.stream(request)).await.unwrap();
    assert!(text.contains("a + b"), "{text:?}");
}

pub(crate) async fn the_installed_model_is_described(weights: &Path) {
    let there = Arc::new(AtomicBool::new(true));
    let model = EmbeddedModel {
        name: MODEL.to_owned(),
        path: weights.to_owned(),
        digest: None,
    };
    let list = {
        let there = Arc::clone(&there);
        move || {
            there
                .load(Ordering::SeqCst)
                .then(|| model.clone())
                .into_iter()
                .collect()
        }
    };
    let engine = Embedded::new("embedded", list, EngineOptions::default());
    for _ in 0..2 {
        let installed = engine.probe().await.unwrap();
        let [model] = installed.as_slice() else {
            panic!("{installed:?}")
        };
        assert_eq!(model.name, MODEL);
        assert_eq!(model.architecture.as_deref(), Some("qwen2"));
        assert_eq!(model.fim, Some(true));
        assert_eq!(model.quantization.as_deref(), Some("Q4_K_M"));
        assert_eq!(
            model.size_bytes,
            weights.metadata().ok().map(|file| file.len())
        );
    }
    assert_eq!(
        engine.state(MODEL),
        EngineState::Unloaded,
        "a probe loads nothing"
    );
    there.store(false, Ordering::SeqCst);
    assert_eq!(engine.probe().await.unwrap(), []);
}

pub(crate) async fn an_unused_model_is_unloaded(weights: &Path) {
    let options = EngineOptions {
        context_tokens: 512,
        unload_after: Some(Duration::from_millis(1)),
        ..EngineOptions::default()
    };
    let engine = engine_with(weights, options);
    let mut changes = engine.standing_changes().unwrap();
    for _ in 0..2 {
        let (_, finish) = answer(&engine, &fim("a", "b", "c"), 1).await;
        assert!(finish.load.is_some(), "{finish:?}");
        while engine.state(MODEL) != EngineState::Unloaded {
            changes.changed().await.unwrap();
        }
        assert_eq!(engine.speed(MODEL), None);
    }
    let budget = engine.prompt_budget();
    engine.warm_up(MODEL).await.unwrap();
    assert_eq!(
        engine.prompt_budget(),
        budget,
        "the budget changed within a run"
    );
}
