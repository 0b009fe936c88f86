//! How fast backends compute a model now: a small prompt of our own and a few tokens, several times.
//!
//! Nothing of the person's is in it. Each prompt begins with a number that was never there before, so that
//! no cache holds it. Backends take turns, each until its two best rounds agree, and the best counts: what
//! disturbs one round seldom disturbs all. Dropping the future gives it up.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use super::speed::Speed;
use crate::backend::{BackendError, Chunk, Conversation, Finish, Priority, Prompt, Request};
use crate::config::Role;
use crate::prompt::{BYTES_PER_TOKEN, Message, Segment, Speaker};
use crate::router::Route;

/// Requests to each backend at most: a machine on which no two of these agree stays busy.
const MOST_ROUNDS: usize = 6;

/// Two rounds agree when neither of their speeds differs by more: less than what makes a backend clearly
/// quicker.
const AGREE: f64 = 1.1;

/// About 128 tokens with the number in front: enough for a batch, and a few seconds on the slowest machine.
/// Code that repeats itself as much as code does, since an engine may make use of that, and that no model
/// takes for finished.
const CODE: &str = "/// The mean of some numbers.\nfn mean(numbers: &[f64]) -> f64 {\n    \
    numbers.iter().sum::<f64>() / numbers.len() as f64\n}\n\n/// A time of the day.\n\
    struct Clock {\n    hours: u8,\n    minutes: u8,\n}\n\nimpl Clock {\n    \
    /// Minutes since midnight.\n    fn since_midnight(&self) -> u16 {\n        \
    u16::from(self.hours) * 60 +";

/// Tokens generated.
const GENERATED_TOKENS: u32 = 16;

/// A prompt of which less had to be computed was in some cache, and its time says nothing.
const FEWEST_TOKENS: u32 = 32;

/// Longest wait for one answer of a loaded model.
const PATIENCE: Duration = Duration::from_mins(1);

/// A longer load, in a round, was a real one, and the time to the first token says nothing; see the Ollama
/// backend's `residency`.
const REAL_LOAD: Duration = Duration::from_millis(500);

/// The speed of each, or why there is none, in words. Models are loaded where they are not.
pub(super) async fn measure(routes: &[&Route], role: Role) -> Vec<Result<Speed, String>> {
    let nonce = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let mut rounds: Vec<Result<Vec<Speed>, String>> =
        routes.iter().map(|_| Ok(Vec::new())).collect();
    for round in 0..MOST_ROUNDS {
        for (index, (route, rounds)) in routes.iter().zip(&mut rounds).enumerate() {
            let Ok(so_far) = rounds else {
                continue;
            };
            if is_steady(so_far) {
                continue;
            }
            let number = format!("{nonce}{round}{index}");
            let measured = match load(route, round).await {
                Ok(()) => one(route, request(route, role, &number)).await,
                Err(why) => Err(why),
            };
            match measured {
                Ok(speed) => so_far.extend(speed),
                Err(why) => *rounds = Err(why),
            }
        }
    }
    let best = |speeds: Vec<Speed>| {
        let best = speeds.into_iter().reduce(better);
        best.ok_or_else(|| "no answer that tells anything came".to_owned())
    };
    rounds
        .into_iter()
        .map(|rounds| rounds.and_then(best))
        .collect()
}

/// Whether the two best of each speed agree.
fn is_steady(rounds: &[Speed]) -> bool {
    let agree = |of: fn(&Speed) -> f64| {
        let mut speeds: Vec<f64> = rounds.iter().map(of).collect();
        speeds.sort_by(|one, other| other.total_cmp(one));
        matches!(speeds.as_slice(), [best, next, ..] if *best <= next * AGREE)
    };
    agree(|speed| speed.prefill_tokens_per_second) && agree(|speed| speed.decode_tokens_per_second)
}

/// Loads the model, before the first round.
async fn load(route: &Route, round: usize) -> Result<(), String> {
    if round > 0 {
        return Ok(());
    }
    // On its own: whoever gives the measurement up does not throw away half a load.
    let loading = tokio::spawn(route.backend.warm_up(&route.model));
    let loaded = loading.await.map_err(|error| error.to_string())?;
    loaded.map_err(|error| error.to_string())
}

fn better(one: Speed, other: Speed) -> Speed {
    let (prefill, decode) = (one.prefill_tokens_per_second, one.decode_tokens_per_second);
    Speed {
        prefill_tokens_per_second: prefill.max(other.prefill_tokens_per_second),
        decode_tokens_per_second: decode.max(other.decode_tokens_per_second),
    }
}

fn request(route: &Route, role: Role, number: &str) -> Request {
    let text = format!("// {number}\n{CODE}");
    let prompt = if role == Role::Completion {
        Prompt::Fim(vec![Segment::Text(text)])
    } else {
        let text = format!("{text}\n\nWrite the whole file, with four more functions.");
        Prompt::Chat(Conversation {
            messages: vec![Message::new(Speaker::User, text)],
            think: false,
            temperature: Some(0.0),
        })
    };
    Request {
        model: route.model.clone(),
        prompt,
        max_tokens: GENERATED_TOKENS,
        stop: Vec::new(),
        priority: Priority::WarmUp,
    }
}

/// One answer's speed; `None` where it tells nothing.
async fn one(route: &Route, request: Request) -> Result<Option<Speed>, String> {
    let bytes = match &request.prompt {
        Prompt::Fim(segments) => segments.iter().map(|s| s.as_str().len()).sum(),
        Prompt::Chat(conversation) => conversation.messages.iter().map(|m| m.text.len()).sum(),
    };
    let timed = timeout(PATIENCE, time(route, request)).await;
    let timed = timed.map_err(|_| {
        let (model, backend) = (&route.model, route.backend.name());
        format!("{model} on {backend} gave no answer within {PATIENCE:?}")
    })?;
    Ok(timed.map_err(|error| error.to_string())?.speed(bytes))
}

/// How an answer came.
#[derive(Debug, Clone, Copy, Default)]
struct Timing {
    first: Duration,
    whole: Duration,
    /// Pieces of text, where nobody counts tokens.
    pieces: u32,
    finish: Finish,
}

async fn time(route: &Route, request: Request) -> Result<Timing, BackendError> {
    let asked = Instant::now();
    let mut stream = route.backend.stream(request);
    let mut timing = Timing::default();
    let mut first = None;
    while let Some(chunk) = stream.next().await {
        match chunk? {
            Chunk::Prompt { .. } => {}
            Chunk::Text(_) | Chunk::Thinking(_) => {
                first.get_or_insert_with(|| asked.elapsed());
                timing.pieces += 1;
            }
            Chunk::Done(finish) => {
                timing.finish = finish;
                break;
            }
        }
    }
    timing.whole = asked.elapsed();
    timing.first = first.unwrap_or(timing.whole);
    Ok(timing)
}

impl Timing {
    /// Of a prompt of so many bytes.
    fn speed(&self, bytes: usize) -> Option<Speed> {
        if self.finish.load.is_some_and(|load| load > REAL_LOAD) {
            return None;
        }
        let prompt_tokens = match self.finish.prompt_tokens {
            0 => u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).ok()?,
            counted => counted,
        };
        let computed = prompt_tokens.checked_sub(self.finish.cached_tokens.unwrap_or(0))?;
        let generated = self.finish.generated_tokens.max(self.pieces);
        let after_first = self.whole.checked_sub(self.first)?;
        if computed < FEWEST_TOKENS || generated < 2 {
            return None;
        }
        let speed = Speed {
            prefill_tokens_per_second: f64::from(computed) / self.first.as_secs_f64(),
            decode_tokens_per_second: f64::from(generated - 1) / after_first.as_secs_f64(),
        };
        speed.is_sound().then_some(speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rounds_that_agree_are_enough() {
        for (rounds, expect) in [
            (&[][..], false),
            (&[(100.0, 20.0)], false),
            (&[(100.0, 20.0), (95.0, 19.0)], true),
            (&[(100.0, 20.0), (60.0, 19.0)], false),
            (&[(100.0, 20.0), (95.0, 9.0)], false),
            // Each speed from another pair.
            (&[(100.0, 9.0), (50.0, 20.0), (99.0, 20.5)], true),
            (&[(50.0, 10.0), (50.0, 10.0), (100.0, 10.0)], false),
        ] {
            let speed = |&(prefill, decode): &(f64, f64)| Speed {
                prefill_tokens_per_second: prefill,
                decode_tokens_per_second: decode,
            };
            let speeds: Vec<Speed> = rounds.iter().map(speed).collect();
            assert_eq!(is_steady(&speeds), expect, "{rounds:?}");
        }
    }

    #[test]
    fn an_answer_tells_two_speeds_or_nothing() {
        let ms = Duration::from_millis;
        let timing = |prompt_tokens, cached_tokens, generated_tokens, load| Timing {
            first: ms(500),
            whole: ms(1500),
            pieces: 11,
            finish: Finish {
                prompt_tokens,
                cached_tokens,
                generated_tokens,
                load,
                ..Finish::default()
            },
        };
        let rows = [
            (timing(100, None, 16, None), Some((200.0, 15.0))),
            (timing(100, Some(20), 16, None), Some((160.0, 15.0))),
            // Nobody counts: bytes of the prompt, pieces of the answer.
            (timing(0, None, 0, None), Some((200.0, 10.0))),
            (timing(100, Some(90), 16, None), None),
            (timing(100, None, 16, Some(ms(900))), None),
            (timing(100, None, 16, Some(ms(90))), Some((200.0, 15.0))),
        ];
        for (timing, expect) in rows {
            let speed = timing.speed(100 * BYTES_PER_TOKEN);
            let got = speed.map(|speed| {
                let prefill = speed.prefill_tokens_per_second;
                (prefill, speed.decode_tokens_per_second)
            });
            assert_eq!(got, expect, "{timing:?}");
        }
        let at_once = Timing {
            first: ms(500),
            ..Timing {
                whole: ms(500),
                ..timing(100, None, 16, None)
            }
        };
        assert_eq!(at_once.speed(0), None, "all came in one piece");
    }
}
