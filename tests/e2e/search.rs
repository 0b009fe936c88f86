//! Search over a workspace: the commands, the server's methods, and what a kill leaves.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::ollama_double::{Answer, Config, Model, OllamaDouble};
use crate::support::program::Home;

const MODEL: &str = "nomic-embed-text:latest";

async fn double() -> OllamaDouble {
    let mut model = Model::new(MODEL);
    model.capabilities = Some(vec!["embedding"]);
    let config = Config {
        models: vec![model],
        ..Config::default()
    };
    OllamaDouble::start(config).await.expect("a free port")
}

fn write(home: &Home, path: &str, text: &str) {
    let path = home.workspace().join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// So many files of one chunk each.
fn fill(home: &Home, files: usize) {
    for n in 0..files {
        let text = format!("/// Opens archive number {n}.\nfn zebra{n}() -> u32 {{\n    {n}\n}}\n");
        write(home, &format!("src/part{n}.rs"), &text);
    }
}

/// The passages that were sent to be embedded, with repeats.
fn embedded(double: &OllamaDouble) -> Vec<String> {
    let seen = double.log().requests;
    let of = |body: &Value| -> Vec<String> {
        let texts = body["input"].as_array().into_iter().flatten();
        texts.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let embeds = seen.iter().filter(|request| request.path == "/api/embed");
    let texts = embeds.flat_map(|request| of(&request.body));
    texts
        .filter(|text| text.starts_with("search_document: "))
        .collect()
}

#[tokio::test]
async fn the_terminal_builds_an_index_and_searches_it() {
    let double = double().await;
    let home = Home::with_ollama(&double.url());
    fill(&home, 3);
    write(
        &home,
        "docs/bread.md",
        "# Bread\n\nBake it with flour and water.\n",
    );
    write(&home, ".env", "API_KEY=a1B2c3D4e5F6\n");
    write(
        &home,
        "src/keys.rs",
        &format!("const TOKEN: &str = \"ghp_{}\";\n", "a1B2".repeat(9)),
    );
    // Words alone answer before anything is embedded, and it is said.
    let run = home.run(&["search", "--json", "baking", "bread"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.json()["hits"][0]["file"], "docs/bread.md");
    assert!(
        run.json()["note"]
            .as_str()
            .expect("a note")
            .contains("words alone")
    );
    let run = home.run(&["index", "--json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let built = run.json();
    assert_eq!(
        (&built["state"], &built["files"], &built["embedded"]),
        (&json!("ready"), &json!(5), &json!(5))
    );
    assert_eq!(built["model"], MODEL);
    let sent = embedded(&double);
    assert_eq!(sent.len(), 5);
    assert!(
        sent.iter()
            .all(|text| !text.contains("ghp_") && !text.contains("API_KEY")),
        "{sent:?}"
    );
    let run = home.run(&["search", "bread", "--limit", "1"]).await;
    assert!(run.out.starts_with("docs/bread.md:1-3"), "{run:?}");
    assert_eq!(
        home.run(&["index", "--status", "--json"]).await.json()["embedded"],
        5
    );
    assert_eq!(embedded(&double).len(), 5, "nothing is embedded twice");
    assert_eq!(home.run(&["search", " "]).await.code, 2);
    assert_eq!(home.run(&["search"]).await.code, 2);
    let run = home.run(&["search", "qwertyuiop", "--limit", "0"]).await;
    assert_eq!(run.code, 2);
    fs::write(home.user_file(), "index.enabled = false\n").expect("a file");
    let run = home.run(&["search", "bread"]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("index.enabled"), "{run:?}");
}

#[tokio::test]
async fn a_kill_at_any_moment_loses_one_batch_at_most() {
    /// Texts of a batch.
    const BATCH: usize = 16;
    const FILES: usize = 240;
    let double = double().await;
    let home = Home::with_ollama(&double.url());
    fill(&home, FILES);
    let mut kills = 0;
    for after in [1, 3, 2, 5, 1] {
        let before = embedded(&double).len();
        let mut child = home
            .command(&["index"])
            .spawn()
            .expect("the program starts");
        // Wherever it is after that many texts more: sending, storing, or between.
        while embedded(&double).len() < before + after * 8 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if child.try_wait().expect("a state").is_some() {
                break;
            }
        }
        // SIGKILL; one that has ended by itself is killed no more.
        let _ = child.kill().await;
        kills += 1;
    }
    let run = home.run(&["index", "--json"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let built = run.json();
    assert_eq!(
        (&built["state"], &built["embedded"]),
        (&json!("ready"), &json!(FILES)),
        "{built}"
    );
    let sent = embedded(&double);
    let distinct: HashSet<&String> = sent.iter().collect();
    assert_eq!(distinct.len(), FILES);
    assert!(
        sent.len() <= FILES + kills * BATCH,
        "{} texts for {FILES}",
        sent.len()
    );
    let run = home.run(&["search", "--json", "zebra77"]).await;
    assert_eq!(run.json()["hits"][0]["file"], "src/part77.rs", "{run:?}");
}

/// Asks until a place in `file` shows `text`. The double gives all texts nearly the same vector, so that
/// words alone tell places apart, and the first may share its rank.
async fn found(
    client: &mut ghostline::client::Client<tokio::process::ChildStdout, tokio::process::ChildStdin>,
    query: &str,
    (file, text): (&str, &str),
) -> Value {
    let mut hits = Value::Null;
    for _ in 0..300 {
        hits = client
            .request("ghostline/search", json!({ "query": query }))
            .await
            .expect("an answer");
        let is_it = |hit: &&Value| {
            let uri = hit["location"]["uri"].as_str().unwrap_or_default();
            let preview = hit["preview"].as_str().unwrap_or_default();
            uri.ends_with(file) && preview.contains(text)
        };
        let all = hits.as_array().into_iter().flatten();
        if let Some(hit) = all.take(2).find(is_it) {
            return hit.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{query} does not find {file}: {hits}");
}

#[tokio::test]
async fn the_server_searches_and_follows_saves() {
    let double = double().await;
    let home = Home::with_ollama(&double.url());
    fill(&home, 3);
    let (_child, mut client) = home.serve();
    let initialized = client
        .initialize(home.initialize())
        .await
        .expect("a server");
    assert_eq!(
        initialized["capabilities"]["textDocumentSync"]["save"],
        true
    );
    let hit = found(&mut client, "zebra2", ("src/part2.rs", "zebra2")).await;
    assert_eq!(
        hit["location"]["range"]["start"],
        json!({"line": 0, "character": 0})
    );
    assert!(hit["preview"].as_str().expect("a text").contains("zebra2"));
    assert!(hit["score"].as_f64().expect("a number") > 0.0);
    write(&home, "src/part1.rs", "fn weigh_elephants() {}\n");
    let uri = |path: &str| {
        url::Url::from_file_path(home.workspace().join(path))
            .expect("a path")
            .to_string()
    };
    let saved = json!({ "textDocument": { "uri": uri("src/part1.rs") } });
    client
        .notify("textDocument/didSave", saved)
        .await
        .expect("a pipe");
    found(
        &mut client,
        "weigh elephants",
        ("src/part1.rs", "weigh_elephants"),
    )
    .await;
    write(&home, "src/new.rs", "fn count_giraffes() {}\n");
    let watched = json!({ "changes": [{ "uri": uri("src/new.rs"), "type": 1 }] });
    client
        .notify("workspace/didChangeWatchedFiles", watched)
        .await
        .expect("a pipe");
    found(
        &mut client,
        "count giraffes",
        ("src/new.rs", "count_giraffes"),
    )
    .await;
    let command = json!({ "command": "ghostline.reindex" });
    client
        .request("workspace/executeCommand", command)
        .await
        .expect("an answer");
    found(
        &mut client,
        "count giraffes",
        ("src/new.rs", "count_giraffes"),
    )
    .await;
    let status = client
        .request("ghostline/status", json!({}))
        .await
        .expect("a status");
    assert_eq!(status["index"]["files"], 4, "{status}");
    for bad in [
        json!({}),
        json!({"query": ""}),
        json!({"query": "x", "limit": 0}),
        json!({"query": 3}),
    ] {
        let answer = client.request("ghostline/search", bad.clone()).await;
        assert!(answer.is_err(), "{bad}");
    }
    client.shut_down().await.expect("a pipe");
}

#[tokio::test]
async fn questions_and_actions_in_the_terminal_are_given_what_is_found() {
    let mut embeds = Model::new(MODEL);
    embeds.capabilities = Some(vec!["embedding"]);
    let config = Config {
        models: vec![embeds, Model::new("qwen2.5-coder:7b")],
        ..Config::default()
    };
    let double = OllamaDouble::start(config).await.expect("a free port");
    double.answer_with(|_| Answer::text("It counts."));
    let home = Home::with_ollama(&double.url());
    fill(&home, 3);
    write(
        &home,
        "src/use.rs",
        "fn count() -> u32 {\n    zebra1() + 1\n}\n",
    );
    let last = |double: &OllamaDouble| {
        let log = double.log();
        let mut newest = log.requests.iter().rev();
        let last = newest.find(|request| request.path == "/api/chat");
        last.expect("a question").body["messages"].to_string()
    };
    // No index was built before: the first question looks at the files.
    let run = home.run(&["chat", "Where is zebra2 defined?"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.err.contains("words alone"), "it is said how: {run:?}");
    let asked = last(&double);
    assert!(
        asked.contains("DATA src/part2.rs, lines 1 to 4 (found by search)"),
        "{asked}"
    );
    let run = home.run(&["action", "explain", "src/use.rs:1-3"]).await;
    assert_eq!(run.code, 0, "{run:?}");
    let asked = last(&double);
    assert!(
        asked.contains("DATA src/part1.rs, lines 1 to 4 (found by search)"),
        "{asked}"
    );
    // The code itself is no find.
    assert_eq!(asked.matches("DATA src/use.rs").count(), 1, "{asked}");
    assert!(
        run.err.contains("src/part1.rs"),
        "what was shown is cited: {run:?}"
    );
    // Nothing is embedded beside an answer.
    assert!(embedded(&double).is_empty());
}
