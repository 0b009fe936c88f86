//! Long, mixed typing through the protocol: whatever the order, each request is answered once, one
//! generation runs at a time, and none outlives what it was for. Virtual time, seeded.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

use std::time::Duration;

use ghostline::config::{Debounce, Settings};
use serde_json::{Value, json};

use super::support::scripted::Running;
use super::support::server::{TestServer, URI};

const OTHER: &str = "file:///project/other.rs";
const TEXT: &str = "fn a() {\n    \n    let x = \n}\n";

/// A small generator (splitmix64), so that a failure comes again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let n = self.below(choices.len() as u64);
        choices[usize::try_from(n).unwrap()]
    }
}

async fn change(server: &mut TestServer, uri: &str, version: i32, at: (u64, u64), text: &str) {
    let place = json!({ "line": at.0, "character": at.1 });
    let change = json!({ "range": { "start": place, "end": place }, "text": text });
    let params = json!({
        "textDocument": { "uri": uri, "version": version },
        "contentChanges": [change],
    });
    server
        .client
        .notify("textDocument/didChange", params)
        .await
        .unwrap();
}

async fn close(server: &mut TestServer, uri: &str) {
    let params = json!({ "textDocument": { "uri": uri } });
    server
        .client
        .notify("textDocument/didClose", params)
        .await
        .unwrap();
}

/// `[]`, one item, or -32800: what a request may end in.
fn check_answer(answer: &Value, cancelled: bool) {
    if let Some(code) = answer.pointer("/error/code") {
        assert!(cancelled && code == -32800, "{answer}");
        return;
    }
    let items = answer["result"].as_array().expect("items");
    assert!(items.len() <= 1, "{answer}");
}

async fn soak(seed: u64, steps: u64, debounce: Debounce) {
    let mut settings = Settings::default();
    settings.inline.debounce = debounce;
    let mut server = TestServer::start(settings, true, json!({})).await;
    let mut chance = Chance(seed);
    let mut version = 1;
    let mut asked: Vec<(Value, bool)> = Vec::new();
    let mut running: Vec<Running> = Vec::new();
    server.open(TEXT).await;
    server.open_as(OTHER, TEXT).await;
    for _ in 0..steps {
        let uri = if chance.below(4) == 0 { OTHER } else { URI };
        let at = (chance.below(4), chance.below(14));
        match chance.below(12) {
            0..=4 => {
                version += 1;
                let text = chance.of(&["a", "x", " ", "(", ")", "\n", "let y", ";", "é", ""]);
                change(&mut server, uri, version, at, text).await;
            }
            5..=8 => {
                let at = (u32::try_from(at.0).unwrap(), u32::try_from(at.1).unwrap());
                let id = server.ask_in(uri, at).await;
                asked.push((id, false));
            }
            9 => {
                if let Some((id, cancelled)) = asked.last_mut() {
                    *cancelled = true;
                    let params = json!({ "id": id });
                    server
                        .client
                        .notify("$/cancelRequest", params)
                        .await
                        .unwrap();
                }
            }
            10 if chance.below(8) == 0 => {
                close(&mut server, uri).await;
                server.open_as(uri, TEXT).await;
            }
            _ => tokio::time::sleep(Duration::from_millis(chance.below(60))).await,
        }
        while let Some(new) = server.script.try_next() {
            running.push(new);
        }
        running.retain(|r| !r.is_dropped());
        assert!(running.len() <= 1, "{} generations run", running.len());
        if let Some(now) = running.last() {
            match chance.below(8) {
                0..=3 => now.say(chance.of(&["a", "b(", ")", "\n", " = 1;", "    c();\n", "}"])),
                4 => now.finish(),
                5 if chance.below(4) == 0 => now.fail(),
                _ => {}
            }
        }
    }
    close(&mut server, URI).await;
    close(&mut server, OTHER).await;
    for (id, cancelled) in &asked {
        check_answer(&server.client.response(id).await.unwrap(), *cancelled);
    }
    let status = server.client.request("ghostline/status", json!({})).await;
    assert_eq!(status.unwrap()["busy"], false);
    for left in &running {
        left.dropped().await;
    }
    assert_eq!(server.script.most_running(), 1);
    assert!(asked.len() as u64 > steps / 5, "{} requests", asked.len());
    // A second answer to any of them would be left over here.
    server.finish().await;
}

#[tokio::test(start_paused = true)]
async fn every_request_is_answered_once_and_nothing_is_left_running() {
    for seed in 0..12 {
        soak(seed, 400, Debounce::Fixed(Duration::ZERO)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_with_a_learned_debounce() {
    for seed in 100..108 {
        soak(seed, 400, Debounce::Adaptive).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_keys_run_one_generation_at_a_time_and_the_last_one_wins() {
    let mut server = TestServer::ready().await;
    server.open("let a = \n").await;
    let mut asked = Vec::new();
    let mut generations = 0;
    let mut running: Option<Running> = None;
    // What is typed is never what the model says.
    for n in 0..200_u32 {
        server.insert((0, 8 + n), "q").await;
        asked.push(server.ask((0, 9 + n)).await);
        tokio::time::sleep(Duration::from_millis(30)).await;
        while let Some(new) = server.script.try_next() {
            assert!(running.take().is_none_or(|old| old.is_dropped()));
            generations += 1;
            running = Some(new);
        }
        if let Some(now) = &running {
            now.say("_word");
        }
    }
    let last = asked.pop().unwrap();
    for id in &asked {
        assert_eq!(server.ghost(id).await, None);
    }
    let now = match running.take_if(|r| !r.is_dropped()) {
        Some(now) => now,
        None => server.script.next().await,
    };
    now.say("_end;\n");
    assert!(server.ghost(&last).await.unwrap().ends_with("_end;"));
    now.dropped().await;
    assert!(generations > 0);
    assert_eq!(server.script.most_running(), 1);
    let status = server.client.request("ghostline/status", json!({})).await;
    assert_eq!(status.unwrap()["busy"], false);
    server.finish().await;
}
