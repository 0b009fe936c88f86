//! How quick completions and chat are, measured with real requests to what serves them.
//!
//! Each is warmed up first and asked several times; every request differs from all before it, so that no
//! cache has its answer, while what a cache may rightly hold stays the same.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use super::{Finding, Fix, Scene, Severity, other_model};
use crate::backend::{
    Backend, BackendError, Chunk, Conversation, Finish, Priority, Prompt, Request,
};
use crate::config::{BackendKind, Role};
use crate::prompt::{Message, Speaker};
use crate::router::Route;

/// The guide's limit for a completion's first token: longer, and typing has moved on.
const FIRST_TOKEN_LIMIT: Duration = Duration::from_millis(100);

/// The guide's limit for a short answer of the chat model.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Requests for a median: odd, and done within seconds on a slow machine.
const COMPLETIONS: usize = 5;
const ANSWERS: usize = 3;

/// Tokens of a measured completion: enough for a speed.
const COMPLETION_TOKENS: u32 = 24;
/// Tokens of a measured answer: one word and what a model puts around it.
const ANSWER_TOKENS: u32 = 16;

/// Longest wait for one request to a warm model.
const PATIENCE: Duration = Duration::from_mins(2);

/// Longest wait for a load: 20 GB from a slow disk.
const LOAD_PATIENCE: Duration = Duration::from_mins(10);

/// A load that takes longer was a real one; see the Ollama backend's `residency`.
const REAL_LOAD: Duration = Duration::from_millis(500);

/// Findings, and the speeds behind them.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) findings: Vec<Finding>,
    /// Tokens per second while generating, by role.
    pub(super) speeds: BTreeMap<Role, f64>,
}

/// What one request took.
#[derive(Debug, Clone, Copy, Default)]
struct Timing {
    first: Duration,
    whole: Duration,
    finish: Finish,
}

pub(super) async fn check(scene: &Scene, say: &(dyn Fn(&str) + Sync)) -> Measured {
    let mut measured = Measured::default();
    for (role, count) in [(Role::Completion, COMPLETIONS), (Role::Chat, ANSWERS)] {
        let Some(found) = scene.served(role) else {
            continue;
        };
        say(&format!(
            "loading {} and measuring {role} …",
            found.route.model
        ));
        let timings = run(&found.route, role, count).await;
        let kind = scene
            .resolved
            .settings
            .backends
            .get(found.route.backend.name())
            .map(|backend| backend.kind);
        measured.take(scene, role, &found.route, kind, timings);
    }
    measured
}

impl Measured {
    fn take(
        &mut self,
        scene: &Scene,
        role: Role,
        route: &Route,
        kind: Option<BackendKind>,
        timings: Result<Vec<Timing>, String>,
    ) {
        let id = match role {
            Role::Completion => "completion.first_token",
            _ => "chat.answer",
        };
        let timings = match timings {
            Ok(timings) => timings,
            Err(message) => {
                let fix = quicker(scene, role, kind, route);
                self.findings
                    .push(Finding::bad(id, Severity::Error, message, fix));
                return;
            }
        };
        let firsts = median(timings.iter().map(|timing| timing.first));
        let wholes = median(timings.iter().map(|timing| timing.whole));
        if let Some(speed) = timings.iter().filter_map(speed).max_by(f64::total_cmp) {
            self.speeds.insert(role, speed);
        }
        let count = timings.len();
        let (took, limit, what) = match role {
            Role::Completion => (firsts, FIRST_TOKEN_LIMIT, "first token"),
            _ => (wholes, ANSWER_LIMIT, "short answer"),
        };
        let message = format!(
            "{}: {what} after {} ms (p50 of {count}, warm; the limit is {} ms)",
            route.model,
            // Up: what is over the limit does not look like it.
            took.as_micros().div_ceil(1000),
            limit.as_millis()
        );
        self.findings.push(if took <= limit {
            Finding::good(id, message)
        } else {
            let fix = quicker(scene, role, kind, route);
            Finding::bad(id, Severity::Error, message, fix)
        });
        let loads = timings.iter().filter_map(|timing| timing.finish.load);
        if let Some(load) = loads.max().filter(|load| *load > REAL_LOAD) {
            self.findings.push(Finding::bad(
                format!("{role}.reload"),
                Severity::Error,
                format!(
                    "{} was loaded again for a request to the warm model ({} ms): another program \
                     asks for it with other options, or the memory is too small for both models",
                    route.model,
                    load.as_millis()
                ),
                smaller_chat(scene, &route.model),
            ));
        }
    }
}

/// What makes it quicker, or gets an answer at all.
fn quicker(scene: &Scene, role: Role, kind: Option<BackendKind>, route: &Route) -> Fix {
    let smaller = other_model::smaller(scene, role, &route.model);
    smaller.unwrap_or_else(|| match kind {
        Some(BackendKind::Embedded) => Fix::FreeCores,
        _ => Fix::QuickerServer {
            backend: route.backend.name().to_owned(),
        },
    })
}

/// What leaves room for two models: a smaller one for chat than the one there is, else than `model`.
fn smaller_chat(scene: &Scene, model: &str) -> Fix {
    let chat = scene.served(Role::Chat);
    let chat = chat.map_or(model, |found| found.route.model.as_str());
    let smaller = other_model::smaller(scene, Role::Chat, chat);
    smaller.unwrap_or_else(|| other_model::well_known(scene, Role::Chat))
}

/// Warms the model up and asks it `count` times.
async fn run(route: &Route, role: Role, count: usize) -> Result<Vec<Timing>, String> {
    let model = &route.model;
    match timeout(LOAD_PATIENCE, route.backend.warm_up(model)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("{model} is not loaded after {LOAD_PATIENCE:?}")),
    }
    let nonce = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    let mut timings = Vec::new();
    // The first fills the caches with what stays the same.
    for index in 0..=count {
        let request = match role {
            Role::Completion => completion(route, nonce, index),
            _ => question(model, nonce, index),
        };
        let timing = match timeout(PATIENCE, time(route.backend.as_ref(), request)).await {
            Ok(timing) => timing.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("{model} gave no answer within {PATIENCE:?}")),
        };
        if index > 0 {
            timings.push(timing);
        }
    }
    Ok(timings)
}

/// A line that is being typed in a small file: the lines around it are the same each time, the line
/// itself never is.
fn completion(route: &Route, nonce: u32, index: usize) -> Request {
    const ABOVE: &str = "//! Distances between places.\n\nuse std::f64::consts::PI;\n\n\
        /// A place on the globe, in degrees.\npub struct Place {\n    pub latitude: f64,\n    \
        pub longitude: f64,\n}\n\n/// Degrees to radians.\nfn radians(degrees: f64) -> f64 {\n    \
        degrees * PI / 180.0\n}\n\n/// The way from `a` to `b`, in kilometres.\n\
        pub fn distance_km(a: &Place, b: &Place) -> f64 {\n";
    const BELOW: &str = "\n    2.0 * EARTH_RADIUS_KM * half.sqrt().asin()\n}\n";
    let typed = format!("    let angle_{nonce}_{index} = ");
    let family = route.family;
    Request {
        model: route.model.clone(),
        prompt: family
            .lay_out(ABOVE.to_owned(), typed, BELOW.to_owned())
            .into(),
        max_tokens: COMPLETION_TOKENS,
        stop: family.stops.iter().map(|&stop| stop.to_owned()).collect(),
        priority: Priority::Completion,
    }
}

fn question(model: &str, nonce: u32, index: usize) -> Request {
    let text = format!("This is check {nonce}-{index}. Answer with one word: ready.");
    Request {
        model: model.to_owned(),
        prompt: Prompt::Chat(Conversation {
            messages: vec![Message::new(Speaker::User, text)],
            think: false,
            temperature: Some(0.0),
        }),
        max_tokens: ANSWER_TOKENS,
        stop: Vec::new(),
        priority: Priority::Chat,
    }
}

async fn time(backend: &dyn Backend, request: Request) -> Result<Timing, BackendError> {
    let asked = Instant::now();
    let mut stream = backend.stream(request);
    let mut first = None;
    while let Some(chunk) = stream.next().await {
        match chunk? {
            Chunk::Done(finish) => {
                let whole = asked.elapsed();
                return Ok(Timing {
                    first: first.unwrap_or(whole),
                    whole,
                    finish,
                });
            }
            Chunk::Prompt { .. } => {}
            _ => {
                first.get_or_insert_with(|| asked.elapsed());
            }
        }
    }
    Ok(Timing {
        first: first.unwrap_or_else(|| asked.elapsed()),
        whole: asked.elapsed(),
        finish: Finish::default(),
    })
}

/// Tokens per second between the first and the last.
fn speed(timing: &Timing) -> Option<f64> {
    let tokens = timing.finish.generated_tokens.checked_sub(1)?;
    let seconds = timing.whole.checked_sub(timing.first)?.as_secs_f64();
    (tokens > 3 && seconds > 0.0).then(|| f64::from(tokens) / seconds)
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_speeds() {
        let ms = Duration::from_millis;
        assert_eq!(median([ms(9), ms(1), ms(5)].into_iter()), ms(5));
        assert_eq!(median(std::iter::empty()), Duration::ZERO);
        let timing = |tokens, first, whole| Timing {
            first: ms(first),
            whole: ms(whole),
            finish: Finish {
                generated_tokens: tokens,
                ..Finish::default()
            },
        };
        assert_eq!(speed(&timing(21, 100, 600)), Some(40.0));
        assert_eq!(speed(&timing(0, 100, 600)), None);
        assert_eq!(speed(&timing(2, 100, 600)), None);
        assert_eq!(speed(&timing(21, 100, 100)), None);
    }
}
