//! Trust, tested as attacks: models that are not what they seem.

use serde_json::json;

use super::attacks::{USER, refused};
use super::{Given, value};
use crate::config::text::quoted;

#[test]
fn files_as_models() {
    for model in [
        "/etc/passwd",
        "../../evil",
        "./evil",
        "~/evil",
        "evil.gguf",
        "evil.GGUF",
        "a/b/evil.gguf",
        "hf.co/u/evil.gguf",
        "embedded//evil",
        "embedded/../evil",
        "embedded/evil/model",
        "embedded/evil.gguf",
        "ollama/../evil",
        "a/../b",
        "a//b",
        "file:///evil",
        "http://evil/model",
        "C:evil",
        "C:/evil",
        "dir\\evil",
        "\\\\evil\\share",
        "a/b/c/d",
        "weights.safetensors",
        "model@evil/x y",
        "mod\u{202e}el",
    ] {
        let toml = toml::Value::from(model).to_string();
        let workspace = format!("roles.completion.candidates = [{toml}]");
        let shown = quoted(model);
        let expected = format!(
            "ws.toml:1: `roles.completion.candidates` may not name {shown}: it may be a file"
        );
        refused(
            Given {
                workspace: &workspace,
                ..Given::default()
            },
            &[&expected],
        );
    }
    let dotenv = "OLLAMA_COMPLETION_MODEL=/evil.gguf";
    let expected = "ws.env:1 OLLAMA_COMPLETION_MODEL: `roles.completion.candidates` may not name \
                    `ollama//evil.gguf`: it may be a file";
    refused(
        Given {
            dotenv,
            ..Given::default()
        },
        &[expected],
    );
}

#[test]
fn models_that_send_text_elsewhere() {
    let cases = [
        ("qwen3-coder:480b-cloud", "it runs in Ollama's cloud"),
        ("ollama/qwen3-coder:480b-CLOUD", "it runs in Ollama's cloud"),
        ("glm-4.6:cloud", "it runs in Ollama's cloud"),
        ("chat", "it stands for the models of another role"),
        (
            "company/large",
            "its backend is on another machine and you do not use it for this role",
        ),
    ];
    for (model, why) in cases {
        let workspace = format!("roles.completion.candidates = [\"{model}\"]");
        let expected =
            format!("ws.toml:1: `roles.completion.candidates` may not name `{model}`: {why}");
        refused(
            Given {
                workspace: &workspace,
                ..Given::default()
            },
            &[&expected],
        );
    }
    let dotenv = "OLLAMA_COMPLETION_MODEL=company/large\nOLLAMA_VISION_MODEL=xx:cloud";
    refused(
        Given {
            dotenv,
            ..Given::default()
        },
        &[
            "ws.env:1 OLLAMA_COMPLETION_MODEL: `roles.completion.candidates` may not name \
             `company/large`: its backend is on another machine and you do not use it for this role",
            "ws.env:2 OLLAMA_VISION_MODEL: `roles.vision.candidates` may not name \
             `ollama/xx:cloud`: it runs in Ollama's cloud",
        ],
    );
}

#[test]
fn plain_names_stay_on_this_machine() {
    // A name without a backend could be served by the company; it is pinned to the others.
    let workspace = "roles.completion.candidates = [\"xx:1\", \"u/xx:1\", \"xx:*\"]";
    let resolved = Given {
        user: USER,
        workspace,
        ..Given::default()
    }
    .resolve();
    assert_eq!(resolved.ignored, []);
    assert_eq!(
        value(&resolved, "roles.completion.candidates"),
        json!([
            "embedded/xx:1",
            "ollama/xx:1",
            "ollama/u/xx:1",
            "embedded/xx:*",
            "ollama/xx:*"
        ])
    );
    // Ollama itself is somebody else's machine, and this role does not use it.
    let user =
        "backends.ollama.urls = [\"http://far\"]\nroles.completion.candidates = [\"embedded/e\"]";
    let workspace = "roles.completion.candidates = [\"ollama/x\", \"x\"]";
    let resolved = Given {
        user,
        workspace,
        ..Given::default()
    }
    .resolve();
    assert_eq!(
        value(&resolved, "roles.completion.candidates"),
        json!(["embedded/x"])
    );
    assert_eq!(resolved.ignored.len(), 1);
}
