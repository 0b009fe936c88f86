//! `ghostline demo`: the main job on this machine, now.
//!
//! Fetches the embedded model when nothing else serves completions, starts the real server as a
//! process of its own, opens a real source file in it, types, and shows each ghost text with what it
//! cost.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::process::{ChildStdin, ChildStdout, Command};

use super::{Exit, output};
use crate::client::Client;
use crate::config::Role;
use crate::host::LocalHost;
use crate::models::{self, Model, Store};
use crate::router::{RoleState, Router};
use crate::server::Host;

mod choose;

/// The source file that is opened: one of ghostline's own.
const SOURCE: &str = include_str!("../document.rs");
const URI: &str = "file:///ghostline/src/document.rs";

/// What is deleted from the source and typed anew. The ghost text stands after each key.
const GAPS: [Gap; 3] = [
    Gap {
        deleted: "self.documents.remove(uri);",
        typed: "self.",
    },
    Gap {
        deleted: "self.documents.len()",
        typed: "se",
    },
    Gap {
        deleted: "let start = self.text.byte_to_char(range.start.min(len));",
        typed: "let st",
    },
];

struct Gap {
    deleted: &'static str,
    typed: &'static str,
}

/// Arguments of `ghostline demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Use this embedded model, `1.5b` or `0.5b`, instead of what the settings and the machine suggest.
    #[arg(long)]
    pub model: Option<String>,
}

/// Runs the demo; ends by itself.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let options = match prepare(&args).await? {
        Ok(options) => options,
        Err(exit) => return Ok(exit),
    };
    let program = std::env::current_exe().context("cannot find the running program")?;
    let mut server = Command::new(program)
        .args(["serve", "--stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the language server")?;
    let pipes = (server.stdout.take(), server.stdin.take());
    let (Some(stdout), Some(stdin)) = pipes else {
        anyhow::bail!("the server has no pipes")
    };
    let mut editor = Editor {
        client: Client::new(stdout, stdin),
        text: String::new(),
        version: 1,
    };
    let shown = editor.session(options).await?;
    server
        .wait()
        .await
        .context("cannot wait for the language server")?;
    Ok(if shown >= GAPS.len() {
        Exit::Success
    } else {
        Exit::Failed
    })
}

/// The initialization options that make the server use the demo's model, after fetching it.
async fn prepare(args: &Args) -> anyhow::Result<Result<Value, Exit>> {
    if args.model.is_none()
        && let Some(serving) = served_elsewhere().await
    {
        output::note(&format!("Completions come from {serving}."));
        return Ok(Ok(Value::Null));
    }
    let store = Store::open_default()?;
    let model = match &args.model {
        Some(name) => match models::find(name) {
            Ok(model) => model,
            Err(error) => {
                output::note(&format!("ghostline: {error}"));
                return Ok(Err(Exit::Usage));
            }
        },
        None => choose::model(&store),
    };
    let model = fetch(&store, model, args.model.is_none()).await?;
    let candidates = [format!("embedded/{}", model.name)];
    Ok(Ok(
        json!({ "ghostline": { "roles": { "completion": { "candidates": candidates } } } }),
    ))
}

/// What serves completions already, other than the engine in this process.
async fn served_elsewhere() -> Option<String> {
    let host = LocalHost::new();
    let folder = std::env::current_dir().ok()?;
    let (settings, _) = host.settings(Some(&folder), None);
    let (mut choices, _) = host.choices(&settings);
    choices
        .candidates
        .retain(|&role, _| role == Role::Completion);
    choices.backends.retain(|b| b.name() != "embedded");
    let router = Router::new(choices);
    router.check().await;
    match router.route(Role::Completion) {
        RoleState::Loading(route) | RoleState::Ready(route) => {
            Some(format!("{} ({})", route.model, route.backend.name()))
        }
        RoleState::Starting | RoleState::Unavailable(_) => None,
    }
}

async fn fetch(
    store: &Store,
    model: &'static Model,
    may_choose_smaller: bool,
) -> anyhow::Result<&'static Model> {
    if store.path_of(model).is_some() {
        return Ok(model);
    }
    output::note(&format!(
        "Fetching {}, once, into {}.",
        model.name,
        store.dir().display()
    ));
    let pace = choose::Pace::default();
    let display = super::models::Display::new(model.name);
    let progress = |event: models::Event<'_>| {
        pace.on(event);
        models::Progress::on(&display, event);
    };
    let pulled = {
        let pull = models::pull(store, model, &progress);
        if may_choose_smaller {
            tokio::select! {
                pulled = pull => Some(pulled),
                () = pace.too_slow() => None,
            }
        } else {
            Some(pull.await)
        }
    };
    display.finish();
    if let Some(pulled) = pulled {
        pulled?;
        return Ok(model);
    }
    let smaller = models::find(choose::SMALL)?;
    output::note(&format!(
        "This would take long here; taking {} instead.",
        smaller.name
    ));
    Box::pin(fetch(store, smaller, false)).await
}

/// An editor as the server sees it.
struct Editor {
    client: Client<ChildStdout, ChildStdin>,
    text: String,
    version: i32,
}

impl Editor {
    /// A whole session; returns how many gaps got a ghost text.
    async fn session(&mut self, options: Value) -> anyhow::Result<usize> {
        let started = Instant::now();
        let params = json!({
            "processId": std::process::id(),
            "capabilities": {
                "general": { "positionEncodings": ["utf-8"] },
                "experimental": { "ghostline": { "completionUpdates": true } },
            },
            "initializationOptions": options,
            "workspaceFolders": null,
        });
        self.client.initialize(params).await?;
        output::line(&format!(
            "initialize answered after {}",
            millis(started.elapsed())
        ));
        let status = self.client.settled_status().await?;
        let message = status["message"].as_str().unwrap_or_default().to_owned();
        output::line(&format!(
            "{message}; ready after {}",
            millis(started.elapsed())
        ));
        let mut shown = 0;
        for gap in &GAPS {
            shown += usize::from(self.fill(gap).await?);
        }
        self.client.shut_down().await?;
        Ok(shown)
    }

    /// Opens the source with a gap, types into it and shows the ghost text after each key.
    async fn fill(&mut self, gap: &Gap) -> anyhow::Result<bool> {
        let at = SOURCE
            .find(gap.deleted)
            .context("the demo's source has changed")?;
        self.text = SOURCE.replacen(gap.deleted, "", 1);
        self.version += 1;
        let (line, column) = position(&self.text, at);
        output::line(&format!("\nsrc/document.rs:{}:{}", line + 1, column + 1));
        self.client
            .notify(
                "textDocument/didOpen",
                json!({ "textDocument": {
                    "uri": URI, "languageId": "rust", "version": self.version, "text": self.text,
                }}),
            )
            .await?;
        let mut any = self.ask(line, column).await?;
        for (n, key) in gap.typed.char_indices() {
            self.type_key(line, column + n, key).await?;
            any |= self.ask(line, column + n + 1).await?;
        }
        let close = json!({ "textDocument": { "uri": URI } });
        self.client.notify("textDocument/didClose", close).await?;
        Ok(any)
    }

    async fn type_key(&mut self, line: usize, column: usize, key: char) -> anyhow::Result<()> {
        self.version += 1;
        let at = offset(&self.text, line, column);
        self.text.insert(at, key);
        let place = json!({ "line": line, "character": column });
        let change = json!({ "range": { "start": place, "end": place }, "text": key.to_string() });
        Ok(self
            .client
            .notify(
                "textDocument/didChange",
                json!({
                    "textDocument": { "uri": URI, "version": self.version },
                    "contentChanges": [change],
                }),
            )
            .await?)
    }

    /// Asks at a place and prints the line as an editor would draw it, with the costs.
    async fn ask(&mut self, line: usize, column: usize) -> anyhow::Result<bool> {
        let asked = Instant::now();
        let items = self
            .client
            .request(
                "textDocument/inlineCompletion",
                json!({
                    "textDocument": { "uri": URI },
                    "position": { "line": line, "character": column },
                    "context": { "triggerKind": 2 },
                }),
            )
            .await?;
        let answered = asked.elapsed();
        let Some(first) = items[0]["insertText"].as_str() else {
            return Ok(false);
        };
        let metrics = self.client.request("ghostline/metrics", json!({})).await?;
        let mut last = metrics["completions"]["last"].clone();
        let mut ghost = first.to_owned();
        while last["whole"] == false {
            let update = self
                .client
                .notification("ghostline/completionUpdated")
                .await?;
            if let Some(grown) = update["items"][0]["insertText"].as_str() {
                grown.clone_into(&mut ghost);
            }
            let metrics = self.client.request("ghostline/metrics", json!({})).await?;
            last = metrics["completions"]["last"].clone();
        }
        let typed = self.text.lines().nth(line).unwrap_or_default().trim_start();
        output::line(&format!("    {typed}{}", output::dim(&ghost)));
        output::line(&format!("        {}", cost(answered, &last)));
        Ok(true)
    }
}

/// The costs of a completion in words.
fn cost(answered: Duration, last: &Value) -> String {
    if last["source"] == "cache" {
        return format!(
            "shown after {}, from the text generated before",
            millis(answered)
        );
    }
    let number = |key: &str| last[key].as_f64();
    let (prompt, cached) = (number("promptTokens"), number("cachedTokens"));
    let tokens = match (prompt, cached) {
        (Some(prompt), Some(cached)) => format!(
            "prompt {prompt} tokens: {cached} cached, {} computed",
            prompt - cached
        ),
        _ => "prompt tokens unknown".to_owned(),
    };
    let ms = |key: &str| number(key).unwrap_or_default();
    format!(
        "first shown after {}, first token {:.0} ms, whole {:.0} ms; {tokens}",
        millis(answered),
        ms("firstTokenMs"),
        ms("totalMs")
    )
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

/// Line and byte column of byte `at`, both from 0.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count();
    (line, at - before.rfind('\n').map_or(0, |n| n + 1))
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    text.split_inclusive('\n')
        .take(line)
        .map(str::len)
        .sum::<usize>()
        + column
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gap_is_in_the_source_once_and_begins_as_it_is_typed() {
        for gap in &GAPS {
            assert_eq!(SOURCE.matches(gap.deleted).count(), 1, "{}", gap.deleted);
            assert!(gap.deleted.starts_with(gap.typed), "{}", gap.deleted);
        }
    }

    #[test]
    fn places_are_found_again() {
        let text = "a\nbc\n";
        assert_eq!(position(text, 3), (1, 1));
        assert_eq!(offset(text, 1, 1), 3);
    }
}
