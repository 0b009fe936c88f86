//! What a message asks for: a command at its start, and which role should answer.
//!
//! Words decide, so that nobody waits for a model to choose a model. A wrong guess costs little: every
//! role answers questions, and the person may name one.

use crate::config::Role;
use crate::prompt::instruct::Task;

/// A command at the start of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `/explain`, `/fix`, `/test`, `/plan`: an instruction to the model.
    Task(Task),
    /// `/search`: what the repository has on it; no model is asked.
    Search,
    /// `/clear`: forgets what was said.
    Clear,
}

/// The commands as they are written, for lists.
pub const COMMANDS: &[(&str, Command)] = &[
    ("/explain", Command::Task(Task::Explain)),
    ("/fix", Command::Task(Task::Fix)),
    ("/test", Command::Task(Task::Test)),
    ("/plan", Command::Task(Task::Plan)),
    ("/search", Command::Search),
    ("/clear", Command::Clear),
];

/// The command of a message, and the words after it. What begins like a path is no command.
pub fn read(message: &str) -> (Option<Command>, &str) {
    let message = message.trim();
    let (first, rest) = message
        .split_once(char::is_whitespace)
        .unwrap_or((message, ""));
    match COMMANDS.iter().find(|(name, _)| *name == first) {
        Some((_, command)) => (Some(*command), rest.trim()),
        None => (None, message),
    }
}

/// The role for a message when the person names none.
pub fn role_of(command: Option<Command>, words: &str, has_pictures: bool) -> Role {
    if has_pictures {
        return Role::Vision;
    }
    match command {
        Some(Command::Task(Task::Plan)) => Role::Reasoning,
        None if asks_for_plan(words) => Role::Reasoning,
        _ => Role::Chat,
    }
}

/// Beginnings and phrases of messages that ask for a plan.
const PLAN_STARTS: &[&str] = &["plan ", "plan:", "outline a ", "design a plan"];
const PLANS: &[&str] = &[
    "make a plan",
    "write a plan",
    "give me a plan",
    "draw up a plan",
    "need a plan",
    "plan how",
    "plan the ",
    "plan for ",
    "plan out",
    "project plan",
    "migration plan",
    "implementation plan",
    "roadmap",
    "break down the work",
    "break this down into",
];

fn asks_for_plan(words: &str) -> bool {
    let words = words.to_lowercase();
    PLAN_STARTS.iter().any(|start| words.starts_with(start))
        || PLANS.iter().any(|phrase| words.contains(phrase))
}

/// Beginnings and phrases of questions about the whole repository.
const WHERE_STARTS: &[&str] = &[
    "where is ",
    "where are ",
    "where's ",
    "where do ",
    "where does ",
    "where in ",
    "where can i find ",
    "which file",
    "which files",
    "which module",
    "find where ",
    "find the code ",
    "show me where ",
    "who calls ",
];
const WHERES: &[&str] = &[
    "how does this repo",
    "how does the repo",
    "how does this project",
    "how does this codebase",
    "how does the codebase",
    "how does this code base",
    "in this repo",
    "in this codebase",
    "in this project",
    "in the codebase",
    "across the codebase",
];

/// Whether the answer lies in files that the person did not name.
pub fn asks_where(words: &str) -> bool {
    let words = words.to_lowercase();
    WHERE_STARTS.iter().any(|start| words.starts_with(start))
        || WHERES.iter().any(|phrase| words.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_at_the_start() {
        for (message, command, words) in [
            ("/explain", Some(Command::Task(Task::Explain)), ""),
            (
                "  /fix it\nplease ",
                Some(Command::Task(Task::Fix)),
                "it\nplease",
            ),
            ("/clear", Some(Command::Clear), ""),
            ("/search tokens", Some(Command::Search), "tokens"),
            ("/usr/bin is what?", None, "/usr/bin is what?"),
            ("/explainer", None, "/explainer"),
            ("say /fix", None, "say /fix"),
            ("", None, ""),
        ] {
            assert_eq!(read(message), (command, words), "{message:?}");
        }
    }

    #[test]
    fn words_choose_the_role() {
        for (message, pictures, role, searches) in [
            ("What is a monad?", false, Role::Chat, false),
            ("Plan the move to async", false, Role::Reasoning, false),
            (
                "Please make a plan for a cache.",
                false,
                Role::Reasoning,
                false,
            ),
            ("/plan a cache", false, Role::Reasoning, false),
            ("An airplane explains", false, Role::Chat, false),
            ("explain this plan", false, Role::Chat, false),
            ("Where is the router?", false, Role::Chat, true),
            (
                "How does this repository store tokens?",
                false,
                Role::Chat,
                true,
            ),
            ("Is there a place where is used?", false, Role::Chat, false),
            ("What is on the screen?", true, Role::Vision, false),
            ("Plan it", true, Role::Vision, false),
        ] {
            let (command, words) = read(message);
            assert_eq!(role_of(command, words, pictures), role, "{message}");
            assert_eq!(asks_where(words), searches, "{message}");
        }
    }
}
