//! Rewrite with an instruction: code and the person's words ⇒ an edit. Where the editor cannot ask for
//! words, a comment at the top of the selection is the instruction.
//!
//! ```text
//! fn get(&self, key: &str) -> String {          "return an Option"
//!     ⇒
//! fn get(&self, key: &str) -> Option<String> {
//! ```

use super::{Action, Gives, Scene, comment, keep_all, target::Target};
use crate::config::Role;

pub(super) const ACTION: Action = Action {
    id: "rewrite",
    kind: "refactor.rewrite.ghostline.instruction",
    role: Role::Chat,
    gives: Gives::Edit,
    title,
    task,
    target: Target::Item,
    keep: keep_all,
};

fn title(scene: &Scene) -> Option<String> {
    if !scene.selected || !scene.says_something() {
        return None;
    }
    if scene.asks || scene.instruction.is_some() {
        return Some("Rewrite…".to_owned());
    }
    instruction(scene).map(|_| "Rewrite as the comment says".to_owned())
}

/// The person's words, or the comment that the selection begins with.
pub(super) fn instruction(scene: &Scene) -> Option<String> {
    if let Some(words) = &scene.instruction {
        return Some(words.clone()).filter(|words| !words.trim().is_empty());
    }
    let is_comment = |line: &String| comment::is_line_comment(line);
    let lines: Vec<String> = scene.first_lines().take_while(is_comment).collect();
    let words = lines.iter().map(|line| comment::words_of(line));
    let words = words.collect::<Vec<_>>().join(" ");
    (!words.trim().is_empty()).then(|| words.trim().to_owned())
}

fn task(scene: &Scene) -> String {
    let words = instruction(scene).unwrap_or_default();
    let from_comment = scene.instruction.is_none();
    let more = if from_comment {
        " That instruction is the comment at the top of the code; leave the comment out afterwards."
    } else {
        ""
    };
    format!("Rewrite this code as the person asks: {words}\nChange nothing else.{more}")
}
