//! Loading a model in a task that no request can cancel; why it is so says `residency`. Also the
//! examination of a model that answers nothing.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::api::{Generate, GenerateLine};
use super::remarks::Remarks;
use super::residency::{Loading, Needs, Residency};
use super::{Inner, KeepAlive, failure, generate, measurement};
use crate::backend::speed::Says;
use crate::backend::{BackendError, Priority};

/// What is run once after a load: any single token will do.
const HEAT_PROMPT: &str = "#";

impl Inner {
    /// Loads `model`, or waits for the load that is under way. The load itself goes on when the caller
    /// leaves.
    pub(super) async fn load(self: &Arc<Self>, model: &str) -> Result<(), BackendError> {
        let residency = self.residency(model);
        let loading = residency.join_or(|| self.start_load(model, &residency));
        loading.await.map_err(|error| failure::copy(&error))
    }

    fn start_load(self: &Arc<Self>, model: &str, residency: &Arc<Residency>) -> Loading {
        let inner = Arc::clone(self);
        let residency = Arc::clone(residency);
        let owned_model = model.to_owned();
        let task = tokio::spawn(async move {
            let outcome = inner.load_now(&owned_model, &residency).await;
            if let Err(error) = &outcome {
                residency.failed(error);
            }
            residency.load_ended();
            outcome.map_err(Arc::new)
        });
        let inner = Arc::clone(self);
        let model = model.to_owned();
        async move {
            task.await.unwrap_or_else(|_| {
                // Only when the runtime stops, or on a bug in the task; either way do not wait for it.
                inner.residency(&model).load_ended();
                Err(Arc::new(
                    inner.asked(&model).interrupted("the load was ended"),
                ))
            })
        }
        .boxed()
        .shared()
    }

    async fn load_now(&self, model: &str, residency: &Arc<Residency>) -> Result<(), BackendError> {
        let _permit = residency.slot.acquire(Priority::Completion).await;
        let started = Instant::now();
        let needs = residency.needs_or(self.completion_needs());
        if needs.generates && residency.is_suspect(self.options.silence) {
            self.examine(model, residency).await?;
        }
        let reported = if needs.generates {
            let loaded = self.once(model, needs, None, self.options.load);
            loaded.await?.load()
        } else {
            self.embed_once(model, &[], needs).await?.load()
        };
        let took = started.elapsed().max(reported.unwrap_or_default());
        if needs.generates && residency.needs_heat(took) {
            let heat = Some(HEAT_PROMPT);
            self.once(model, needs, heat, self.options.load).await?;
            residency.heated();
            if residency.is_pinned() {
                self.measure(model, needs).await;
            }
        }
        residency.answered(needs.keep_alive);
        tracing::debug!(
            backend = &*self.name,
            model,
            took_ms = took.as_millis(),
            "loaded"
        );
        Ok(())
    }

    /// Has a prompt computed that is long enough to tell how fast the model is, which must have run once:
    /// what runs first is slower. A model that cannot do that shows with the first request.
    async fn measure(&self, model: &str, needs: Needs) {
        let prompt = measurement::prompt(UNIX_EPOCH.elapsed().unwrap_or_default());
        let limit = measurement::LONGEST;
        let (tokens, took) = match self.once(model, needs, Some(&prompt), limit).await {
            Ok(answer) => (answer.prompt_tokens(), answer.prompt_took()),
            Err(BackendError::Interrupted { .. }) => (measurement::WORDS, limit),
            Err(error) => {
                tracing::debug!(%error, model, "the model's speed was not measured");
                return;
            }
        };
        self.speeds.add(model, tokens, took, Says::Server);
    }

    /// Asks a model that was silent for one token, and loads it anew when that does not come.
    ///
    /// A runner that lost a request (Ollama's issues 10119 and 14364) answers a load as if all were well
    /// and generates nothing ever again; only unloading it helps.
    async fn examine(&self, model: &str, residency: &Residency) -> Result<(), BackendError> {
        let needs = residency.needs_or(self.completion_needs());
        let one_token = || self.once(model, needs, Some(HEAT_PROMPT), self.options.examination);
        if !is_silence(&one_token().await)? {
            residency.heard();
            return Ok(());
        }
        tracing::warn!(
            backend = &*self.name,
            model,
            "a loaded model answers nothing; it is unloaded and loaded again"
        );
        let unload = Needs {
            keep_alive: KeepAlive::NO_LONGER,
            ..needs
        };
        self.once(model, unload, None, self.options.load).await?;
        self.once(model, needs, None, self.options.load).await?;
        if is_silence(&one_token().await)? {
            return Err(BackendError::Load {
                backend: self.name.to_string(),
                model: model.to_owned(),
                message: "it answers nothing, also after it was loaded anew; restart the server \
                          (systemctl restart ollama)"
                    .to_owned(),
            });
        }
        residency.heard();
        residency.remark(Remarks::revived);
        Ok(())
    }

    /// One answer in one piece: a load without a prompt, one token with one.
    async fn once(
        &self,
        model: &str,
        needs: Needs,
        prompt: Option<&str>,
        limit: Duration,
    ) -> Result<GenerateLine, BackendError> {
        let num_predict = prompt.map(|_| 1);
        let body = generate(model, needs, prompt, num_predict, &[]);
        let body = Generate {
            stream: false,
            ..body
        };
        let asked = self.asked(model);
        let answer = async {
            let path = "api/generate";
            let response = self.endpoint.post(asked, path, &body, limit).await?;
            let body = self.endpoint.body(asked, response).await?;
            serde_json::from_slice::<GenerateLine>(&body)
                .map_err(|_| asked.protocol("the answer to a load is not JSON"))
        };
        let answer = timeout(limit, answer)
            .await
            .unwrap_or_else(|_| Err(asked.interrupted(format!("no answer after {limit:?}"))))?;
        match answer.error() {
            Some(message) => Err(failure::error_line(asked, &message)),
            None => Ok(answer),
        }
    }
}

/// Whether nothing came, as against a token or a refusal, which is an error here too.
fn is_silence<T>(answer: &Result<T, BackendError>) -> Result<bool, BackendError> {
    match answer {
        Ok(_) => Ok(false),
        Err(BackendError::Interrupted { .. }) => Ok(true),
        Err(error) => Err(failure::copy(error)),
    }
}
