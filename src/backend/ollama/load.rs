//! Loading a model in a task that no request can cancel; why it is so says `residency`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::api::{Generate, GenerateLine};
use super::residency::{Loading, Residency};
use super::{Inner, failure, generate};
use crate::backend::BackendError;

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
        let _permit = self.permit(model, residency).await?;
        let started = Instant::now();
        let needs = residency.needs_or(self.completion_needs());
        let reported = if needs.generates {
            self.once(model, None).await?
        } else {
            self.embed_once(model, &[], needs).await?.load()
        };
        let took = started.elapsed().max(reported.unwrap_or_default());
        if needs.generates && residency.needs_heat(took) {
            self.once(model, Some(HEAT_PROMPT)).await?;
            residency.heated();
        }
        residency.answered(needs.keep_alive);
        tracing::debug!(
            backend = self.name,
            model,
            took_ms = took.as_millis(),
            "loaded"
        );
        Ok(())
    }

    /// One answer in one piece: a load without a prompt, one token with one. Returns the time Ollama
    /// says it spent loading.
    async fn once(
        &self,
        model: &str,
        prompt: Option<&str>,
    ) -> Result<Option<Duration>, BackendError> {
        let num_predict = prompt.map(|_| 1);
        let needs = self.residency(model).needs_or(self.completion_needs());
        let body = generate(model, needs, prompt, num_predict, &[]);
        let body = Generate {
            stream: false,
            ..body
        };
        let asked = self.asked(model);
        let answer = async {
            let path = "api/generate";
            let response = self.post(model, path, &body, self.options.load).await?;
            let body = self.body(model, response).await?;
            serde_json::from_slice::<GenerateLine>(&body)
                .map_err(|_| asked.protocol("the answer to a load is not JSON"))
        };
        let answer = timeout(self.options.load, answer)
            .await
            .unwrap_or_else(|_| {
                Err(asked.interrupted(format!("not loaded after {:?}", self.options.load)))
            })?;
        match answer.error() {
            Some(message) => Err(asked.error_line(&message)),
            None => Ok(answer.load()),
        }
    }
}
