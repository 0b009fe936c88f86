//! Refusals and broken streams, row by row. Each row ends in a clear error or a whole answer.

use super::*;

/// The variant's name, for tables.
pub(super) fn kind(end: &Result<Finish, BackendError>) -> &'static str {
    match end {
        Ok(_) => "done",
        Err(BackendError::Unreachable { .. }) => "unreachable",
        Err(BackendError::ModelMissing { .. }) => "missing",
        Err(BackendError::Busy { .. }) => "busy",
        Err(BackendError::Failed { .. }) => "failed",
        Err(BackendError::Protocol { .. }) => "protocol",
        Err(BackendError::Interrupted { .. }) => "interrupted",
        Err(BackendError::Load { .. }) => "load",
        Err(_) => "other",
    }
}

#[tokio::test]
async fn refusals_before_the_first_byte() {
    let json = "application/json; charset=utf-8";
    let html = "text/html";
    let error = Answer::error;
    let page = Answer::refusal;
    let cases = [
        ("404", error(404, "model 'x' not found"), "missing"),
        (
            "404 page",
            page(404, "text/plain", "404 page not found"),
            "protocol",
        ),
        (
            "400",
            error(
                400,
                "registry.ollama.ai/library/x:latest does not support insert",
            ),
            "failed",
        ),
        ("401 cloud", error(401, "unauthorized"), "failed"),
        ("403", page(403, "", ""), "failed"),
        (
            "405",
            page(405, "text/plain", "405 method not allowed"),
            "protocol",
        ),
        ("429", error(429, "too many requests"), "failed"),
        ("499", error(499, "request canceled"), "failed"),
        (
            "500",
            error(500, "model runner has unexpectedly stopped"),
            "failed",
        ),
        (
            "500 load",
            error(
                500,
                "llama-server process has terminated: exit status 1: error loading model: unknown model architecture: 'mllama'",
            ),
            "load",
        ),
        ("502 cloud", error(502, "upstream"), "failed"),
        (
            "502 page",
            page(502, html, "<html>Bad gateway</html>"),
            "protocol",
        ),
        (
            "503",
            error(
                503,
                "server busy, please try again.  maximum pending requests exceeded",
            ),
            "busy",
        ),
        ("503 page", page(503, html, "<html>"), "protocol"),
        ("302", page(302, html, ""), "protocol"),
        (
            "200 page",
            page(200, html, "<html>Log in</html>"),
            "protocol",
        ),
        ("200 empty", page(200, json, ""), "protocol"),
        (
            "200 not JSON",
            page(200, json, "Ollama is running\n"),
            "protocol",
        ),
        (
            "200 not JSON, no line end",
            page(200, json, "Ollama is running"),
            "interrupted",
        ),
        (
            "200 another server",
            page(200, json, "{\"object\":\"list\"}"),
            "interrupted",
        ),
        ("200 error", page(200, json, "{\"error\":\"x\"}"), "failed"),
    ];
    within(async {
        let (double, backend) = start(Config::default()).await;
        backend.warm_up(MODEL).await.expect("a load");
        for (case, answer, expect) in cases {
            double.answer(answer);
            let (text, end) = collect(backend.stream(request("a"))).await;
            assert_eq!((text.as_str(), kind(&end)), ("", expect), "{case}: {end:?}");
        }
        collect(backend.stream(request("a")))
            .await
            .1
            .expect("all is well again");
    })
    .await;
}

#[tokio::test]
async fn refusals_of_a_load() {
    let cases = [
        (Answer::error(404, "model 'x' not found"), "missing"),
        (
            Answer::error(
                503,
                "server busy, please try again.  maximum pending requests exceeded",
            ),
            "busy",
        ),
        (
            Answer::error(500, "timed out waiting for llama-server to start - x"),
            "load",
        ),
        (Answer::refusal(200, "application/json", ""), "protocol"),
        (Answer::refusal(200, "text/html", "<html>"), "protocol"),
        (
            Answer::pieces(["{\"error\":\"error loading model: x\"}\n"]),
            "load",
        ),
        (
            Answer::steps([Step::Bytes(b"{\"do".into()), Step::Reset]),
            "interrupted",
        ),
    ];
    within(async {
        let (double, backend) = start(Config::default()).await;
        for (answer, expect) in cases {
            double.answer_load(answer);
            let (_, end) = collect(backend.stream(request("a"))).await;
            assert_eq!(kind(&end), expect, "{end:?}");
        }
        let unknown = Request {
            model: "unknown".to_owned(),
            ..request("a")
        };
        let (_, end) = collect(backend.stream(unknown)).await;
        assert_eq!(kind(&end), "missing");
        assert!(end.is_err_and(|error| error.to_string().contains("models pull unknown")));
    })
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn broken_streams() {
    const TEXT: &str = "{\"response\":\"ab\",\"done\":false}\n";
    const DONE: &str = "{\"response\":\"\",\"done\":true,\"done_reason\":\"stop\"}\n";
    let accented = "{\"response\":\"é🦀\\u003c\\ud83e\\udd80\",\"done\":false}\n";
    let all = format!("{accented}{TEXT}{DONE}");
    let bytes: Vec<[u8; 1]> = all.bytes().map(|byte| [byte]).collect();
    let long = format!("{{\"response\":\"{}\"}}\n", "x".repeat(8 << 20));
    let context = format!(
        "{{\"done\":true,\"context\":[{}1]}}\n",
        "151643,".repeat(32_768)
    );
    let tokens = |count: usize| vec![Step::Token(" ".to_owned()); count];
    let hello = Step::Bytes(TEXT.into());
    let cases: Vec<(&str, Answer, &str, &str)> = vec![
        (
            "split at every byte",
            Answer::pieces(bytes),
            "é🦀<🦀ab",
            "done",
        ),
        (
            "many lines in one piece",
            Answer::pieces([&all]),
            "é🦀<🦀ab",
            "done",
        ),
        (
            "CRLF and blank lines",
            Answer::pieces([all.replace('\n', "\r\n\r\n")]),
            "é🦀<🦀ab",
            "done",
        ),
        (
            "no line end after the last line",
            Answer::pieces([TEXT, DONE.trim_end()]),
            "ab",
            "done",
        ),
        (
            "text in the closing line",
            Answer::steps([hello.clone(), Step::Done("cd".to_owned())]),
            "abcd",
            "done",
        ),
        (
            "a pause",
            Answer::steps([
                hello.clone(),
                Step::Wait(Duration::from_millis(1)),
                Step::Done(String::new()),
            ]),
            "ab",
            "done",
        ),
        (
            "two closing lines",
            Answer::pieces([TEXT, DONE, TEXT, DONE]),
            "ab",
            "done",
        ),
        (
            "rubbish after the closing line",
            Answer::pieces([TEXT, DONE, "<html>"]),
            "ab",
            "done",
        ),
        (
            "missing fields",
            Answer::pieces(["{\"response\":\"a\"}\n{\"done\":true}\n"]),
            "a",
            "done",
        ),
        (
            "null fields",
            Answer::pieces([
                "{\"response\":null,\"error\":null}\n{\"done\":true,\"eval_count\":null}\n",
            ]),
            "",
            "done",
        ),
        (
            "unknown fields",
            Answer::pieces(["{\"response\":\"a\",\"x\":{\"y\":[1]}}\n", DONE]),
            "a",
            "done",
        ),
        (
            "thinking only",
            Answer::pieces(["{\"response\":\"\",\"thinking\":\"hm\"}\n", DONE]),
            "",
            "done",
        ),
        (
            "a replaced character",
            Answer::pieces(["{\"response\":\"\u{fffd}\"}\n", DONE]),
            "\u{fffd}",
            "done",
        ),
        (
            "a huge context",
            Answer::pieces([TEXT, &context]),
            "ab",
            "done",
        ),
        (
            "no closing line",
            Answer::pieces([TEXT]),
            "ab",
            "interrupted",
        ),
        (
            "repetition",
            Answer::steps(tokens(40)),
            "                              ",
            "interrupted",
        ),
        ("nothing at all", Answer::steps([]), "", "protocol"),
        ("blank lines only", Answer::pieces(["\n\n"]), "", "protocol"),
        (
            "half a line",
            Answer::pieces([TEXT, "{\"response\":\"c"]),
            "ab",
            "interrupted",
        ),
        (
            "half a character",
            Answer::pieces([TEXT.as_bytes(), b"{\"response\":\"\xc3"]),
            "ab",
            "interrupted",
        ),
        (
            "not UTF-8",
            Answer::pieces([TEXT.as_bytes(), b"{\"response\":\"\xc3\"}\n"]),
            "ab",
            "protocol",
        ),
        (
            "a line that is not JSON",
            Answer::pieces([TEXT, "oops\n", DONE]),
            "ab",
            "protocol",
        ),
        (
            "fields of another type",
            Answer::pieces([TEXT, "{\"response\":7}\n"]),
            "ab",
            "protocol",
        ),
        (
            "an error line",
            Answer::pieces([TEXT, "{\"error\":\"an error was encountered\"}\n"]),
            "ab",
            "failed",
        ),
        (
            "an error line, load",
            Answer::pieces([
                TEXT,
                "{\"error\":\"llama-server process has terminated: x\"}\n",
            ]),
            "ab",
            "load",
        ),
        (
            "an error line without end",
            Answer::pieces([TEXT, "{\"error\":\"x\"}"]),
            "ab",
            "failed",
        ),
        (
            "an error object",
            Answer::pieces(["{\"error\":{\"message\":\"x\"}}\n"]),
            "",
            "failed",
        ),
        (
            "reset between lines",
            Answer::steps([hello.clone(), Step::Reset]),
            "ab",
            "interrupted",
        ),
        (
            "reset within a line",
            Answer::steps([hello.clone(), Step::Bytes(b"{\"re".into()), Step::Reset]),
            "ab",
            "interrupted",
        ),
        (
            "reset before anything came, and well when asked again",
            Answer::steps([Step::Reset]),
            "let answer = 42;",
            "done",
        ),
        (
            "8 MiB in a line",
            Answer::pieces([TEXT, &long]),
            "ab",
            "protocol",
        ),
        (
            "8 MiB without a line end",
            Answer::pieces([TEXT, long.trim_end()]),
            "ab",
            "protocol",
        ),
    ];
    within(async {
        let (double, backend) = start(Config::default()).await;
        backend.warm_up(MODEL).await.expect("a load");
        for (case, answer, expect_text, expect) in cases {
            double.answer(answer);
            let (text, end) = collect(backend.stream(request("a"))).await;
            assert_eq!(
                (text.as_str(), kind(&end)),
                (expect_text, expect),
                "{case}: {end:?}"
            );
            let shown = end.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(shown.len() < 500, "{case}: {} bytes", shown.len());
        }
        collect(backend.stream(request("a")))
            .await
            .1
            .expect("all is well again");
    })
    .await;
}
