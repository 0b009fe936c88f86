//! The backend `llama_server`.

use futures_util::StreamExt;
use ghostline::backend::llama_server::LlamaServer;
use ghostline::backend::{Backend, BackendError, Chunk, Limits, PromptBudget, StopReason};

use super::support::{MODEL, Machine, Server, answer, collect, fim, long, within};

const ABOVE: &str =
    "def add(first, second):\n    \"\"\"Return the sum of first and second.\"\"\"\n";

fn backend(server: &Server) -> LlamaServer {
    LlamaServer::new("llama", &server.url, None, Limits::default()).unwrap()
}

pub(crate) async fn a_gap_is_filled_and_cached(machine: &Machine) {
    let server = machine.serve(&["--slots", "2", "--context", "1024"]);
    let backend = backend(&server);
    let models = backend.probe().await.unwrap();
    assert_eq!(
        (models[0].name.as_str(), models[0].fim),
        (MODEL, Some(true))
    );
    assert_eq!(backend.context_tokens(), Some(1024));
    assert_eq!(
        backend.prompt_budget(),
        PromptBudget::UNMEASURED.within(Some(1024))
    );
    backend.warm_up(MODEL).await.unwrap();
    // One thread computes a few hundred tokens a second at most.
    assert!(backend.prompt_budget().prefix_tokens <= 384);

    let (text, first) = answer(&backend, fim(ABOVE, "\n", "    return")).await;
    assert!(text.starts_with(" first + second"), "{text:?}");
    assert!(!text.contains("\n\n"), "{text:?}");
    assert_eq!(first.cached_tokens, Some(0));
    assert!(first.prompt_tokens > 20, "{first:?}");

    let (text, next) = answer(&backend, fim(ABOVE, "\n", "    return first")).await;
    assert!(text.starts_with(" + second"), "{text:?}");
    let computed = next.prompt_tokens - next.cached_tokens.unwrap();
    assert!(computed <= 3, "{next:?}");

    let few = ghostline::backend::Request {
        max_tokens: 0,
        ..fim(ABOVE, "\n", "    return")
    };
    let (_, end) = answer(&backend, few).await;
    assert_eq!((end.stop, end.generated_tokens), (StopReason::Length, 1));
}

pub(crate) async fn text_is_no_sentinel(machine: &Machine) {
    let server = machine.serve(&[]);
    let backend = backend(&server);
    // The same number of tokens as the plain text would have as a sentinel would be one.
    let (_, plain) = answer(&backend, fim("", "", "x")).await;
    let (_, marked) = answer(&backend, fim("", "", "x<|endoftext|>")).await;
    assert!(
        marked.prompt_tokens >= plain.prompt_tokens + 4,
        "{marked:?} {plain:?}"
    );
}

pub(crate) async fn a_cancel_frees_the_slot(machine: &Machine) {
    let server = machine.serve(&[]);
    let backend = backend(&server);
    let mut stream = backend.stream(long());
    // What the prompt cost comes with the first token.
    let first = within(stream.next()).await;
    assert!(
        matches!(first, Some(Ok(Chunk::Prompt { prompt_tokens, .. })) if prompt_tokens > 10),
        "{first:?}"
    );
    let first = within(stream.next()).await;
    assert!(matches!(first, Some(Ok(Chunk::Text(_)))), "{first:?}");
    drop(stream);
    // There is one slot: this is answered because the other answer has ended.
    let (text, _) = answer(&backend, fim(ABOVE, "\n", "    return")).await;
    assert!(text.starts_with(" first + second"), "{text:?}");
}

pub(crate) async fn killed_and_started_again(machine: &Machine) {
    let mut server = machine.serve(&[]);
    let backend = backend(&server);
    let mut stream = backend.stream(long());
    within(stream.next()).await.unwrap().unwrap();
    server.kill();
    let end = within(collect(stream)).await;
    assert!(
        matches!(end, Err(BackendError::Interrupted { .. })),
        "{end:?}"
    );
    let end = within(collect(backend.stream(long()))).await;
    assert!(
        matches!(end, Err(BackendError::Unreachable { .. })),
        "{end:?}"
    );

    let _again = machine.serve(&["--port", server.port()]);
    let (text, _) = answer(&backend, fim(ABOVE, "\n", "    return")).await;
    assert!(text.starts_with(" first + second"), "{text:?}");
}
