//! `ghostline chat`: a conversation in the terminal, one question or many.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use anyhow::bail;

use super::here::{Here, bytes_of, cite, place};
use super::markdown::Renderer;
use super::{Exit, Usage, output};
use crate::chat::attach::{Attached, piece_of};
use crate::chat::picture::PictureError;
use crate::chat::{Ask, ChatError, Chats, Event};
use crate::config::Role;
use crate::server::Host as _;

/// Arguments of `ghostline chat`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The question; without one, questions are read from the terminal until it ends.
    pub message: Option<String>,
    /// Text that belongs to the question; lines count from 1. May be said several times.
    #[arg(long, value_name = "FILE[:A-B]")]
    pub file: Vec<String>,
    /// A picture that belongs to the question.
    #[arg(long, value_name = "FILE")]
    pub image: Vec<PathBuf>,
    /// Who answers: auto, chat, reasoning or vision.
    #[arg(long, default_value = "auto")]
    pub role: String,
    /// Go on with the newest conversation of this workspace.
    #[arg(long = "continue")]
    pub goes_on: bool,
}

/// Asks and prints.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let role = role(&args.role)?;
    let here = Here::around(&std::env::current_dir()?);
    let chats = Chats::new(here.router.clone(), here.host.chats_folder(&here.folders))
        .with_searcher(here.searcher());
    let keeps_secrets = !here.settings.privacy.redact_secrets;
    let mut ask = Ask {
        keeps_secrets,
        role,
        ..attached(&here, &args)?
    };
    if args.goes_on {
        let newest = chats.list().await?.into_iter().next();
        let newest =
            newest.ok_or_else(|| Usage("there is no conversation to go on with".into()))?;
        output::note(&format!("going on: {}", newest.title));
        ask.conversation = Some(newest.conversation);
    }
    if let Some(message) = args.message {
        ask.message = Some(message);
        return answer(&chats, ask).await.map(|(exit, _)| exit);
    }
    let shows = std::io::stdin().is_terminal();
    if shows {
        output::note(
            "Ask; a line that ends in \\ goes on. /again answers anew, /again WORDS asks otherwise, /clear \
             begins anew. Ctrl-C stops an answer, Ctrl-D ends.",
        );
    }
    let mut last = Exit::Success;
    loop {
        let message = tokio::select! {
            biased;
            Ok(()) = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
            message = next_message(shows) => message?,
        };
        let Some(message) = message else { break };
        if message.trim().is_empty() {
            continue;
        }
        if matches!(message.trim(), "/quit" | "/exit") {
            break;
        }
        (ask.turn, ask.message) = turn_and_words(message);
        let (exit, conversation) = answer(&chats, ask.clone()).await?;
        last = exit;
        // What was attached stays known to the conversation; after a failure it is attached again.
        if conversation.is_some() {
            ask = Ask {
                conversation,
                keeps_secrets,
                role,
                ..Ask::default()
            };
        }
    }
    Ok(if shows { Exit::Success } else { last })
}

/// The turn that is asked anew, the last one, and its words; else a new turn.
fn turn_and_words(message: String) -> (Option<i64>, Option<String>) {
    match message.trim().strip_prefix("/again") {
        Some("") => (Some(-1), None),
        Some(words) if words.starts_with(char::is_whitespace) => {
            (Some(-1), Some(words.trim().to_owned()))
        }
        _ => (None, Some(message)),
    }
}

fn role(name: &str) -> anyhow::Result<Option<Role>> {
    match (name, Role::from_name(name)) {
        ("auto", _) => Ok(None),
        (_, Some(role @ (Role::Chat | Role::Reasoning | Role::Vision))) => Ok(Some(role)),
        _ => bail!(Usage(format!(
            "there is no role `{name}` for chat; auto, chat, reasoning or vision"
        ))),
    }
}

fn attached(here: &Here, args: &Args) -> anyhow::Result<Ask> {
    let (mut ask, mut around) = (Ask::default(), Vec::new());
    for file in &args.file {
        let (path, lines) = place(file)?;
        match here.attach(&path)? {
            Attached::Picture(image) => ask.images.push(image),
            Attached::Text(document) => {
                let bytes = lines.map(|lines| bytes_of(&document, &path, lines));
                let bytes = bytes.transpose()?;
                let has_lines = bytes.is_some();
                let piece = piece_of(&document, bytes, &here.folders);
                if has_lines {
                    around.extend(here.nearby().of(&document, &piece.lines));
                }
                ask.pieces.push(piece);
            }
        }
    }
    ask.pieces.extend(around);
    for path in &args.image {
        match here.attach(path)? {
            Attached::Picture(image) => ask.images.push(image),
            Attached::Text(_) => bail!(Usage(
                PictureError::Unknown(path.display().to_string()).to_string()
            )),
        }
    }
    Ok(ask)
}

/// Prints the answer as it comes; the conversation, unless it failed.
async fn answer(chats: &Chats, ask: Ask) -> anyhow::Result<(Exit, Option<String>)> {
    let mut renderer = Renderer::new();
    let (mut thinks, mut told, mut begun_in) = (false, false, None);
    let shows = std::io::stderr().is_terminal();
    let mut on = |event: Event<'_>| match event {
        Event::Begun(begun) => {
            begun_in = Some(begun.conversation.clone());
            if shows {
                output::note(&format!("{} ({}) …", begun.model, begun.backend));
            }
        }
        Event::Thinking(_) if shows && !thinks => {
            thinks = true;
            output::note("thinking …");
        }
        Event::Thinking(_) => {}
        Event::Delta(text) => {
            told = true;
            renderer.write(text);
        }
    };
    // Dropping it stops the model. An interrupt of a single question ends the program before.
    let answered = tokio::select! {
        biased;
        Ok(()) = tokio::signal::ctrl_c() => None,
        answered = chats.answer(ask, &mut on) => Some(answered),
    };
    let Some(answered) = answered else {
        if told {
            renderer.end();
        }
        output::note("stopped");
        return Ok((Exit::Interrupted, begun_in));
    };
    match answered {
        Ok(answer) => {
            if !told {
                renderer.write(&answer.message);
            }
            renderer.end();
            let references = answer.begun.references.iter();
            cite(references.map(|r| (&*r.uri, r.lines.clone())));
            for note in &answer.notes {
                output::note(&format!("note: {note}"));
            }
            Ok((Exit::Success, Some(answer.begun.conversation)))
        }
        Err(error) => {
            if told {
                renderer.end();
            }
            let exit = match &error {
                ChatError::NoModel(_) | ChatError::Backend(_) => Exit::NoBackend,
                ChatError::Disk(_) | ChatError::Search(_) => Exit::Failed,
                _ => Exit::Usage,
            };
            output::note(&format!("ghostline: {:#}", anyhow::Error::from(error)));
            Ok((exit, None))
        }
    }
}

/// The next question; `None` at the end of the input. Reads on a thread of its own.
async fn next_message(shows: bool) -> anyhow::Result<Option<String>> {
    let read = move || -> std::io::Result<Option<String>> {
        let mut message = String::new();
        loop {
            if shows {
                output::text(if message.is_empty() { "> " } else { "… " });
            }
            let mut line = String::new();
            if std::io::stdin().lock().read_line(&mut line)? == 0 {
                return Ok((!message.is_empty()).then_some(message));
            }
            let line = line.trim_end_matches(['\n', '\r']);
            let Some(more) = line.strip_suffix('\\') else {
                message.push_str(line);
                return Ok(Some(message));
            };
            message.push_str(more);
            message.push('\n');
        }
    };
    Ok(tokio::task::spawn_blocking(read).await??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn again_is_the_last_turn() {
        for (message, turn, words) in [
            ("/again", Some(-1), None),
            (" /again in French ", Some(-1), Some("in French")),
            ("/against", None, Some("/against")),
            ("Why?", None, Some("Why?")),
        ] {
            let expected = (turn, words.map(str::to_owned));
            assert_eq!(turn_and_words(message.to_owned()), expected, "{message}");
        }
    }
}
