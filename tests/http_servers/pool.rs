//! A pool of two real servers, of which one dies.

use std::sync::Arc;

use futures_util::StreamExt;
use ghostline::backend::llama_server::LlamaServer;
use ghostline::backend::openai::OpenAi;
use ghostline::backend::pool::Pool;
use ghostline::backend::{Backend, Chunk, Conversation, Limits, Prompt, Request};
use ghostline::prompt::{Message, Speaker};

use super::support::{MODEL, Machine, Server, answer, collect, fim, long, within};

fn pool(servers: &[Server], dialect: bool) -> Pool {
    let member = |server: &Server| -> Arc<dyn Backend> {
        if dialect {
            Arc::new(OpenAi::new("team", &server.url, None, Limits::default()).unwrap())
        } else {
            Arc::new(LlamaServer::new("team", &server.url, None, Limits::default()).unwrap())
        }
    };
    Pool::new("team", servers.iter().map(member).collect()).unwrap()
}

/// Kills the first server in the middle of an answer; the whole text and what was said before.
async fn killed_in_mid_stream(
    pool: &Pool,
    servers: &mut [Server],
    request: Request,
) -> (String, String) {
    let mut stream = pool.stream(request);
    let mut said = String::new();
    while said.len() < 8 {
        match within(stream.next()).await.unwrap().unwrap() {
            Chunk::Text(text) => said.push_str(&text),
            Chunk::Prompt { .. } | Chunk::Thinking(_) => {}
            Chunk::Done(_) => panic!("it ended too soon: {said:?}"),
        }
    }
    servers[0].kill();
    let (rest, _) = within(collect(stream)).await.unwrap();
    (format!("{said}{rest}"), said)
}

pub(crate) async fn a_completion_survives_a_killed_server(machine: &Machine) {
    for dialect in [false, true] {
        let mut servers = [machine.serve(&[]), machine.serve(&[])];
        let pool = pool(&servers, dialect);
        assert_eq!(within(pool.probe()).await.unwrap()[0].name, MODEL);
        within(pool.warm_up(MODEL)).await.unwrap();
        let request = Request {
            max_tokens: 40,
            ..long()
        };
        // What one server says alone, to compare with.
        let (whole, _) = answer(&pool, request.clone()).await;
        let (text, said) = killed_in_mid_stream(&pool, &mut servers, request).await;
        assert!(text.len() > said.len(), "it went on");
        // Tokens may be cut elsewhere where the second server took over, so the ends may differ.
        let common = whole
            .bytes()
            .zip(text.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        assert!(common > said.len(), "{text:?} against {whole:?}");
        // The one that is left serves alone.
        let (text, _) = answer(&pool, fim("def add(a, b):\n", "\n", "    return a")).await;
        assert!(text.starts_with(" + b"), "{text:?}");

        let port = servers[0].port().to_owned();
        let _again = machine.serve(&["--port", &port]);
        let (text, _) = answer(&pool, fim("def sub(a, b):\n", "\n", "    return a")).await;
        assert!(text.starts_with(" - b"), "{text:?}");
    }
}

pub(crate) async fn a_conversation_survives_a_killed_server(machine: &Machine) {
    let mut servers = [machine.serve(&[]), machine.serve(&[])];
    let pool = pool(&servers, true);
    within(pool.probe()).await.unwrap();
    let question = "Count from 1 to 20 in digits, separated by commas, and say nothing else.";
    let conversation = Conversation {
        temperature: Some(0.0),
        ..Conversation::from(vec![Message::new(Speaker::User, question)])
    };
    let request = Request {
        prompt: Prompt::Chat(conversation),
        max_tokens: 60,
        stop: Vec::new(),
        ..fim("", "", "")
    };
    let (text, _) = killed_in_mid_stream(&pool, &mut servers, request).await;
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(digits.starts_with("1,2,3,4,5,6,7,8,9,10"), "{text:?}");
}
