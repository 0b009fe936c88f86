//! Takes secrets out of text before a model is asked: keys, tokens, private keys, passwords in URLs, the
//! values of `.env` files.
//!
//! Called wherever text of files goes into a prompt, and before text is shown as a search result.
//! `rules` holds one row for each shape. Files that are made of secrets do not get here: their names
//! keep them out.
//!
//! Invariants: time is linear in the text, whatever it holds: the regular expressions never backtrack, and
//! a row goes over the text once; a text without secrets is not copied; redacting twice is redacting once;
//! a secret's lines stay as many as they were, so that line numbers hold.

use std::borrow::Cow;
use std::ops::Range;

mod judge;
mod rules;

use judge::is_key_body;
use rules::rules;

/// What stands for a secret. Without quotes and brackets of a language, so that code stays code.
pub const REDACTED: &str = "REDACTED";

/// How often a text is gone over at most. A secret that is gone may uncover another, as where dashes in a
/// password stood for the end of a key; texts that need a third look are made, not found.
const PASSES: usize = 8;

/// `text` without its secrets.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut out = Cow::Borrowed(text);
    for _ in 0..PASSES {
        let Cow::Owned(without) = without_visible(&out) else {
            break;
        };
        out = Cow::Owned(without);
    }
    out
}

/// `text` without the secrets that can be told in it as it stands.
fn without_visible(text: &str) -> Cow<'_, str> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for rule in rules() {
        for captures in rule.pattern.captures_iter(text) {
            let Some(secret) = captures.name("secret") else {
                continue;
            };
            let name = captures.name("name").map_or("", |name| name.as_str());
            if !secret.as_str().contains(REDACTED) && (rule.is_secret)(name, secret.as_str()) {
                found.push(secret.range());
            }
        }
    }
    found.extend(private_keys(text));
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_by_key(|range| (range.start, range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        if range.end <= at {
            continue;
        }
        if range.start >= at {
            out.push_str(text.get(at..range.start).unwrap_or_default());
            out.push_str(REDACTED);
        }
        let gone = text.get(range.start.max(at)..range.end).unwrap_or_default();
        out.extend(gone.matches('\n'));
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Cow::Owned(out)
}

/// The bodies of private key blocks, finished or cut off.
fn private_keys(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    const HEAD: &str = "PRIVATE KEY";
    const DASHES: &str = "-----";
    memchr::memmem::find_iter(text.as_bytes(), HEAD).filter_map(move |at| {
        let rest = text.get(at + HEAD.len()..)?;
        let body = rest
            .strip_prefix(" BLOCK")
            .unwrap_or(rest)
            .strip_prefix(DASHES)?;
        let start = text.len() - body.len();
        let length = is_key_body(body)?;
        Some(start..start + length)
    })
}

/// Whether a text may be a password: one word, as a password store hands out.
pub fn may_be_password(text: &str) -> bool {
    !text.trim().contains(char::is_whitespace)
}

#[cfg(test)]
mod tests;
