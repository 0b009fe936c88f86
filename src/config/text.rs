//! Foreign text inside messages: short, quoted, without control characters.
//!
//! Settings come from files of strangers too; what they hold must not steer a terminal.

use serde_json::Value;

/// Characters of foreign text shown in a message; enough to find the place.
const SHOWN_CHARS: usize = 60;

/// The text in backticks, escaped and shortened.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{}`", escaped(&shown))
}

/// The value in backticks, as JSON, escaped and shortened.
pub(super) fn quoted_value(value: &Value) -> String {
    quoted(&value.to_string())
}

/// The text with what is not printable escaped; quotes and backslashes stay as they are.
pub(super) fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '\'' | '\\' => c.to_string(),
            // Escapes control characters and those that reorder or hide text.
            c => c.escape_debug().to_string(),
        })
        .collect()
}
