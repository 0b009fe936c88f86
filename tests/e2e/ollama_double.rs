//! A scripted Ollama by hand: `cargo run --example ollama-double -- --port 11434 --load-ms 2000`.
//!
//! Point an editor or `curl` at it to see how the server behaves with a slow, busy or cold Ollama.

use std::time::Duration;

use clap::Parser;

#[path = "support/ollama_double.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod ollama_double;

use ollama_double::{Answer, Config, Model, OllamaDouble};

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
        prefill_per_token: Duration::from_micros(options.prefill_us),
        per_token: Duration::from_millis(options.token_ms),
        cancel_poll: Duration::from_secs(1),
        ..Config::default()
    })
    .await?;
    let text = options.text;
    double.answer_with(move |_| match options.status {
        Some(status) => Answer::error(status, "scripted"),
        None => Answer::text(&text),
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
