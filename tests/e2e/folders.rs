//! Several workspace folders in one server: what one says holds in no other.

use std::fs;
use std::path::Path;

use ghostline::client::Client;
use serde_json::{Value, json};
use tokio::process::{ChildStdin, ChildStdout};

use crate::support::ollama_double::{Answer, Config, Model, OllamaDouble};
use crate::support::program::Home;

type Editor = Client<ChildStdout, ChildStdin>;

async fn double(model: &str, text: &'static str) -> OllamaDouble {
    let config = Config {
        models: vec![Model::new(model)],
        ..Config::default()
    };
    let double = OllamaDouble::start(config).await.expect("a free port");
    double.answer_with(move |_| Answer::text(text));
    double
}

fn uri(path: &Path) -> String {
    url::Url::from_file_path(path)
        .expect("absolute")
        .to_string()
}

/// The first ghost text in a new document at `path`, which holds its own path.
async fn ghost(editor: &mut Editor, path: &Path) -> Option<String> {
    let text = format!(
        "// {}\nfn main() {{\n    let answer = \n}}\n",
        path.display()
    );
    let item = json!({"uri": uri(path), "languageId": "rust", "version": 1, "text": text});
    let opened = editor.notify("textDocument/didOpen", json!({"textDocument": item}));
    opened.await.expect("sent");
    let ask = json!({
        "textDocument": {"uri": uri(path)}, "position": {"line": 2, "character": 17},
        "context": {"triggerKind": 1},
    });
    let asked = editor.request("textDocument/inlineCompletion", ask);
    let answer = asked.await.expect("an answer");
    let text = answer.pointer("/0/insertText")?.as_str()?;
    Some(text.trim().to_owned())
}

/// The model that the status names, once it names one.
async fn model_now(editor: &mut Editor) -> String {
    loop {
        let asked = editor.request("ghostline/status", Value::Null);
        let status = asked.await.expect("a status");
        if let Some(model) = status["roles"]["completion"]["model"].as_str() {
            return model.to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn folder(home: &Home, name: &str, files: &[(&str, &str)]) -> std::path::PathBuf {
    let folder = home.workspace().join(name);
    fs::create_dir_all(&folder).expect("a folder");
    for (file, text) in files {
        fs::write(folder.join(file), text).expect("a file");
    }
    folder
}

#[tokio::test]
async fn settings_and_trust_hold_in_their_own_folder() {
    let own = double("qwen2.5-coder:1.5b", "own_words").await;
    let team = double("team-coder:7b", "team_words").await;
    let home = Home::with_ollama(&own.url());
    let named = format!(
        "OLLAMA_HOST={}\nOLLAMA_COMPLETION_MODEL=team-coder:7b\n",
        team.url()
    );
    let trusted = folder(&home, "trusted", &[(".env", &named)]);
    let clone = folder(&home, "clone", &[(".env", &named)]);
    let quiet = folder(
        &home,
        "quiet",
        &[(".ghostline.toml", "[inline]\nenabled = false\n")],
    );
    let plain = folder(&home, "plain", &[]);
    let user = fs::read_to_string(home.user_file()).expect("a file");
    let trust = format!("{user}[trust]\nfolders = [{}]\n", json!(trusted));
    fs::write(home.user_file(), trust).expect("a file");

    let (_child, mut editor) = home.serve();
    let mut hello = home.initialize();
    let folders = [&trusted, &clone, &quiet, &plain];
    hello["workspaceFolders"] = folders
        .map(|path| json!({"uri": uri(path), "name": "x"}))
        .into();
    editor.initialize(hello).await.expect("an answer");

    let outside = home.workspace().join("outside.rs");
    for (path, words, model) in [
        (trusted.join("a.rs"), Some("team_words"), "team-coder:7b"),
        (clone.join("a.rs"), Some("own_words"), "qwen2.5-coder:1.5b"),
        (plain.join("a.rs"), Some("own_words"), "qwen2.5-coder:1.5b"),
        (quiet.join("a.rs"), None, "qwen2.5-coder:1.5b"),
        (outside, Some("own_words"), "qwen2.5-coder:1.5b"),
        (trusted.join("b.rs"), Some("team_words"), "team-coder:7b"),
    ] {
        // The first request waits for a load; past the deadline a part is answered.
        let got = ghost(&mut editor, &path).await;
        let begins = |words: &str| got.as_ref().is_some_and(|got| words.starts_with(got));
        let fits = words.map_or(got.is_none(), begins);
        assert!(fits, "{}: {got:?}", path.display());
        assert_eq!(model_now(&mut editor).await, model, "{}", path.display());
    }
    // Nothing of another folder has gone to the trusted folder's host, nor the other way round.
    let marker = trusted.display().to_string();
    for (double, is_team) in [(&team, true), (&own, false)] {
        let log = double.log();
        let prompts = log.generations().filter(|r| r.body["stream"] == true);
        let prompts: Vec<_> = prompts.filter_map(|record| record.prompt()).collect();
        assert!(!prompts.is_empty());
        for prompt in prompts {
            let paths = prompt.matches("workspace/").count();
            assert_eq!(prompt.contains(&marker), is_team, "{prompt}");
            assert_eq!(
                prompt.matches("/trusted/").count(),
                if is_team { paths } else { 0 },
                "{prompt}"
            );
        }
    }
}

#[tokio::test]
async fn a_folder_that_comes_and_goes_changes_nothing_elsewhere() {
    let own = double("qwen2.5-coder:1.5b", "own_words").await;
    let home = Home::with_ollama(&own.url());
    let plain = folder(&home, "plain", &[]);
    let quiet = folder(
        &home,
        "quiet",
        &[(".ghostline.toml", "[inline]\nenabled = false\n")],
    );
    let (_child, mut editor) = home.serve();
    let mut hello = home.initialize();
    hello["workspaceFolders"] = json!([{"uri": uri(&plain), "name": "plain"}]);
    editor.initialize(hello).await.expect("an answer");
    assert!(ghost(&mut editor, &plain.join("a.rs")).await.is_some());
    let event = |added: &[&Path], removed: &[&Path]| {
        let list = |paths: &[&Path]| -> Value {
            paths
                .iter()
                .map(|path| json!({"uri": uri(path), "name": "x"}))
                .collect()
        };
        json!({"event": {"added": list(added), "removed": list(removed)}})
    };
    let changed = "workspace/didChangeWorkspaceFolders";
    editor
        .notify(changed, event(&[&quiet], &[]))
        .await
        .expect("sent");
    assert_eq!(ghost(&mut editor, &quiet.join("a.rs")).await, None);
    assert!(ghost(&mut editor, &plain.join("b.rs")).await.is_some());
    editor
        .notify(changed, event(&[], &[&quiet]))
        .await
        .expect("sent");
    // Outside all folders nobody's file says anything.
    assert!(ghost(&mut editor, &quiet.join("c.rs")).await.is_some());
}

#[tokio::test]
async fn chat_and_actions_ask_the_models_of_the_documents_folder() {
    let own = double("qwen2.5-coder:7b", "own words").await;
    let team = double("team-coder:7b", "team words").await;
    let home = Home::with_ollama(&own.url());
    let named = format!(
        "OLLAMA_HOST={}\nOLLAMA_CHAT_MODEL=team-coder:7b\n",
        team.url()
    );
    let plain = folder(&home, "plain", &[("a.rs", "fn plain_code() {}\n")]);
    let trusted = folder(
        &home,
        "trusted",
        &[(".env", &named), ("a.rs", "fn team_code() {}\n")],
    );
    let user = fs::read_to_string(home.user_file()).expect("a file");
    let trust = format!("{user}[trust]\nfolders = [{}]\n", json!(trusted));
    fs::write(home.user_file(), trust).expect("a file");
    let (_child, mut editor) = home.serve();
    let mut hello = home.initialize();
    hello["capabilities"] = json!({});
    hello["workspaceFolders"] = [&plain, &trusted]
        .map(|path| json!({"uri": uri(path), "name": "x"}))
        .into();
    editor.initialize(hello).await.expect("an answer");

    let chat = async |editor: &mut Editor, params: Value| {
        let answer = editor
            .request("ghostline/chat", params)
            .await
            .expect("an answer");
        (answer["message"].clone(), answer["conversation"].clone())
    };
    let about = |path: &Path| json!([{ "uri": uri(&path.join("a.rs")) }]);
    let asked = json!({"message": "What?", "attachments": about(&trusted)});
    let (said, conversation) = chat(&mut editor, asked).await;
    assert_eq!(said, "team words");
    // What was quoted goes on to nobody else.
    let more = json!({"message": "And?", "conversation": conversation});
    assert_eq!(chat(&mut editor, more).await.0, "team words");
    let asked = json!({"message": "What?", "attachments": about(&plain)});
    assert_eq!(chat(&mut editor, asked).await.0, "own words");
    assert_eq!(
        chat(&mut editor, json!({"message": "Hello"})).await.0,
        "own words"
    );

    let path = trusted.join("a.rs");
    let item = json!({"uri": uri(&path), "languageId": "rust", "version": 1, "text": "fn team_code() {}\n"});
    let opened = editor.notify("textDocument/didOpen", json!({"textDocument": item}));
    opened.await.expect("sent");
    let line = json!({"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 5}});
    let explain =
        json!({"command": "ghostline.explain", "arguments": [{"uri": uri(&path), "range": line}]});
    let explained = editor.request("workspace/executeCommand", explain).await;
    assert_eq!(explained.expect("an answer")["model"], "team-coder:7b");
    for (double, never) in [(&own, "team_code"), (&team, "plain_code")] {
        let log = double.log();
        let sent: Vec<String> = log.generations().map(|r| r.body.to_string()).collect();
        assert!(
            !sent.is_empty() && sent.iter().all(|body| !body.contains(never)),
            "{sent:?}"
        );
    }
}
