//! One action from its target to its outcome: the steps, top to bottom.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::edit::{self, Change};
use super::look::{Asked, Look};
use super::tests_place::{self, Place};
use super::{Action, ActionError, Gives, Refusal, Scene, docstring, indent, reply, rewrite};
use crate::backend::{Conversation, StopReason};
use crate::chat::Searcher;
use crate::chat::generation::{Budget, Delta, Usage, generate, serving};
use crate::chat::nearby::Allowed;
use crate::config::ContextSettings;
use crate::context::Seen;
use crate::document::Document;
use crate::prompt::instruct::{CHAT_SYSTEM, Piece, fit, only_code, tokens_of, with_pieces};
use crate::prompt::{Message, Speaker};
use crate::router::{Route, Router};

/// What stands at the end of Markdown that has none of its own.
const CUT_OFF: &str = "\n\n*The model's answer ends here: there was no more room for it.*\n";

/// An action to do.
pub struct Job {
    /// Which.
    pub action: &'static Action,
    /// Where.
    pub scene: Scene,
    /// Other files of this session, the one touched last first.
    pub seen: Vec<Seen>,
    /// The workspace's folders.
    pub folders: Vec<PathBuf>,
    /// Switches of context.
    pub context: ContextSettings,
    /// Whether text of this document may be shown to a model.
    pub allowed: Allowed,
    /// Finds more in the workspace; nothing more where there is none.
    pub searcher: Option<Arc<dyn Searcher>>,
}

/// What happens meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'e> {
    /// A model is asked.
    Begun {
        /// Which.
        model: &'e str,
        /// Where it runs.
        backend: &'e str,
    },
    /// It writes.
    Delta(&'e str),
    /// The edit did not parse; it is asked again.
    AskedAgain,
}

/// What came of an action.
#[derive(Debug)]
pub struct Made {
    /// The thing itself.
    pub outcome: Outcome,
    /// The document that changes, where it is not the one of the scene.
    pub basis: Option<Document>,
    /// What the model was given.
    pub references: Vec<Piece>,
    /// Which model.
    pub model: String,
    /// Where it ran.
    pub backend: String,
    /// What it cost; of the last request, where it was asked again.
    pub usage: Usage,
}

/// The thing itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Changes, in order, of the document as it was.
    Edit {
        /// The document's URI and version, or of its file of tests.
        document: Arc<str>,
        /// What changes.
        changes: Vec<Change>,
        /// Whether the document is to be created.
        is_new: bool,
    },
    /// Markdown to read.
    Markdown(String),
}

/// Does actions.
#[derive(Debug)]
pub struct Actions {
    router: Arc<Router>,
    redact_secrets: bool,
}

impl Actions {
    /// Asks `router` for models; `redact_secrets` tells whether secrets are taken out before.
    pub fn new(router: Arc<Router>, redact_secrets: bool) -> Self {
        Self {
            router,
            redact_secrets,
        }
    }

    /// Does the job. Dropping the future stops the model.
    pub async fn run(
        &self,
        job: Job,
        on: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<Made, ActionError> {
        let action = job.action;
        if action.id == "rewrite" && rewrite::instruction(&job.scene).is_none() {
            return Err(ActionError::NotHere(
                "say how to rewrite it: give an `instruction` (`--instruction` in the terminal), or begin the \
                 selection with a comment",
            ));
        }
        if (action.title)(&job.scene).is_none() {
            return Err(ActionError::NotHere(
                "this action does not apply here: nothing in these lines asks for it",
            ));
        }
        let (scene, redact) = (job.scene.clone(), self.redact_secrets);
        let searcher = job.searcher.clone();
        let look = tokio::task::spawn_blocking(move || Look::at(&job, redact));
        let mut look = look.await.map_err(std::io::Error::other)?;
        if let Some(searcher) = searcher {
            look.find(&scene, &*searcher).await;
        }
        let route = serving(&self.router, action.role)
            .await
            .map_err(ActionError::NoModel)?;
        on(Event::Begun {
            model: &route.model,
            backend: route.backend.name(),
        });
        match action.gives {
            Gives::Text => self.explain(action, &scene, look, &route, on).await,
            Gives::Edit => self.edit(action, &scene, look, &route, on).await,
            Gives::Tests => self.tests(action, &scene, look, &route, on).await,
        }
    }

    async fn explain(
        &self,
        action: &Action,
        scene: &Scene,
        look: Look,
        route: &Route,
        on: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<Made, ActionError> {
        let budget = Budget::of(route);
        let task = (action.task)(scene);
        let room = budget
            .prompt_tokens
            .saturating_sub(tokens_of(CHAT_SYSTEM) + tokens_of(&task));
        let mut pieces = vec![look.code.clone()];
        pieces.extend(look.context(room.saturating_sub(look.code.tokens())));
        let (mut pieces, _) = fit(pieces, room);
        // Room for the code comes first; in the prompt it comes last, nearest to the task: a small model
        // explains what it read last.
        if !pieces.is_empty() {
            pieces.rotate_left(1);
        }
        let messages = vec![
            Message::new(Speaker::System, CHAT_SYSTEM),
            Message::new(Speaker::User, with_pieces(&task, &pieces)),
        ];
        let asked = Conversation::from(messages);
        let (mut text, stop, usage) = self
            .write(route, asked, budget.answer_tokens, |_| false, on)
            .await?;
        if text.trim().is_empty() {
            return Err(Refusal::Nothing.into());
        }
        if stop != StopReason::Stop {
            let fences = text.lines().filter(|l| l.trim_start().starts_with("```"));
            let open = fences.count() % 2 == 1;
            let end = format!("{}{CUT_OFF}", if open { "\n```" } else { "" });
            on(Event::Delta(&end));
            text.push_str(&end);
        }
        Ok(made(Outcome::Markdown(text), pieces, route, usage))
    }

    async fn edit(
        &self,
        action: &Action,
        scene: &Scene,
        look: Look,
        route: &Route,
        on: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<Made, ActionError> {
        let document = &scene.document;
        let (old, lines) = (look.code.text.clone(), look.code.lines.clone());
        let whole = document.text.to_string();
        let edit = |code: String| {
            let code = reply::without_known_imports(code, &old, &whole);
            let mut code = indent::like(&code, &old);
            if action.id == "document" && &*document.language_id == "python" {
                code = docstring::below_heads(&code, &old);
            }
            edit::changes(document, &lines, &old, &code, action.keep)
        };
        let parses = |changes: &[Change]| edit::broken(document, changes);
        let asked = Asked::new(&(action.task)(scene), look, route)?;
        let (changes, pieces, usage) = self.code(asked, &old, edit, parses, route, on).await?;
        let outcome = Outcome::Edit {
            document: document.uri.clone(),
            changes,
            is_new: false,
        };
        Ok(made(outcome, pieces, route, usage))
    }

    async fn tests(
        &self,
        action: &Action,
        scene: &Scene,
        look: Look,
        route: &Route,
        on: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<Made, ActionError> {
        let place = look.tests.0.clone();
        let (document, is_new, where_to) = match (&place, look.tests.1.clone()) {
            (Place::File(path), Some(there)) => {
                let name = name_of(path);
                let words = format!("the end of `{name}`, which exists: repeat none of it");
                (there, false, words)
            }
            (Place::File(path), None) => {
                let (name, beside) = (name_of(path), &look.code.path);
                let words =
                    format!("the new file `{name}`, beside `{beside}`: import what is tested");
                let new = tests_place::new_document(path);
                (new.unwrap_or_else(|| scene.document.clone()), true, words)
            }
            (Place::Module(_) | Place::End, _) => {
                let words = "the same file: write only what stands inside its module of tests";
                (scene.document.clone(), false, words.to_owned())
            }
        };
        let task = format!("{}\nThey go into {where_to}.", (action.task)(scene));
        let whole = document.text.to_string();
        let edit = |code: String| {
            let code = reply::without_known_imports(code, "", &whole);
            Ok(vec![tests_place::insertion(&document, &place, &code)])
        };
        let parses = |changes: &[Change]| edit::broken(&document, changes);
        let asked = Asked::new(&task, look, route)?;
        // Nothing of a reply without a fence is known here.
        let (changes, pieces, usage) = self.code(asked, "", edit, parses, route, on).await?;
        let outcome = Outcome::Edit {
            document: document.uri.clone(),
            changes,
            is_new,
        };
        Ok(Made {
            basis: Some(document),
            ..made(outcome, pieces, route, usage)
        })
    }

    /// Asks for code and makes changes of it; once more where they break what parsed.
    async fn code(
        &self,
        asked: Asked,
        old: &str,
        edit: impl Fn(String) -> Result<Vec<Change>, Refusal>,
        broken: impl Fn(&[Change]) -> Vec<crate::grammar::Fault>,
        route: &Route,
        on: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<(Vec<Change>, Vec<Piece>, Usage), ActionError> {
        let mut messages = asked.messages.clone();
        let mut is_second = false;
        loop {
            let conversation = Conversation {
                messages: messages.clone(),
                think: false,
                temperature: Some(0.0),
            };
            let most = asked.answer_tokens;
            let (text, stop, usage) = self
                .write(route, conversation, most, reply::has_whole_code, on)
                .await?;
            if stop != StopReason::Stop {
                return Err(Refusal::CutOff.into());
            }
            let changes = edit(reply::code(&text, old)?)?;
            let faults = broken(&changes);
            let Some(first) = faults.first() else {
                return Ok((changes, asked.pieces, usage));
            };
            let line = first.line + 1;
            if is_second {
                let message = first.message.clone();
                return Err(Refusal::Broken { line, message }.into());
            }
            is_second = true;
            on(Event::AskedAgain);
            let complaint = format!(
                "With that the file does not parse: line {line}: {}. {}",
                first.message,
                only_code()
            );
            messages = asked.again(&text, &complaint);
        }
    }

    /// What the model writes, to its end or until it is `enough`, of which only whole lines decide.
    async fn write(
        &self,
        route: &Route,
        asked: Conversation,
        most_tokens: u32,
        enough: fn(&str) -> bool,
        on: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<(String, StopReason, Usage), ActionError> {
        let mut text = String::new();
        let mut write = |delta: Delta<'_>| {
            if let Delta::Text(more) = delta {
                text.push_str(more);
                on(Event::Delta(more));
                if more.contains('\n') && enough(&text) {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        };
        let (stop, usage) = generate(
            &self.router,
            route,
            asked,
            most_tokens,
            self.redact_secrets,
            &mut write,
        )
        .await?;
        Ok((text, stop, usage))
    }
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.unwrap_or_default().into_owned()
}

fn made(outcome: Outcome, references: Vec<Piece>, route: &Route, usage: Usage) -> Made {
    Made {
        outcome,
        basis: None,
        references,
        model: route.model.clone(),
        backend: route.backend.name().to_owned(),
        usage,
    }
}
