//! A model's Jinja template, rendered over placeholders.
//!
//! Called by [`super::Chat`]. The template comes with the weights, so it is a stranger's program: it
//! sees nothing but the conversation's shape, and its steps are bounded. What transformers gives to
//! templates is here: `raise_exception`, `strftime_now`, `tojson`, loop controls, Python's methods of
//! strings and dicts, `trim_blocks` and `lstrip_blocks` (its `chat_template_utils.py`, read 2026-11).

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, context};

use super::pieces::Piece;
use crate::prompt::{Message, Speaker};

/// The layout of Qwen and of most models that were tuned by others.
pub(super) const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' \
    + message.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ \
    '<|im_start|>assistant\n' }}{% endif %}";

/// Steps of the template engine that one rendering may take. A conversation of a thousand messages by
/// the longest template known takes about a hundredth of it.
const FUEL: u64 = 10_000_000;

/// What placeholders are written with: characters of Unicode's private use area, which no template
/// holds and no filter changes.
const OPEN: char = '\u{f8f0}';
const CLOSE: char = '\u{f8f1}';

/// The only template's name in its environment.
const NAME: &str = "chat";

/// A template that parses.
#[derive(Debug, Default)]
pub(super) struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl Template {
    /// # Errors
    /// The parser's words, on one line.
    pub(super) fn new(source: &str, bos: String, eos: String) -> Result<Self, String> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|error| one_line(&error))?;
        environment.set_syntax(syntax);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| one_line(&error))?;
        Ok(Self {
            environment,
            bos,
            eos,
        })
    }

    /// The commonest layout, with the same tokens.
    pub(super) fn commonest(&self) -> Self {
        Self::new(CHATML, self.bos.clone(), self.eos.clone()).unwrap_or_default()
    }

    /// The conversation laid out, up to where the model's answer begins.
    ///
    /// # Errors
    /// The template's words, when it refuses in both ways of handing over system messages, or leaves
    /// out the last message.
    pub(super) fn render(&self, messages: &[&Message], think: bool) -> Result<Vec<Piece>, String> {
        let said: Vec<_> = messages.iter().map(|m| m.speaker).collect();
        let placeholders: Vec<_> = (0..messages.len()).map(placeholder).collect();
        let plain = said.iter().copied().zip(placeholders.iter().cloned());
        let pieces = self
            .fill(plain.collect(), messages, think)
            // A template may know no system messages, or only one of them and only at the start.
            .or_else(|error| {
                let folded = fold_system(&said, &placeholders);
                self.fill(folded, messages, think).map_err(|_| error)
            })?;
        Ok(pieces)
    }

    fn fill(
        &self,
        said: Vec<(Speaker, String)>,
        messages: &[&Message],
        think: bool,
    ) -> Result<Vec<Piece>, String> {
        let said: Vec<Value> = said
            .into_iter()
            .map(|(speaker, content)| context! { role => speaker.name(), content => content })
            .collect();
        let rendered = self
            .environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! {
                    messages => said,
                    add_generation_prompt => true,
                    bos_token => self.bos.as_str(),
                    eos_token => self.eos.as_str(),
                    enable_thinking => think,
                })
            })
            .map_err(|error| one_line(&error))?;
        let pieces = split(&rendered, messages);
        let words = |piece: &Piece| matches!(piece, Piece::Words(_));
        let all_said = pieces.iter().filter(|piece| words(piece)).count() == messages.len();
        if all_said {
            Ok(pieces)
        } else {
            Err("it leaves out a message, or repeats one".to_owned())
        }
    }
}

/// System messages put in front of the first thing the user says.
fn fold_system(said: &[Speaker], placeholders: &[String]) -> Vec<(Speaker, String)> {
    let mut folded: Vec<(Speaker, String)> = Vec::new();
    let mut waiting = String::new();
    for (&speaker, placeholder) in said.iter().zip(placeholders) {
        if speaker == Speaker::System {
            waiting.push_str(placeholder);
            waiting.push_str("\n\n");
        } else if speaker == Speaker::User {
            folded.push((speaker, std::mem::take(&mut waiting) + placeholder));
        } else {
            folded.push((speaker, placeholder.clone()));
        }
    }
    folded
}

fn placeholder(at: usize) -> String {
    format!("{OPEN}{at}{CLOSE}")
}

/// Puts the messages' words where their placeholders stand.
fn split(rendered: &str, messages: &[&Message]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = rendered;
    while let Some((before, (words, after))) = rest.split_once(OPEN).and_then(|(before, after)| {
        let (at, after) = after.split_once(CLOSE)?;
        let message = messages.get(at.parse::<usize>().ok()?)?;
        Some((before, (message.text.clone(), after)))
    }) {
        if !before.is_empty() {
            pieces.push(Piece::Template(before.to_owned()));
        }
        pieces.push(Piece::Words(words));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Template(rest.to_owned()));
    }
    pieces
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.to_owned()))
}

/// Today, in UTC. Templates ask for the date, which leaves what is cached worth keeping for a day.
fn strftime_now(format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(
        format,
        jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .datetime(),
    )
    .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

fn one_line(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
