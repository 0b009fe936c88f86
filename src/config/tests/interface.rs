//! The defaults and the example of the public interface.

use serde_json::json;

use super::{Given, value};
use crate::config::{Settings, show};

#[test]
fn defaults_are_the_interfaces() {
    let defaults = Given::default().resolve();
    assert_eq!(defaults.settings, Settings::default());
    let embedded = ["embedded/qwen2.5-coder-1.5b", "embedded/qwen2.5-coder-0.5b"];
    let chat = [
        "qwen3-coder:30b-q4_K_M",
        "qwen3-coder:30b-a3b-q4_K_M",
        "qwen3-coder:30b",
        "qwen3-coder:7b-q4_K_M",
        "qwen2.5-coder:7b",
        embedded[0],
        embedded[1],
    ];
    let completion = [
        "qwen3-coder:1.5b-q4_K_M",
        "qwen2.5-coder:1.5b-base-q4_K_M",
        "qwen2.5-coder:1.5b",
        "qwen2.5-coder:*",
    ];
    let reasoning = ["deepseek-r1:7b-q4_K_M", "deepseek-r1:7b"];
    let vision = [
        "llama3.2-vision:11b-q4_K_M",
        "llama3.2-vision:11b",
        "qwen2.5vl:7b",
        "qwen3-vl:8b",
        "gemma3:12b",
    ];
    let expected = json!({
        "roles": {
            "completion": {"candidates": ([&completion[..], &embedded].concat())},
            "chat": {"candidates": chat},
            "reasoning": {"candidates": ([&reasoning[..], &chat].concat())},
            "vision": {"candidates": vision},
            "embedding": {"candidates": ([&["nomic-embed-text"][..], &embedded].concat())},
        },
        "backends": {
            "ollama": {"kind": "ollama", "urls": ["http://127.0.0.1:11434"]},
            "embedded": {"kind": "embedded"},
        },
        "inline": {
            "enabled": true,
            "debounce": "adaptive",
            "deadline_ms": 100,
            "max_tokens": 64,
            "multi_line": "auto",
            "prefetch": true,
            "disabled_languages": [],
        },
        "context": {
            "open_files": true,
            "open_files_tokens": 448,
            "recent_edits": true,
            "recent_edits_tokens": 192,
            "declarations": true,
            "declarations_tokens": 384,
            "clipboard": true,
            "clipboard_tokens": 192,
        },
        "index": {"enabled": true, "embed": true, "max_file_kib": 512, "max_files": 50000},
        "privacy": {"ignore": [".env*", "*.pem"], "redact_secrets": true},
    });
    assert_eq!(show::to_json(&defaults.settings), expected);
}

#[test]
fn the_example_of_the_interface_is_good() {
    let user = r#"
[roles.completion]
candidates = ["ollama/qwen2.5-coder:1.5b-base-q4_K_M", "embedded/qwen2.5-coder-1.5b"]
[backends.ollama]
kind = "ollama"
urls = ["http://127.0.0.1:11434"]
api_key_env = "TEAM_KEY"
[inline]
enabled = true
debounce = "adaptive"
deadline_ms = 100
max_tokens = 64
multi_line = "auto"
prefetch = true
disabled_languages = []
[context]
[index]
enabled = true
[privacy]
ignore = [".env*", "*.pem"]
redact_secrets = true
[trust]
folders = ["/home/me/work", "~/src"]
"#;
    let given = Given {
        user,
        ..Given::default()
    };
    let resolved = given.resolve();
    assert_eq!(resolved.problems, []);
    assert_eq!(value(&resolved, "backends.ollama.api_key_env"), "TEAM_KEY");
}
