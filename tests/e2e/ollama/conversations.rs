//! Conversations and embeddings by the Ollama backend.

use std::sync::Arc;
use std::time::Duration;

use ghostline::backend::{Conversation, EmbedRequest};
use ghostline::prompt::{Image, Message, Speaker};

use super::*;

fn ask(messages: Vec<Message>) -> Request {
    Request {
        prompt: Conversation::from(messages).into(),
        stop: Vec::new(),
        priority: Priority::Chat,
        ..request("")
    }
}

fn question(text: &str) -> Request {
    ask(vec![Message::new(Speaker::User, text)])
}

fn embed(model: &str, texts: &[&str]) -> EmbedRequest {
    EmbedRequest {
        model: model.to_owned(),
        texts: texts.iter().map(ToString::to_string).collect(),
        priority: Priority::Embedding,
    }
}

/// What was thought, what was answered, and the end.
async fn both(mut stream: ChunkStream) -> (String, String, Result<Finish, BackendError>) {
    let (mut thought, mut text) = (String::new(), String::new());
    loop {
        match stream.next().await.expect("an end") {
            Ok(Chunk::Text(more)) => text.push_str(&more),
            Ok(Chunk::Thinking(more)) => thought.push_str(&more),
            Ok(Chunk::Prompt { .. }) => {}
            Ok(Chunk::Done(finish)) => return (thought, text, Ok(finish)),
            Err(error) => return (thought, text, Err(error)),
        }
    }
}

#[tokio::test]
async fn a_conversation_goes_as_messages_and_streams() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        double.answer(Answer::text("It adds <two> & more."));
        let mut picture = Message::new(Speaker::User, "And <|im_end|> this?");
        picture.images.push(Image {
            mime: "image/png".to_owned(),
            bytes: Arc::from(*b"\x89PNG"),
        });
        let messages = vec![
            Message::new(Speaker::System, "Be short."),
            Message::new(Speaker::User, "What?"),
            Message::new(Speaker::Assistant, "That."),
            picture,
        ];
        let (thought, text, end) = both(backend.stream(ask(messages))).await;
        assert_eq!(
            (thought.as_str(), text.as_str()),
            ("", "It adds <two> & more.")
        );
        assert_eq!(end.expect("a good answer").generated_tokens, 6);
        let log = double.log();
        let seen = log.requests.last().expect("a request");
        assert_eq!(seen.path, "/api/chat");
        assert_eq!(
            seen.body,
            json!({
                "model": MODEL, "stream": true, "keep_alive": 1800,
                "messages": [
                    {"role": "system", "content": "Be short."},
                    {"role": "user", "content": "What?"},
                    {"role": "assistant", "content": "That."},
                    {"role": "user", "content": "And <|im_end|> this?", "images": ["iVBORw=="]},
                ],
                "options": {"num_ctx": 8192, "repeat_penalty": 1.0, "num_predict": 64},
            })
        );
    })
    .await;
}

#[tokio::test]
async fn thoughts_are_told_apart_whoever_does_it() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        let token = |text: &str| Step::Token(text.to_owned());
        let done = || Step::Done(String::new());
        let by_the_server = vec![
            Step::Thinking("so ".to_owned()),
            Step::Thinking("so".to_owned()),
            token("yes"),
            done(),
        ];
        let in_the_text = vec![
            token("<thi"),
            token("nk>\nso so"),
            token("\n</think>\n\nyes"),
            done(),
        ];
        let cut_off = vec![token("<think>so so</th"), done()];
        let cases = [
            (by_the_server, "so so", "yes"),
            (in_the_text, "so so", "yes"),
            (cut_off, "so so</th", ""),
        ];
        for (steps, expect_thought, expect_text) in cases {
            double.answer(Answer::steps(steps));
            let (thought, text, end) = both(backend.stream(question("why"))).await;
            assert_eq!(
                (thought.as_str(), text.as_str()),
                (expect_thought, expect_text)
            );
            end.expect("a good answer");
        }
        // A completion's text is its own, whatever it looks like.
        double.answer(Answer::text("<think>x</think>"));
        assert_eq!(
            collect(backend.stream(request("a"))).await.0,
            "<think>x</think>"
        );
    })
    .await;
}

#[tokio::test]
async fn what_the_asker_chose_is_said_and_nothing_else() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        let chosen = Conversation {
            think: false,
            temperature: Some(0.0),
            ..Conversation::from(vec![Message::new(Speaker::User, "why")])
        };
        let request = Request {
            prompt: chosen.into(),
            stop: vec!["END".to_owned()],
            ..question("")
        };
        collect(backend.stream(request)).await.1.expect("an answer");
        let log = double.log();
        let body = &log.requests.last().expect("a request").body;
        assert_eq!(body["think"], json!(false));
        assert_eq!(body["options"]["temperature"], json!(0.0));
        assert_eq!(body["options"]["stop"], json!(["END"]));
    })
    .await;
}

#[tokio::test]
async fn a_model_that_also_completes_is_loaded_twice_at_most() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        for _ in 0..3 {
            collect(backend.stream(request("a"))).await.1.expect("text");
            collect(backend.stream(question("a")))
                .await
                .1
                .expect("text");
        }
        let log = double.log();
        assert_eq!(log.loads_finished, 2, "one for each context length");
        let last = &log.generations().last().expect("a completion").body;
        assert_eq!(last["options"]["num_ctx"], json!(8192));
        assert_eq!(
            last["keep_alive"],
            json!(-1),
            "the chat did not shorten its stay"
        );
    })
    .await;
}

#[tokio::test]
async fn a_chat_that_is_dropped_stops_and_frees_the_model() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        double.answer(Answer::steps([Step::Token("a".to_owned()), Step::Hang]));
        let mut stream = backend.stream(question("a"));
        assert_eq!(
            stream.next().await.expect("text").expect("text"),
            Chunk::Text("a".to_owned())
        );
        drop(stream);
        double
            .wait_for(|log| log.ended(End::Disconnected) == 1)
            .await;
        let (text, _) = collect(backend.stream(question("b"))).await;
        assert!(!text.is_empty());
    })
    .await;
}

#[tokio::test]
async fn texts_become_vectors_of_length_one() {
    within(async {
        let mut nomic = Model::new("nomic-embed-text:latest");
        nomic.capabilities = Some(vec!["embedding"]);
        let config = Config {
            models: vec![Model::new(MODEL), nomic],
            ..Config::default()
        };
        let (double, backend) = start(config).await;
        let too_much = "x".repeat(5000);
        let mut texts = vec!["even"; 19];
        texts[3] = "odd";
        texts[18] = &too_much;
        let model = "nomic-embed-text:latest";
        let embeddings = backend.embed(embed(model, &texts)).await.expect("vectors");
        assert_eq!(embeddings.vectors.len(), texts.len());
        let expect = |at| if at == 3 { [-0.8, 0.6] } else { [0.6, 0.8] };
        for (at, vector) in embeddings.vectors.iter().enumerate() {
            assert_eq!(*vector, expect(at), "{at}");
        }
        assert_eq!(embeddings.truncated, [18]);
        assert!(embeddings.prompt_tokens > 1000);
        let log = double.log();
        let sizes: Vec<_> = log
            .requests
            .iter()
            .map(|seen| {
                assert_eq!(seen.path, "/api/embed", "it cannot generate");
                assert_eq!(seen.body["keep_alive"], json!(3600));
                seen.body["input"].as_array().map_or(0, Vec::len)
            })
            .collect();
        assert_eq!(sizes, [0, 8, 8, 3], "a load, then batches");
        assert_eq!(log.loads_finished, 1);
        let nothing = backend.embed(embed(model, &[])).await.expect("no vectors");
        assert!(nothing.vectors.is_empty());
    })
    .await;
}

#[tokio::test]
async fn bad_vectors_and_refusals_are_errors() {
    within(async {
        let (double, backend) = start(Config::default()).await;
        backend.warm_up(MODEL).await.expect("a load");
        let cases = [
            (r#"{"embeddings":[[1,0]]}"#, "1 vectors for 2 texts"),
            (r#"{"embeddings":[[1,0],[1]]}"#, "has 1 numbers"),
            (r#"{"embeddings":[[1,0],[0,0]]}"#, "no direction"),
            ("<html>", "not the JSON expected"),
        ];
        for (body, expect) in cases {
            let answer = Answer::refusal(200, "application/json", body);
            double.answer_path("/api/embed", answer);
            let error = backend.embed(embed(MODEL, &["a", "b"])).await;
            let error = error.expect_err("no vectors").to_string();
            assert!(error.contains(expect), "{error}");
        }
        let refusal = r#"{"error":"this model does not support embeddings"}"#;
        let answer = Answer::refusal(400, "application/json", refusal);
        double.answer_path("/api/embed", answer);
        let error = backend
            .embed(embed(MODEL, &["a"]))
            .await
            .expect_err("a refusal");
        assert!(matches!(error, BackendError::Failed { .. }), "{error}");
        let missing = backend
            .embed(embed("none", &["a"]))
            .await
            .expect_err("no model");
        assert!(
            matches!(missing, BackendError::ModelMissing { .. }),
            "{missing}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_embedder_is_given_up() {
    let options = OllamaOptions {
        limits: Limits {
            first_byte: Duration::from_secs(1),
            ..Limits::default()
        },
        ..OllamaOptions::default()
    };
    let double = OllamaDouble::start(Config::default())
        .await
        .expect("a port");
    let backend = backend(&double, options);
    backend.warm_up(MODEL).await.expect("a load");
    double.answer_path("/api/embed", Answer::steps([Step::Hang]));
    let error = backend
        .embed(embed(MODEL, &["a"]))
        .await
        .expect_err("silence");
    assert!(matches!(error, BackendError::Interrupted { .. }), "{error}");
}
