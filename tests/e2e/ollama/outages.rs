//! Servers that stall, go away, are something else, or hide behind a proxy.

use std::process::Command;
use std::sync::Mutex;

use ghostline::backend::ollama::AddressError;
use tracing_subscriber::fmt::MakeWriter;

use super::faults::kind;
use super::*;

#[tokio::test]
async fn stalls_end() {
    let short = Duration::from_millis(50);
    let stall = OllamaOptions {
        limits: Limits {
            stall: short,
            ..Limits::default()
        },
        ..OllamaOptions::default()
    };
    let first_byte = OllamaOptions {
        limits: Limits {
            first_byte: short,
            ..Limits::default()
        },
        ..OllamaOptions::default()
    };
    let cases = [
        (stall, vec![Step::Token("a".to_owned()), Step::Hang], "a"),
        (stall, vec![Step::Bytes(b"{\"resp".into()), Step::Hang], ""),
        (first_byte, vec![Step::Hang], ""),
    ];
    for (options, steps, expect) in cases {
        within(async {
            let (double, _) = start(Config::default()).await;
            let backend = backend(&double, options);
            backend.warm_up(MODEL).await.expect("a load");
            double.answer(Answer::steps(steps));
            let (text, end) = collect(backend.stream(request("a"))).await;
            assert_eq!(
                (text.as_str(), kind(&end)),
                (expect, "interrupted"),
                "{end:?}"
            );
            // Giving up frees the server.
            double
                .wait_for(|log| log.ended(End::Disconnected) == 1)
                .await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_load_that_never_ends_is_given_up() {
    within(async {
        let config = Config {
            load_gate: Some(Arc::new(Semaphore::new(0))),
            ..Config::default()
        };
        let (double, _) = start(config).await;
        let options = OllamaOptions {
            load: Duration::from_millis(50),
            ..OllamaOptions::default()
        };
        let end = backend(&double, options).warm_up(MODEL).await;
        assert!(
            matches!(end, Err(BackendError::Interrupted { .. })),
            "{end:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        collect(backend.stream(request("a")))
            .await
            .1
            .expect("an answer");
        let port = double.port();
        let mut stream = {
            double.answer(Answer::steps([Step::Token("a".to_owned()), Step::Hang]));
            backend.stream(request("a"))
        };
        for _ in ["cost", "text"] {
            stream.next().await.expect("a chunk").expect("no error");
        }
        double.stop().await;
        let (_, end) = collect(stream).await;
        assert_eq!(kind(&end), "interrupted");
        let (_, end) = collect(backend.stream(request("a"))).await;
        assert_eq!(kind(&end), "unreachable");
        let error = backend.probe().await.expect_err("nobody there");
        assert!(
            matches!(error, BackendError::Unreachable { .. }),
            "{error:?}"
        );
        assert!(matches!(
            backend.warm_up(MODEL).await,
            Err(BackendError::Unreachable { .. })
        ));
        let config = Config {
            port,
            ..Config::default()
        };
        let double = OllamaDouble::start(config).await.expect("the same port");
        collect(backend.stream(request("a")))
            .await
            .1
            .expect("an answer");
        assert_eq!(double.log().loads_aborted, 0);
        assert_eq!(
            double.log().requests.len(),
            4,
            "it is loaded before it is used"
        );
    })
    .await;
}

#[tokio::test]
async fn probes_of_what_is_no_ollama() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        for answer in [
            Answer::refusal(200, "text/html", "<html>"),
            Answer::refusal(200, "application/json", "[]"),
            Answer::refusal(404, "text/plain", "404 page not found"),
        ] {
            double.answer_path("/api/tags", answer);
            let error = backend.probe().await.expect_err("no Ollama");
            assert!(matches!(error, BackendError::Protocol { .. }), "{error:?}");
        }
        double.answer_path("/api/tags", Answer::refusal(403, "", ""));
        let error = backend.probe().await.expect_err("refused");
        assert!(error.to_string().contains("its IP address"), "{error}");
        // Nothing installed, and a version that does not tell.
        double.answer_path(
            "/api/tags",
            Answer::refusal(200, "application/json", "{\"models\":null}"),
        );
        double.answer_path("/api/version", Answer::refusal(404, "text/plain", ""));
        assert_eq!(backend.probe().await.expect("an empty list"), []);
        assert_eq!(backend.version(), None);
    })
    .await;
}

#[test]
fn bad_addresses_are_refused_without_asking_anyone() {
    let bad = Ollama::new("ollama", "ftp://x", OllamaOptions::default());
    assert!(matches!(bad, Err(AddressError::Scheme { .. })));
}

#[tokio::test]
async fn needless_loads_are_warned_about_once() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl MakeWriter<'_> for Lines {
        type Writer = Self;
        fn make_writer(&self) -> Self {
            self.clone()
        }
    }
    within(async {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(lines.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let (double, backend) = start(Config::default()).await;
        // The first answer after a cold start may well have loaded.
        for (requests, expect) in [(1, 0), (2, 1), (3, 1)] {
            double.answer(Answer::text("a").claiming_load(Duration::from_secs(3)));
            let (_, end) = collect(backend.stream(request("secret text"))).await;
            end.expect("an answer");
            let lines = lines.0.lock().expect("no panic").clone();
            let lines = String::from_utf8(lines).expect("text");
            let warnings = lines.matches("loaded again").count();
            assert_eq!(warnings, expect, "after {requests} requests: {lines}");
            assert!(!lines.contains("secret text"), "{lines}");
        }
    })
    .await;
}

/// The environment of this process cannot be changed safely: the test runs itself in another one, where
/// every proxy variable leads nowhere.
#[test]
fn this_machine_is_reached_without_a_proxy() {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "ollama::text_streams_and_ends_with_counts"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    for name in ["NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    let output = command.output().expect("the test binary runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && shown.contains("1 passed"),
        "{shown}"
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        let (elsewhere, _) = start(Config::default()).await;
        let redirect = || {
            let location = format!("{}/api/generate", elsewhere.url());
            Answer::refusal(307, "text/plain", "").header("location", location)
        };
        double.answer_load(redirect());
        let end = backend.warm_up(MODEL).await;
        assert!(matches!(end, Err(BackendError::Protocol { .. })), "{end:?}");
        backend.warm_up(MODEL).await.expect("a load");
        double.answer(redirect());
        let (_, end) = collect(backend.stream(request("a"))).await;
        assert_eq!(kind(&end), "protocol");
        assert_eq!(elsewhere.log().requests.len(), 0);
    })
    .await;
}
