//! `ghostline/chat` in the served process, one question after the other in one conversation.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::WallError;
use super::editor::{Asking, Editor};
use crate::eval::replay::{QUESTIONS, Told};

/// How long the first token may take: the model is loaded, and the questions are short.
const FIRST_TOKEN: Duration = Duration::from_mins(1);
/// How often it is looked whether something was said.
const LOOK: Duration = Duration::from_millis(20);

/// A chat; stopped when dropped.
#[derive(Debug)]
pub(super) struct Talking {
    pub(super) told: Told,
    task: JoinHandle<()>,
}

impl Drop for Talking {
    /// What is dropped with the task cancels the request, and that stops the model.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Talking {
    /// Asks the first question.
    pub(super) fn begin(editor: &Editor) -> Self {
        let told = Told::default();
        let asking = editor.asking(told.clone());
        let task = tokio::spawn(talk(asking, told.clone()));
        Self { told, task }
    }

    /// Waits for the first token, and counts from there on.
    pub(super) async fn until_it_streams(&self) -> Result<(), WallError> {
        let begun = Instant::now();
        while self.told.is_silent() {
            if self.task.is_finished() || begun.elapsed() > FIRST_TOKEN {
                return Err(WallError::Chat("no token came; see the log".to_owned()));
            }
            sleep(LOOK).await;
        }
        self.told.forget();
        Ok(())
    }
}

async fn talk(asking: Asking, told: Told) {
    let mut conversation = Value::Null;
    for question in QUESTIONS.iter().cycle() {
        let mut params =
            json!({ "message": question, "role": "chat", "partialResultToken": "chat" });
        if conversation.is_string() {
            params["conversation"] = conversation.clone();
        }
        let Some(answer) = asking.ask("ghostline/chat", &params).await else {
            return;
        };
        let result = &answer["result"];
        if !result.is_object() {
            tracing::error!(%answer, "the chat failed");
            return told.ended(None, true);
        }
        conversation = result["conversation"].clone();
        let first = result["usage"]["firstTokenMs"].as_f64();
        told.ended(first.map(|ms| Duration::from_secs_f64(ms / 1e3)), false);
    }
}
