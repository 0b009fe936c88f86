//! Who computes when, on a paused clock.

use futures_util::FutureExt as _;
use tokio::time::{Instant, advance};

use super::*;
use crate::backend::{Backend as _, Conversation};
use crate::eval::oracle::{MODEL, OracleOptions};
use crate::prompt::{Message, Segment, Speaker};

/// A token takes 10 ms, the first of a completion 20, and a prompt nothing.
fn oracle() -> Oracle {
    let options: OracleOptions = "q=1,first_ms=20,token_ms=10,prefill_ms=0".parse().unwrap();
    let oracle = Oracle::sharing(options, 1);
    oracle.look_ahead(0, "", "a + b + c;");
    oracle
}

fn request(priority: Priority) -> Request {
    let prompt: Prompt = match priority {
        Priority::Chat => {
            Conversation::from(vec![Message::new(Speaker::User, "Say something.")]).into()
        }
        _ => vec![Segment::Text("let a".to_owned())].into(),
    };
    Request {
        model: MODEL.to_owned(),
        prompt,
        max_tokens: 4,
        stop: Vec::new(),
        priority,
    }
}

/// When each token came, from now on.
async fn tokens(mut chunks: ChunkStream) -> Vec<Duration> {
    let began = Instant::now();
    let mut came = Vec::new();
    while let Some(chunk) = chunks.next().await {
        if let Chunk::Text(_) = chunk.unwrap() {
            came.push(began.elapsed());
        }
    }
    came
}

#[tokio::test(start_paused = true)]
async fn a_completion_waits_for_no_more_than_a_step_of_a_chat() {
    let oracle = oracle();
    for at_ms in [0, 1, 5, 9, 13, 27] {
        let chat = tokio::spawn(tokens(oracle.stream(request(Priority::Chat))));
        sleep_until(Instant::now() + Duration::from_millis(at_ms)).await;
        let typed = tokens(oracle.stream(request(Priority::Completion))).await;
        let late = typed[0].saturating_sub(Duration::from_millis(20));
        assert!(
            late <= BROKEN_OFF_LATE + Duration::from_millis(1),
            "{at_ms}: {typed:?}"
        );
        // The chat goes on where it was, and says all of it.
        let said = chat.await.unwrap();
        assert_eq!(said.len(), 4);
        assert!(
            said[3] >= Duration::from_millis(40) + typed[3],
            "{at_ms}: {said:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_guess_waits_for_the_chat_until_somebody_types_to_it() {
    let oracle = oracle();
    let chat = tokio::spawn(tokens(oracle.stream(request(Priority::Chat))));
    advance(Duration::from_millis(5)).await;
    let urgency = Urgency::new(Priority::Prefetch);
    let guess = oracle.stream_raisable(request(Priority::Prefetch), &urgency);
    let guess = tokio::spawn(tokens(guess));
    advance(Duration::from_millis(3)).await;
    tokio::task::yield_now().await;
    urgency.raise(Priority::Completion);
    let guessed = guess.await.unwrap();
    assert!(!chat.is_finished());
    assert!(guessed[0] < Duration::from_millis(30), "{guessed:?}");
    chat.await.unwrap();

    // Nobody joins this one.
    let chat = tokio::spawn(tokens(oracle.stream(request(Priority::Chat))));
    tokio::task::yield_now().await;
    let guessed = tokens(oracle.stream(request(Priority::Prefetch))).await;
    assert!(guessed[0] >= Duration::from_millis(60), "{guessed:?}");
    assert!(chat.now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_leaves_the_device() {
    let oracle = oracle();
    let mut given_up = oracle.stream(request(Priority::Completion));
    assert!(given_up.next().await.is_some());
    advance(Duration::from_millis(2)).await;
    drop(given_up);
    let typed = tokens(oracle.stream(request(Priority::Completion))).await;
    assert!(
        typed[0] <= Duration::from_millis(21) + BROKEN_OFF_LATE,
        "{typed:?}"
    );
    assert_eq!(oracle.ledger().generations.len(), 2);
}
