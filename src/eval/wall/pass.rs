//! One policy's pass: whatever runs it is started, the person types, and how the machine was used is
//! measured from the first key to the last.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::books::{WallBooks, Watched};
use super::editor::Editor;
use super::measures::Use;
use super::talking::Talking;
use super::{Options, WallError, cannot};
use crate::backend::llama_server::LlamaServer;
use crate::backend::{Backend as _, Limits};
use crate::client::{Client, ClientError};
use crate::config::Settings;
use crate::document::Document;
use crate::eval::machine::processor_time;
use crate::eval::oracle::{MODEL, Oracle};
use crate::eval::policy::{DEBOUNCED, Debounced};
use crate::eval::process;
use crate::eval::replay::{BESIDE_CHAT, Books as _, Outcome, Person, URI};
use crate::eval::script::Script;

/// From opening the document to the first key: a person looks at it first.
const LOOKS: Duration = Duration::from_secs(3);
/// How long the ends of the last generations are waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// One policy's pass.
pub(super) struct Pass {
    pub(super) name: &'static str,
    pub(super) outcome: Outcome,
    pub(super) used: Use,
}

/// The naive policy, straight to the HTTP server.
pub(super) async fn debounced(
    script: &Script,
    options: &Options,
    (url, process_id): (&str, Option<u32>),
    oracle: Option<Oracle>,
) -> Result<Pass, WallError> {
    let [constants, ..] = DEBOUNCED else {
        unreachable!("there are debounced policies")
    };
    let books = WallBooks::new(oracle);
    let (server, model) = server_at(url).await?;
    let backend = Arc::new(Watched {
        inner: Arc::new(server),
        books: books.clone(),
    });
    let max_tokens = Settings::default().inline.max_tokens;
    let policy = Debounced::new(constants, backend, &model, max_tokens);
    sleep(LOOKS).await;
    let processor = || process_id.and_then(processor_time);
    let (started, before) = (Instant::now(), processor());
    let person = Person::new(script, &policy, books.clone(), options.seed);
    let mut outcome = person.type_all(Duration::ZERO).await;
    let elapsed = started.elapsed();
    let used = Use {
        elapsed,
        busy: Some(books.open()),
        processor: processor()
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before)),
    };
    sleep(PATIENCE).await;
    outcome.ledger = books.ledger();
    let name = constants.name;
    Ok(Pass {
        name,
        outcome,
        used,
    })
}

/// The server of llama.cpp at `url`, with the name of its model.
async fn server_at(url: &str) -> Result<(LlamaServer, String), WallError> {
    let server = LlamaServer::new("http", url, None, Limits::default())?;
    let mut installed = server.probe().await?;
    let model = installed.pop().map_or(MODEL.to_owned(), |model| model.name);
    Ok((server, model))
}

/// What a language server is to complete with.
#[derive(Debug)]
pub(super) struct Served {
    /// The part of the settings about the backend.
    pub(super) settings: String,
    pub(super) candidate: String,
    /// Linked into the server's cache.
    pub(super) weights: Option<PathBuf>,
    /// What runs the model, if not the language server itself.
    pub(super) process_id: Option<u32>,
}

impl Served {
    /// The server of llama.cpp at `url`.
    pub(super) async fn over_http(url: &str) -> Result<Self, WallError> {
        let (_, model) = server_at(url).await?;
        Ok(Self {
            settings: format!("[backends.http]\nkind = \"llama_server\"\nurls = [{url:?}]\n"),
            candidate: format!("http/{model}"),
            weights: None,
            process_id: None,
        })
    }

    pub(super) async fn pass(
        &self,
        name: &'static str,
        script: &Script,
        options: &Options,
        oracle: Option<Oracle>,
    ) -> Result<Pass, WallError> {
        let folder = tempfile::tempdir().map_err(cannot("make a folder"))?;
        let config = self.prepare(folder.path())?;
        let mut server = process::serve(&options.program, &config)
            .spawn()
            .map_err(cannot("start the language server"))?;
        let pipes = server.stdout.take().zip(server.stdin.take());
        let (stdout, stdin) = pipes.ok_or(ClientError::Closed)?;
        let mut client = Client::new(stdout, stdin);
        self.wait_until_ready(&mut client).await?;
        let books = WallBooks::new(oracle);
        let document = Document::new(URI, 0, "rust", &script.start);
        let (editor, grown) = Editor::open(client, document, books.clone());
        let chat = (name == BESIDE_CHAT).then(|| Talking::begin(&editor));
        sleep(LOOKS).await;
        if let Some(chat) = &chat {
            chat.until_it_streams().await?;
        }
        let computes = self.process_id.or(server.id());
        let processor = || computes.and_then(processor_time);
        let (busy_before, processor_before) = (busy(&editor).await, processor());
        let started = Instant::now();
        let person = Person::new(script, &editor, books.clone(), options.seed);
        person.draws(grown);
        let mut outcome = person.type_all(Duration::ZERO).await;
        let elapsed = started.elapsed();
        outcome.chat = chat.as_ref().map(|chat| chat.told.figures(elapsed));
        let processor = processor().zip(processor_before);
        let own = busy(&editor).await.zip(busy_before);
        drop(chat);
        sleep(PATIENCE).await;
        outcome.ledger = books.ledger();
        let used = Use {
            elapsed,
            busy: Some(own.map_or_else(
                || books.open(),
                |(after, before)| after.saturating_sub(before),
            )),
            processor: processor.map(|(after, before)| after.saturating_sub(before)),
        };
        editor.close().await;
        server
            .wait()
            .await
            .map_err(cannot("wait for the language server"))?;
        Ok(Pass {
            name,
            outcome,
            used,
        })
    }

    /// Writes the settings, and puts the weights where the server looks for them.
    fn prepare(&self, folder: &Path) -> Result<PathBuf, WallError> {
        if let Some(weights) = &self.weights {
            let models = folder.join("models");
            std::fs::create_dir(&models).map_err(cannot("make a folder"))?;
            let there = models.join(weights.file_name().unwrap_or_default());
            link(weights, &there).map_err(cannot("link the weights into a folder"))?;
        }
        let path = folder.join("config.toml");
        let text = format!(
            "{}\n[roles.completion]\ncandidates = [\"{1}\"]\n[roles.chat]\ncandidates = [\"{1}\"]\n",
            self.settings, self.candidate
        );
        std::fs::write(&path, text).map_err(cannot("write the settings"))?;
        Ok(path)
    }

    async fn wait_until_ready<R, W>(&self, client: &mut Client<R, W>) -> Result<(), WallError>
    where
        R: tokio::io::AsyncRead + Unpin,
        W: tokio::io::AsyncWrite + Unpin,
    {
        let params = json!({
            "processId": std::process::id(),
            "rootUri": null,
            "capabilities": {
                "general": { "positionEncodings": ["utf-8"] },
                "experimental": {
                    "ghostline": { "completionUpdates": true, "generations": true },
                },
            },
        });
        client.initialize(params).await?;
        let status = client.settled_status().await?;
        let role = &status["roles"]["completion"];
        let named = |key: &str| role[key].as_str().unwrap_or_default();
        let serves = format!("{}/{}", named("backend"), named("model"));
        if role["state"] == "ready" && serves == self.candidate {
            return Ok(());
        }
        Err(WallError::NotServed {
            expected: self.candidate.clone(),
            status: status.to_string(),
        })
    }
}

/// How long the backend of the server behind `editor` has computed, where it can tell.
async fn busy(editor: &Editor) -> Option<Duration> {
    let metrics = editor.request("ghostline/metrics", &json!({})).await?;
    let busy = metrics.pointer("/result/busyMs").and_then(Value::as_f64)?;
    Some(Duration::from_secs_f64(busy / 1e3))
}

fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(from, to);
    #[cfg(not(unix))]
    std::fs::hard_link(from, to)
}
