//! A turn from its question to its end: what the model is given, who answers, what is kept.

use super::ask::{Ask, ChatError};
use super::attach;
use super::conversation::{Reference, Turn, TurnState, new_id};
use super::disk::Disk;
use super::generation::{Budget, Delta};
use super::intent::{self, Command};
use crate::config::Role;
use crate::prompt::instruct::{CHAT_SYSTEM, Piece, fit, tokens_of, with_pieces};
use crate::router::Route;

impl Turn {
    /// A turn that waits for its answer; `old` is the one it replaces.
    pub(super) fn begun(message: &str, ask: &Ask, old: Option<Self>) -> Self {
        let (mut quoted, mut images, mut references) = (String::new(), Vec::new(), Vec::new());
        if let Some(old) = old.filter(|_| ask.pieces.is_empty() && ask.images.is_empty()) {
            (quoted, images, references) = (old.quoted, old.images, old.references);
        }
        images.extend(ask.images.iter().map(attach::picture_of));
        Self {
            id: new_id(),
            message: message.to_owned(),
            quoted,
            images,
            answer: String::new(),
            thinking: String::new(),
            state: TurnState::Open,
            role: Role::Chat,
            model: String::new(),
            backend: String::new(),
            references,
        }
    }

    pub(super) fn served_by(&mut self, route: &Route) {
        self.model.clone_from(&route.model);
        route.backend.name().clone_into(&mut self.backend);
    }

    /// Whether all of `piece` is quoted already.
    pub(super) fn shows(&self, piece: &Piece) -> bool {
        let of = Reference::of(piece);
        self.references.iter().any(|shown| {
            shown.uri == of.uri
                && shown.lines.start <= of.lines.start
                && of.lines.end <= shown.lines.end
        })
    }

    /// Quotes what of `pieces` has room beside the words; says what has not.
    pub(super) fn quote(
        &mut self,
        pieces: Vec<Piece>,
        budget: Budget,
    ) -> Result<Vec<String>, ChatError> {
        let room = budget.prompt_tokens.saturating_sub(tokens_of(CHAT_SYSTEM));
        let tokens = tokens_of(&self.sent());
        let left = room.checked_sub(tokens).ok_or_else(|| ChatError::TooLong {
            tokens,
            room,
            model: self.model.clone(),
        })?;
        // A frame for each of the two messages.
        let (fitting, notes) = fit(pieces, left.saturating_sub(16));
        self.references.extend(fitting.iter().map(Reference::of));
        // The most important comes last, nearest to the words: a small model answers to what it read last.
        let quoted: Vec<Piece> = fitting.into_iter().rev().collect();
        self.quoted.push_str(&with_pieces("", &quoted));
        Ok(notes)
    }
}

impl Reference {
    pub(super) fn of(piece: &Piece) -> Self {
        Self {
            uri: piece.uri.to_string(),
            lines: piece.lines.clone(),
        }
    }
}

/// Who answers: the role asked for, else what the words say.
pub(super) fn role(
    ask: &Ask,
    command: Option<Command>,
    words: &str,
    turn: &Turn,
) -> Result<Role, ChatError> {
    let has_pictures = !turn.images.is_empty();
    match ask.role {
        Some(Role::Completion | Role::Embedding) => Err(ChatError::Role(
            "only chat, reasoning and vision hold conversations; leave `role` out to have one chosen",
        )),
        Some(Role::Chat | Role::Reasoning) if has_pictures => Err(ChatError::Role(
            "a picture needs the role vision; leave `role` out to have it chosen",
        )),
        Some(role) => Ok(role),
        None => Ok(intent::role_of(command, words, has_pictures)),
    }
}

/// A turn that is being answered. Dropped before its end it is kept as stopped.
pub(super) struct Draft {
    pub(super) disk: Disk,
    /// The conversation's name.
    pub(super) conversation: String,
    pub(super) turn: Option<Turn>,
}

impl Draft {
    pub(super) fn write(&mut self, delta: Delta<'_>) {
        if let Some(turn) = &mut self.turn {
            match delta {
                Delta::Text(text) => turn.answer.push_str(text),
                Delta::Thinking(text) => turn.thinking.push_str(text),
            }
        }
    }

    pub(super) fn end(mut self, state: TurnState) -> Option<Turn> {
        let turn = self.turn.take()?;
        Some(Turn { state, ..turn })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(mut turn) = self.turn.take() {
            turn.state = TurnState::Stopped;
            self.disk.end_later(self.conversation.clone(), turn);
        }
    }
}
