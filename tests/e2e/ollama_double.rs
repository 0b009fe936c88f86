//! A scripted Ollama by hand: `cargo run --example ollama-double -- --port 11434 --load-ms 2000`.
//!
//! Point an editor or `curl` at it to see how the server behaves with a slow, busy or cold Ollama. The
//! tests in real editors run it too, with a script.
//!
//! `--script FILE` is JSON, read anew for every generation:
//!
//! ```json
//! [{"when": "fn total", "chat": false, "steps": [{"wait_ms": 20}, {"text": "items"}, {"gate": "FILE"},
//!   {"text": ".len()"}]}, {"when": "", "status": 500}]
//! ```
//!
//! The first rule answers whose `when` is in the request: in the prompt, or in the last message of a
//! chat; `chat` limits it to chats or to the rest. A `gate` waits until that file exists. `thinking` is
//! a thought, `hang` waits for ever.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;

#[path = "support/ollama_double.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod ollama_double;

use ollama_double::{Answer, Config, Model, OllamaDouble, Step};

/// Between two looks for a gate's file.
const GATE_POLL: Duration = Duration::from_millis(2);

/// A scripted Ollama.
#[derive(Debug, Parser)]
struct Options {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 11434)]
    port: u16,
    /// What `/api/version` says.
    #[arg(long, default_value = "0.33.0")]
    ollama_version: String,
    /// An installed model; may be given several times.
    #[arg(long = "model", default_value = "qwen2.5-coder:1.5b")]
    models: Vec<String>,
    /// Time a load takes, in milliseconds.
    #[arg(long, default_value_t = 0)]
    load_ms: u64,
    /// A load also waits until this file exists.
    #[arg(long)]
    load_gate: Option<PathBuf>,
    /// Time per prompt token that is not cached, in microseconds.
    #[arg(long, default_value_t = 1000)]
    prefill_us: u64,
    /// Time between two tokens, in milliseconds.
    #[arg(long, default_value_t = 20)]
    token_ms: u64,
    /// What every generation says.
    #[arg(long, default_value = "let answer = 42;")]
    text: String,
    /// Answer every generation with this status and an error instead.
    #[arg(long)]
    status: Option<u16>,
    /// What generations say, by rules; see above.
    #[arg(long)]
    script: Option<PathBuf>,
}

/// One row of a script.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    when: String,
    chat: Option<bool>,
    status: Option<u16>,
    #[serde(default)]
    steps: Vec<Scripted>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scripted {
    Text(String),
    Thinking(String),
    WaitMs(u64),
    Gate(PathBuf),
    Hang,
}

impl Rule {
    fn holds(&self, request: &Value) -> bool {
        let last = request["messages"].as_array().and_then(|all| all.last());
        let said = last.map_or(&request["prompt"], |message| &message["content"]);
        self.chat.is_none_or(|chat| chat == last.is_some())
            && said.as_str().is_some_and(|said| said.contains(&self.when))
    }

    fn answer(&self) -> Answer {
        if let Some(status) = self.status {
            return Answer::error(status, "scripted");
        }
        let steps = self.steps.iter().map(|step| match step {
            Scripted::Text(text) => Step::Token(text.clone()),
            Scripted::Thinking(thought) => Step::Thinking(thought.clone()),
            Scripted::WaitMs(ms) => Step::Wait(Duration::from_millis(*ms)),
            Scripted::Gate(file) => Step::Gate(gate(file)),
            Scripted::Hang => Step::Hang,
        });
        Answer::steps(steps).then(Step::Done(String::new()))
    }
}

/// Gets a permit once `file` exists.
fn gate(file: &Path) -> Arc<Semaphore> {
    let (gate, file) = (Arc::new(Semaphore::new(0)), file.to_owned());
    let waiting = gate.clone();
    tokio::spawn(async move {
        // With one count left nobody waits for it any more: the request was given up.
        while Arc::strong_count(&waiting) > 1 {
            if file.exists() {
                waiting.add_permits(1);
                return;
            }
            tokio::time::sleep(GATE_POLL).await;
        }
    });
    gate
}

/// What the script says to a request; an error that a model would never make when it says nothing.
fn scripted(script: &Path, request: &Value) -> Answer {
    let rules = std::fs::read_to_string(script)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str::<Vec<Rule>>(&text).map_err(|e| e.to_string()));
    match rules {
        Ok(rules) => rules.iter().find(|rule| rule.holds(request)).map_or_else(
            || Answer::error(500, "no rule of the script fits"),
            Rule::answer,
        ),
        Err(error) => Answer::error(500, &format!("{}: {error}", script.display())),
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "this is a program for the terminal")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let double = OllamaDouble::start(Config {
        port: options.port,
        version: options.ollama_version,
        models: options.models.iter().map(|name| Model::new(name)).collect(),
        load: Duration::from_millis(options.load_ms),
        load_gate: options.load_gate.as_deref().map(gate),
        prefill_per_token: Duration::from_micros(options.prefill_us),
        per_token: Duration::from_millis(options.token_ms),
        cancel_poll: Duration::from_secs(1),
        ..Config::default()
    })
    .await?;
    let text = options.text;
    double.answer_with(move |request| match (options.status, &options.script) {
        (Some(status), _) => Answer::error(status, "scripted"),
        (None, Some(script)) => scripted(script, request),
        (None, None) => Answer::text(&text),
    });
    println!("{}", double.url());
    tokio::signal::ctrl_c().await?;
    let log = double.log();
    println!(
        "{} requests, {} loads, {} given up",
        log.requests.len(),
        log.loads_started,
        log.loads_aborted
    );
    double.stop().await;
    Ok(())
}
