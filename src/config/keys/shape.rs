//! Which values a setting takes.
//!
//! Called by the resolver before a value is set. A value that passes is in its normal form: whole
//! numbers without a fraction, URLs without a slash at the end.

use serde_json::Value;

use crate::config::host::check_url;
use crate::config::text::{quoted, quoted_value};

/// Most entries of a list; each candidate is asked for and each pattern is tried on every file.
const LIST_MAX: usize = 100;

/// Longest fixed debounce, in milliseconds. Whoever waits longer has switched completions off.
const DEBOUNCE_MAX_MS: u64 = 10_000;

/// Which values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Switch,
    /// A whole number, bounds included.
    Integer {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `"adaptive"`, or milliseconds.
    Debounce,
    /// The name of an environment variable.
    VariableName,
    /// A list of texts.
    List(Item),
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// `[backend/]model`.
    Candidate,
    /// The address of a server.
    Url,
    /// A pattern as in `.gitignore`.
    Glob,
    /// An LSP language id.
    Language,
    /// An absolute path, or one that begins with `~/`.
    Folder,
}

impl Shape {
    /// Checks a value and gives its normal form.
    ///
    /// # Errors
    /// Says what the value must be, as the end of a sentence that begins with the key.
    pub fn check(self, value: &Value) -> Result<Value, String> {
        let not = |what: String| Err(format!("must be {what}, not {}", quoted_value(value)));
        match self {
            Self::Switch if value.is_boolean() => Ok(value.clone()),
            Self::Switch => not("true or false".to_owned()),
            Self::Integer { min, max } => match whole(value) {
                Some(n) if (min..=max).contains(&n) => Ok(n.into()),
                _ => not(format!("a whole number from {min} to {max}")),
            },
            Self::Choice(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(value.clone()),
                _ => not(format!("one of {}", listed(words))),
            },
            Self::Debounce => match (value.as_str(), whole(value)) {
                (Some("adaptive"), _) => Ok(value.clone()),
                (_, Some(n)) if n <= DEBOUNCE_MAX_MS => Ok(n.into()),
                _ => not(format!(
                    "\"adaptive\" or a number of milliseconds from 0 to {DEBOUNCE_MAX_MS}"
                )),
            },
            // The value is not repeated: whoever gets this wrong has often written the key itself.
            Self::VariableName => match value.as_str() {
                Some(name) if is_variable_name(name) => Ok(value.clone()),
                _ => Err("must be the name of an environment variable, not the key itself".into()),
            },
            Self::List(item) => {
                let list = value
                    .as_array()
                    .filter(|list| list.iter().all(Value::is_string));
                let Some(list) = list else {
                    return Err("must be a list of texts".to_owned());
                };
                if list.len() > LIST_MAX {
                    return Err(format!("must not have more than {LIST_MAX} entries"));
                }
                let texts = list.iter().filter_map(Value::as_str);
                texts
                    .map(|text| item.check(text).map(Value::from))
                    .collect()
            }
        }
    }
}

impl Item {
    /// Checks an entry and gives its normal form.
    fn check(self, text: &str) -> Result<String, String> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(format!("must not hold {}", quoted(text)));
        }
        match self {
            Self::Candidate => {}
            Self::Url => return check_url(text),
            // A pattern that one consumer cannot read would spoil the others for it.
            Self::Glob => {
                let mut patterns = ignore::gitignore::GitignoreBuilder::new("");
                if text.starts_with('#') || patterns.add_line(None, text).is_err() {
                    return Err(format!(
                        "has a pattern that means nothing: {}",
                        quoted(text)
                    ));
                }
                if text.starts_with('!') {
                    return Err(format!("can only add to what is ignored: {}", quoted(text)));
                }
            }
            Self::Language => {
                if text.contains(char::is_whitespace) {
                    return Err(format!("must hold language ids, not {}", quoted(text)));
                }
            }
            Self::Folder => {
                let rooted = std::path::Path::new(text).is_absolute();
                if !(rooted || text == "~" || text.starts_with("~/")) {
                    return Err(format!(
                        "must hold absolute paths or such as `~/work`, not {}",
                        quoted(text)
                    ));
                }
            }
        }
        Ok(text.to_owned())
    }
}

/// Whether a text can name an environment variable on every system.
fn is_variable_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The value as a whole number; some editors' JSON writes `100.0`.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let float = value.as_f64()?;
        let fits = float.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&float);
        fits.then(|| format!("{float:.0}").parse().ok())?
    })
}

/// The words in quotes, with commas between.
fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(", ")
}
