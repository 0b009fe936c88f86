//! Another program's models: what an Ollama has, fetching, making and removing them.
//!
//! Called by `ghostline models`, by the doctor and by the server's `ghostline.pullModel`. Generations
//! are the backend's; nothing here runs a model. Text never goes this way, only names.
//!
//! Source of the JSON: Ollama's `api/types.go` and `server/routes.go`, versions 0.6 to 0.34, read
//! 2026-08 to 2026-11. Whatever some version leaves out is optional.

use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::backend::ollama::{AddressError, base_url, is_loopback, normalise};
use crate::config::{BackendKind, Settings};

mod answers;
mod error;
mod stream;

use answers::{Details, Tag, Tags, known};
pub use error::OllamaError;

/// Limit for making a connection: the backend's own.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Limit for a small answer, which comes from memory or a few files.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Longest silence while a model is fetched or made. Ollama reports every 60 ms while it downloads; it
/// is silent while it hashes a layer, about a minute for 20 GB on a slow disk.
const SILENCE_LIMIT: Duration = Duration::from_mins(5);

/// Largest answer read, in bytes. A list of 1000 models is half a megabyte; a licence in `/api/show`
/// some ten kilobytes.
const MOST_BYTES: usize = 4 << 20;

/// A model on an Ollama's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// With its tag.
    pub name: String,
    /// Content hash; two names of one digest are one model.
    pub digest: Option<String>,
    /// On disk.
    pub size_bytes: Option<u64>,
    /// Such as `Q4_K_M`.
    pub quantization: Option<String>,
}

/// A model in an Ollama's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// With its tag: the first of several names for one model.
    pub name: String,
    /// Content hash.
    pub digest: Option<String>,
    /// Weights and cache, in bytes.
    pub size_bytes: u64,
    /// How much of it is in the GPU's memory, as Ollama reports it.
    pub gpu_bytes: u64,
    /// Tokens of context it was loaded with; not before 0.12.
    pub context_tokens: Option<u64>,
}

impl Running {
    /// The share that is in the GPU's memory, from 0 to 1. The rule of `ollama ps`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share for people needs no precision"
    )]
    pub fn gpu_share(&self) -> f64 {
        if self.size_bytes == 0 {
            return 0.0;
        }
        (self.gpu_bytes as f64 / self.size_bytes as f64).min(1.0)
    }
}

/// What an Ollama says about one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Such as `completion`, `insert`, `vision`, `embedding`; not before 0.9.
    pub capabilities: Option<Vec<String>>,
    /// Ollama's own template.
    pub template: String,
    /// Tokens the model was trained for.
    pub context_tokens: Option<u64>,
    /// `general.architecture`, such as `qwen2`.
    pub architecture: Option<String>,
    /// Such as `F16`.
    pub quantization: Option<String>,
}

/// One Ollama, for questions about its models.
#[derive(Debug, Clone)]
pub struct OllamaModels {
    base: Url,
    client: Client,
}

/// An Ollama of the settings, and whether it is there.
#[derive(Debug)]
pub struct OllamaHere {
    /// The backend's name.
    pub backend: String,
    /// The one that answers and its version, or why none does.
    pub found: Result<(OllamaModels, String), OllamaError>,
}

/// Every backend of kind `ollama`, asked at once. The backend named `ollama` comes first: a name
/// without a backend is meant for it.
pub async fn of_settings(settings: &Settings) -> Vec<OllamaHere> {
    let mut backends: Vec<_> = settings
        .backends
        .iter()
        .filter(|(_, backend)| backend.kind == BackendKind::Ollama)
        .collect();
    backends.sort_by_key(|(name, _)| *name != "ollama");
    let asked = backends.into_iter().map(|(name, backend)| async move {
        OllamaHere {
            backend: name.clone(),
            found: OllamaModels::first(&backend.urls).await,
        }
    });
    futures_util::future::join_all(asked).await
}

impl OllamaModels {
    /// The Ollama at `address`, in any form that [`base_url`] reads. Nothing is sent.
    ///
    /// # Errors
    /// [`OllamaError::Address`].
    pub fn at(address: &str) -> Result<Self, OllamaError> {
        let base = base_url(address)?;
        let mut client = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .redirect(redirect::Policy::none())
            .http1_only();
        if is_loopback(&base) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(AddressError::Client)?;
        Ok(Self { base, client })
    }

    /// The first of `addresses` that answers, and its version.
    ///
    /// # Errors
    /// The first address's, when none answers.
    pub async fn first(addresses: &[String]) -> Result<(Self, String), OllamaError> {
        let mut first_error = None;
        for address in addresses {
            let found = async {
                let ollama = Self::at(address)?;
                let version = ollama.version().await?;
                Ok((ollama, version))
            };
            match found.await {
                Ok(found) => return Ok(found),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or_else(|| OllamaError::Unreachable {
            url: "any address; `urls` is empty".to_owned(),
        }))
    }

    /// The address for people: no user, no password.
    pub fn url(&self) -> String {
        let mut url = self.base.clone();
        // A base has a host, so neither can fail.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.as_str().trim_end_matches('/').to_owned()
    }

    /// Whether it runs on this machine.
    pub fn is_local(&self) -> bool {
        is_loopback(&self.base)
    }

    /// Such as `0.33.0`.
    pub async fn version(&self) -> Result<String, OllamaError> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let version: Version = self.get("api/version").await?;
        Ok(version.version)
    }

    /// What is installed, newest first.
    pub async fn list(&self) -> Result<Vec<Listed>, OllamaError> {
        let tags: Tags = self.get("api/tags").await?;
        let listed = |tag: Tag| Listed {
            name: normalise(&tag.name),
            digest: known(tag.digest),
            size_bytes: tag.size,
            quantization: known(tag.details.unwrap_or_default().quantization_level),
        };
        Ok(tags
            .models
            .unwrap_or_default()
            .into_iter()
            .map(listed)
            .collect())
    }

    /// What is loaded.
    pub async fn running(&self) -> Result<Vec<Running>, OllamaError> {
        let tags: Tags = self.get("api/ps").await?;
        let running = |tag: Tag| Running {
            name: normalise(&tag.name),
            digest: known(tag.digest),
            size_bytes: tag.size.unwrap_or_default(),
            gpu_bytes: tag.size_vram.unwrap_or_default(),
            context_tokens: tag.context_length.filter(|&tokens| tokens > 0),
        };
        Ok(tags
            .models
            .unwrap_or_default()
            .into_iter()
            .map(running)
            .collect())
    }

    /// What it says about `model`. Loads nothing.
    ///
    /// # Errors
    /// [`OllamaError::Missing`] and the transport's.
    pub async fn show(&self, model: &str) -> Result<Shown, OllamaError> {
        #[derive(Deserialize)]
        struct Show {
            template: Option<String>,
            capabilities: Option<Vec<String>>,
            details: Option<Details>,
            model_info: Option<serde_json::Map<String, Value>>,
        }
        let body = json!({ "model": model });
        let response = self
            .send(Method::POST, "api/show", Some(&body), ANSWER_LIMIT)
            .await?;
        let show: Show = self.json("api/show", response, model).await?;
        let metadata = show.model_info.unwrap_or_default();
        let architecture = metadata
            .get("general.architecture")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let context = architecture.as_ref().and_then(|name| {
            metadata
                .get(&format!("{name}.context_length"))
                .and_then(Value::as_u64)
        });
        Ok(Shown {
            capabilities: show.capabilities,
            template: show.template.unwrap_or_default(),
            context_tokens: context,
            architecture,
            quantization: known(show.details.unwrap_or_default().quantization_level),
        })
    }

    /// Removes `model`.
    ///
    /// # Errors
    /// [`OllamaError::Missing`] and the transport's.
    pub async fn delete(&self, model: &str) -> Result<(), OllamaError> {
        let body = json!({ "model": model });
        let response = self
            .send(Method::DELETE, "api/delete", Some(&body), SILENCE_LIMIT)
            .await?;
        self.checked("remove the model", response, model)
            .await
            .map(drop)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, OllamaError> {
        let response = self.send(Method::GET, path, None, ANSWER_LIMIT).await?;
        self.json(path, response, "").await
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        response: Response,
        model: &str,
    ) -> Result<T, OllamaError> {
        let response = self.checked("answer", response, model).await?;
        let body = self.body(response).await?;
        serde_json::from_slice(&body)
            .map_err(|_| self.protocol(format!("/{path} is not the JSON expected")))
    }

    /// Waits for the headers, up to `limit`.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<Response, OllamaError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        match tokio::time::timeout(limit, request.send()).await {
            Ok(sent) => sent.map_err(|error| self.broken(&error)),
            Err(_) => Err(self.interrupted(format!("no answer within {limit:?}"))),
        }
    }

    /// An answer with a good status, or why not.
    async fn checked(
        &self,
        doing: &str,
        response: Response,
        model: &str,
    ) -> Result<Response, OllamaError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await.unwrap_or_default();
        let message = serde_json::from_slice::<Value>(&body)
            .ok()
            .and_then(|body| Some(stream::error_text(body.get("error")?)));
        Err(match message {
            Some(_) if status == StatusCode::NOT_FOUND && !model.is_empty() => {
                OllamaError::Missing {
                    url: self.url(),
                    model: model.to_owned(),
                }
            }
            Some(message) => self.refused(doing, &message),
            None => self.protocol(format!("status {status}")),
        })
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, OllamaError> {
        let mut body = Vec::new();
        loop {
            match tokio::time::timeout(ANSWER_LIMIT, response.chunk()).await {
                Ok(Ok(Some(bytes))) if body.len() + bytes.len() <= MOST_BYTES => {
                    body.extend_from_slice(&bytes);
                }
                Ok(Ok(Some(_))) => return Err(self.protocol(format!("over {MOST_BYTES} bytes"))),
                Ok(Ok(None)) => return Ok(body),
                Ok(Err(error)) => return Err(self.broken(&error)),
                Err(_) => return Err(self.interrupted("an answer stalled")),
            }
        }
    }

    fn broken(&self, error: &reqwest::Error) -> OllamaError {
        if error.is_connect() {
            return OllamaError::Unreachable { url: self.url() };
        }
        self.interrupted("the connection broke")
    }

    fn refused(&self, doing: &str, message: &str) -> OllamaError {
        OllamaError::Refused {
            url: self.url(),
            doing: doing.to_owned(),
            message: message.to_owned(),
        }
    }

    fn protocol(&self, message: impl Into<String>) -> OllamaError {
        OllamaError::Protocol {
            url: self.url(),
            message: message.into(),
        }
    }

    fn interrupted(&self, message: impl Into<String>) -> OllamaError {
        OllamaError::Interrupted {
            url: self.url(),
            message: message.into(),
        }
    }
}
