//! The backend `openai`, against the same server's dialect.

use futures_util::StreamExt;
use ghostline::backend::openai::OpenAi;
use ghostline::backend::{
    Backend, Chunk, Conversation, EmbedRequest, Limits, Priority, Prompt, Request, StopReason,
};
use ghostline::prompt::{Message, Speaker};

use super::support::{MODEL, Machine, Server, answer, fim, long, within};

const ABOVE: &str =
    "def add(first, second):\n    \"\"\"Return the sum of first and second.\"\"\"\n";

fn backend(server: &Server) -> OpenAi {
    let url = format!("{}/v1", server.url);
    OpenAi::new("openai", &url, None, Limits::default()).unwrap()
}

pub(crate) async fn a_gap_is_filled(machine: &Machine) {
    let server = machine.serve(&[]);
    let backend = backend(&server);
    let models = backend.probe().await.unwrap();
    assert_eq!(models[0].name, MODEL);
    assert_eq!(backend.context_tokens(MODEL), Some(2048));
    backend.warm_up(MODEL).await.unwrap();
    assert!(backend.warm_up("another").await.is_err());

    // Five stop strings, of which the dialect takes four.
    let mut request = fim(ABOVE, "\n", "    return");
    request.stop = ["<a>", "<b>", "<c>", "<d>", " second"]
        .map(str::to_owned)
        .to_vec();
    let (text, end) = answer(&backend, request).await;
    assert_eq!((text.as_str(), end.stop), (" first +", StopReason::Stop));

    let (text, end) = answer(&backend, fim(ABOVE, "\n", "    return")).await;
    assert!(text.starts_with(" first + second"), "{text:?}");
    assert!(
        end.prompt_tokens > 20 && end.generated_tokens > 0,
        "{end:?}"
    );

    let mut stream = backend.stream(long());
    let first = within(stream.next()).await;
    assert!(
        matches!(
            first,
            Some(Ok(Chunk::Prompt {
                estimated: true,
                ..
            }))
        ),
        "{first:?}"
    );
    let first = within(stream.next()).await;
    assert!(matches!(first, Some(Ok(Chunk::Text(_)))), "{first:?}");
    drop(stream);
    let (_, end) = answer(
        &backend,
        Request {
            max_tokens: 2,
            ..long()
        },
    )
    .await;
    assert_eq!((end.stop, end.generated_tokens), (StopReason::Length, 2));

    // The server times itself, in the dialect too: no processor computes what an unmeasured server gets.
    let before = backend.prompt_budget().prefix_tokens;
    let cold = Request {
        max_tokens: 2,
        ..fim(&"first = second\n".repeat(60), "\n", "    return")
    };
    answer(&backend, cold).await;
    let after = backend.prompt_budget().prefix_tokens;
    assert!(after < before, "{after} of {before}");
}

pub(crate) async fn a_conversation_is_answered_and_continued(machine: &Machine) {
    let server = machine.serve(&[]);
    let backend = backend(&server);
    let ask = |messages: Vec<Message>| Request {
        prompt: Prompt::Chat(Conversation {
            temperature: Some(0.0),
            ..Conversation::from(messages)
        }),
        max_tokens: 24,
        stop: Vec::new(),
        ..fim("", "", "")
    };
    let question = Message::new(
        Speaker::User,
        "Count from one to nine in digits: 1, 2, and so on.",
    );
    let (text, _) = answer(&backend, ask(vec![question.clone()])).await;
    assert!(text.contains("4, 5"), "{text:?}");
    let begun = Message::new(Speaker::Assistant, "1, 2, 3,");
    let (text, _) = answer(&backend, ask(vec![question, begun])).await;
    assert!(text.trim_start().starts_with("4, 5"), "{text:?}");
}

pub(crate) async fn texts_become_vectors(machine: &Machine) {
    let server = machine.serve(&["--embedding"]);
    let backend = backend(&server);
    let request = EmbedRequest {
        model: MODEL.to_owned(),
        texts: ["the cat sat", "a cat is sitting", "fn main() {}"]
            .map(str::to_owned)
            .to_vec(),
        priority: Priority::Embedding,
    };
    let embeddings = within(backend.embed(request)).await.unwrap();
    assert_eq!(embeddings.vectors.len(), 3);
    for vector in &embeddings.vectors {
        let length: f32 = vector.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-3, "{length}");
    }
    assert!(embeddings.prompt_tokens > 6);
}
