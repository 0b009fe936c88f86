//! Faults of an Ollama seen through the whole server: nothing hangs, a completion is an empty answer and
//! never an error, a chat ends in an error that says what happened and keeps what was said, and what is
//! asked next is answered.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ghostline::backend::ollama::{Ollama, OllamaOptions};
use ghostline::backend::pool::Pool;
use ghostline::backend::{Backend, Limits};
use ghostline::config::{Debounce, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::support::ollama_double::{Answer, Config, Model, OllamaDouble, Step};
use crate::support::scripted::MODEL;
use crate::support::server::{TestServer, URI};

/// What asks for the fault of the test; everything else is answered well.
const FAULTY: &str = "faulty";

/// A test that takes longer hangs.
async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), test)
        .await
        .expect("the test hangs")
}

async fn double(config: Config) -> OllamaDouble {
    let models = vec![Model::new(MODEL)];
    let double = OllamaDouble::start(Config { models, ..config }).await;
    double.unwrap()
}

fn well() -> Answer {
    Answer::text("42;")
}

/// A server as the host builds it, over the double.
fn over(double: &OllamaDouble, options: OllamaOptions, chats: &Path) -> TestServer {
    let ollama = Ollama::new("ollama", &double.url(), options).unwrap();
    let pool = Pool::new("ollama", vec![Arc::new(ollama) as Arc<dyn Backend>]).unwrap();
    let mut settings = Settings::default();
    settings.inline.debounce = Debounce::Fixed(Duration::ZERO);
    settings.inline.prefetch = false;
    // The answer is waited for, however busy the machine is.
    settings.inline.deadline = Duration::from_secs(30);
    TestServer::over(Arc::new(pool), chats, settings)
}

/// A running server and its Ollama.
struct Scene {
    double: OllamaDouble,
    server: TestServer,
    _chats: TempDir,
}

impl Scene {
    async fn new(options: OllamaOptions) -> Self {
        let double = double(Config::default()).await;
        double.answer_with(|_| well());
        let chats = tempfile::tempdir().unwrap();
        let server = over(&double, options, chats.path());
        Self {
            double,
            server: server.initialized(json!({}), Value::Null).await,
            _chats: chats,
        }
    }

    /// What holds the marker gets `answer` from now on.
    fn fault(&self, answer: Answer) {
        self.double.answer_with(move |request| {
            if request.to_string().contains(FAULTY) {
                answer.clone()
            } else {
                well()
            }
        });
    }

    /// A completion in a document of its own.
    async fn ghost(&mut self, name: &str) -> Option<String> {
        let id = self.ask(name).await;
        self.server.ghost(&id).await
    }

    async fn ask(&mut self, name: &str) -> Value {
        let uri = format!("file:///project/{name}.rs");
        let text = format!("// {name}\nfn f() {{\n    let x = \n}}\n");
        self.server.open_as(&uri, &text).await;
        self.server.ask_in(&uri, (2, 12)).await
    }

    /// The whole response of a chat.
    async fn chat(&mut self, message: &str) -> Value {
        let params = json!({ "message": message });
        let client = &mut self.server.client;
        let id = json!(client.start("ghostline/chat", params).await.unwrap());
        client.response(&id).await.unwrap()
    }

    /// What a conversation kept of its first answer.
    async fn kept(&mut self, error: &Value) -> Value {
        let params = json!({ "conversation": error["data"]["conversation"] });
        let client = &mut self.server.client;
        let kept = client.request("ghostline/conversation", params).await;
        kept.unwrap()["turns"][0]["answer"].clone()
    }
}

/// In either dialect of the double: a completion's text and a conversation's.
fn line(text: &str) -> Vec<u8> {
    let line = json!({"response": text, "message": {"role": "assistant", "content": text}});
    format!("{line}\n").into_bytes()
}

#[tokio::test]
async fn a_fault_is_an_empty_answer_or_a_clear_error_and_no_more() {
    let said = || Step::Bytes(line("a"));
    let bytes = |bytes: &[u8]| Step::Bytes(bytes.to_vec());
    let long = line(&"x".repeat(8 << 20));
    // What it is called, what is answered, and what the error of a chat says.
    let cases: Vec<(&str, Answer, &str)> = vec![
        (
            "busy",
            Answer::error(
                503,
                "server busy, please try again.  maximum pending requests exceeded",
            ),
            "busy",
        ),
        (
            "removed",
            Answer::error(404, "model 'x' not found"),
            "models pull",
        ),
        (
            "runner",
            Answer::error(500, "model runner has unexpectedly stopped"),
            "unexpectedly stopped",
        ),
        (
            "error_line",
            Answer::steps([said(), bytes(b"{\"error\":\"out of memory\"}\n")]),
            "out of memory",
        ),
        (
            "no_end",
            Answer::steps([said()]),
            "without its closing line",
        ),
        ("reset", Answer::steps([said(), Step::Reset]), ""),
        (
            "half_a_character",
            Answer::steps([said(), bytes(b"{\"response\":\"\xc3")]),
            "",
        ),
        (
            "no_utf8",
            Answer::steps([said(), bytes(b"{\"response\":\"\xc3\"}\n")]),
            "",
        ),
        ("long_line", Answer::steps([said(), Step::Bytes(long)]), ""),
        ("nothing", Answer::steps([]), "empty answer"),
        (
            "page",
            Answer::refusal(200, "text/html", "<html>Log in</html>"),
            "page",
        ),
    ];
    for (name, answer, says) in cases {
        within(async {
            let mut scene = Scene::new(OllamaOptions::default()).await;
            scene.fault(answer);
            let ghost = scene.ghost(&format!("{FAULTY}_{name}")).await;
            assert!(ghost.is_none_or(|text| text == "a"), "{name}");
            assert_eq!(
                scene.ghost("well").await.as_deref(),
                Some("42;"),
                "after {name}"
            );
            let response = scene.chat(FAULTY).await;
            let error = &response["error"];
            assert_eq!(error["code"], -32803, "{name}: {response}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(says), "{name}: {message}");
            assert!(message.len() < 500, "{name}: {} bytes", message.len());
            let kept = scene.kept(error).await;
            assert!(kept == "a" || kept == "", "{name}: {kept}");
            let response = scene.chat("well").await;
            assert_eq!(response["result"]["message"], "42;", "after {name}");
            scene.server.finish().await;
        })
        .await;
    }
}

#[tokio::test]
async fn characters_come_whole_however_the_bytes_are_cut() {
    within(async {
        let mut scene = Scene::new(OllamaOptions::default()).await;
        let done = json!({"done": true, "done_reason": "stop"}).to_string() + "\n";
        let all = [line("é🦀"), line(";"), done.into_bytes()].concat();
        scene.fault(Answer::pieces(all.iter().map(|byte| [*byte])));
        let ghost = scene.ghost(FAULTY).await;
        assert_eq!(ghost.as_deref(), Some("é🦀;"));
        let response = scene.chat(FAULTY).await;
        assert_eq!(response["result"]["message"], "é🦀;");
        scene.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn what_stalls_is_given_up() {
    let short = Duration::from_millis(50);
    let limits = |first_byte, stall| OllamaOptions {
        limits: Limits {
            first_byte,
            stall,
            ..Limits::default()
        },
        ..OllamaOptions::default()
    };
    let long = Duration::from_mins(1);
    for (options, steps, kept) in [
        (
            limits(long, short),
            vec![Step::Bytes(line("a")), Step::Hang],
            "a",
        ),
        (limits(short, long), vec![Step::Hang], ""),
    ] {
        within(async {
            let mut scene = Scene::new(options).await;
            scene.fault(Answer::steps(steps));
            let ghost = scene.ghost(FAULTY).await;
            assert!(ghost.is_none_or(|text| text == kept));
            let response = scene.chat(FAULTY).await;
            assert_eq!(response["error"]["code"], -32803, "{response}");
            assert_eq!(scene.kept(&response["error"]).await, kept);
            scene.server.finish().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_slow_first_byte_keeps_nobody_from_typing_on() {
    within(async {
        let mut scene = Scene::new(OllamaOptions::default()).await;
        let gate = Arc::new(Semaphore::new(0));
        scene.fault(Answer::steps([
            Step::Gate(Arc::clone(&gate)),
            Step::Bytes(line("a")),
            Step::Done(String::new()),
        ]));
        let slow = scene.ask(&format!("{FAULTY}_slow")).await;
        let asked = |log: &crate::support::ollama_double::Log| {
            log.generations()
                .any(|request| request.body.to_string().contains(FAULTY))
        };
        scene.double.wait_for(asked).await;
        // Somebody goes on in another document: the one is settled, the other answered.
        assert_eq!(scene.ghost("well").await.as_deref(), Some("42;"));
        assert_eq!(scene.server.ghost(&slow).await, None);
        gate.add_permits(10);
        let ghost = scene.ghost(&format!("{FAULTY}_later")).await;
        assert_eq!(ghost.as_deref(), Some("a"));
        scene.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn typing_through_a_cold_load_ends_in_a_loaded_model() {
    within(async {
        let gate = Arc::new(Semaphore::new(0));
        let double = double(Config {
            load_gate: Some(Arc::clone(&gate)),
            ..Config::default()
        })
        .await;
        double.answer_with(|_| well());
        let chats = tempfile::tempdir().unwrap();
        let mut server = over(&double, OllamaOptions::default(), chats.path());
        let params = json!({ "processId": null, "rootUri": null, "capabilities": {} });
        server.client.initialize(params).await.unwrap();
        server.open("fn f() {\n    let answer = \n}\n").await;
        double.wait_for(|log| log.loads_started == 1).await;
        // A key, a request, and the request before it is taken back, as editors do.
        let mut ids = Vec::new();
        for (column, key) in (17..).zip(["s", "e", "l", "f", "."]) {
            server.insert((1, column), key).await;
            ids.push(server.ask((1, column + 1)).await);
            let params = json!({ "id": ids[ids.len() - 1] });
            server
                .client
                .notify("$/cancelRequest", params)
                .await
                .unwrap();
        }
        for id in &ids {
            let answer = server.client.response(id).await.unwrap();
            let code = &answer["error"]["code"];
            assert!(answer.get("error").is_none() || *code == -32800, "{answer}");
        }
        gate.add_permits(1);
        let status = server.client.settled_status().await.unwrap();
        assert_eq!(status["roles"]["completion"]["state"], "ready", "{status}");
        let id = server.ask((1, 22)).await;
        assert_eq!(server.ghost(&id).await.as_deref(), Some("42;"));
        let log = double.log();
        assert_eq!(
            (log.loads_started, log.loads_finished, log.loads_aborted),
            (1, 1, 0)
        );
        server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_model_that_answers_nothing_is_loaded_anew_and_said() {
    within(async {
        let options = OllamaOptions {
            silence: Duration::ZERO,
            examination: Duration::from_millis(50),
            ..OllamaOptions::default()
        };
        let mut scene = Scene::new(options).await;
        scene.double.lose_turns(MODEL);
        for count in 1..=3 {
            let uri = format!("file:///project/silent_{count}.rs");
            let id = scene.ask(&format!("silent_{count}")).await;
            let marker = format!("silent_{count}");
            let asked = |log: &crate::support::ollama_double::Log| {
                log.generations()
                    .any(|request| request.body.to_string().contains(&marker))
            };
            scene.double.wait_for(asked).await;
            // A second passes, which no request survives that is waited for by somebody who types.
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(1)).await;
            tokio::time::resume();
            let params = json!({ "textDocument": { "uri": uri } });
            let client = &mut scene.server.client;
            client
                .notify("textDocument/didClose", params)
                .await
                .unwrap();
            assert_eq!(scene.server.ghost(&id).await, None);
        }
        assert_eq!(scene.ghost("well").await.as_deref(), Some("42;"));
        let log = scene.double.log();
        assert_eq!((log.loads_started, log.loads_aborted), (2, 0));
        let status = scene.server.client.request("ghostline/status", json!({}));
        let status = status.await.unwrap();
        let said = status["message"].as_str().unwrap();
        assert!(said.contains("loaded anew"), "{said}");
        scene.server.finish().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_serves_again() {
    within(async {
        let Scene {
            double,
            mut server,
            _chats,
        } = Scene::new(OllamaOptions::default()).await;
        server.open("fn f() {\n    let x = \n}\n").await;
        let hang = Answer::steps([Step::Bytes(line("a")), Step::Hang]);
        double.answer_with(move |_| hang.clone());
        let id = server.ask((1, 12)).await;
        let asked = |log: &crate::support::ollama_double::Log| log.generations().count() == 2;
        double.wait_for(asked).await;
        let port = double.port();
        // Every connection is reset, as `kill -9` does.
        double.stop().await;
        let ghost = server.ghost(&id).await;
        assert!(ghost.is_none_or(|text| text == "a"));
        let again = self::double(Config {
            port,
            ..Config::default()
        })
        .await;
        again.answer_with(|_| well());
        // The status tells when it is found again; what is asked before is an empty answer.
        loop {
            let id = server.ask_in(URI, (1, 12)).await;
            if server.ghost(&id).await.as_deref() == Some("42;") {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(again.log().loads_aborted, 0);
        server.finish().await;
    })
    .await;
}
