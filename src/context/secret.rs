//! Text that looks like a key: never made a snippet, whatever file it stands in.
//!
//! The rules about files keep whole files out; this catches what was pasted into the wrong one. It
//! looks for shapes that nothing else has, so that code is not lost to it.

/// Beginnings of tokens, from their issuers' documentation, with the least number of token characters
/// that follow.
const TOKENS: &[(&str, usize)] = &[
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("github_pat_", 40),
    ("glpat-", 20),
    ("hf_", 30),
    ("npm_", 30),
    ("pypi-", 40),
    ("sk-", 32),
    ("sk_live_", 20),
    ("rk_live_", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("SG.", 40),
    ("eyJ", 60),
];

/// Whether `text` holds a key.
pub(super) fn is_in(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
        || TOKENS.iter().any(|&(start, least)| has(text, start, least))
}

fn has(text: &str, start: &str, least: usize) -> bool {
    text.match_indices(start).any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let begins = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let rest = rest.get(start.len()..).unwrap_or_default();
        let length = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
            .count();
        begins && length >= least
    })
}

/// Whether copied text may be a password: one word, as a password store hands out.
pub(super) fn may_be_password(text: &str) -> bool {
    !text.trim().contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_code_is_not_lost() {
        let long = "a1B2".repeat(12);
        for (text, secret) in [
            (format!("token = \"ghp_{long}\""), true),
            (format!("AWS={}", "AKIAIOSFODNN7EXAMPLE"), true),
            (format!("Authorization: Bearer sk-{long}"), true),
            ("-----BEGIN RSA PRIVATE KEY-----".to_owned(), true),
            ("let sk-8 = risk-free".to_owned(), false),
            (format!("task-{long}"), false),
            ("fn ghp_token(hf_model: &str)".to_owned(), false),
        ] {
            assert_eq!(is_in(&text), secret, "{text}");
        }
        assert!(may_be_password(" hunter2\n"));
        assert!(!may_be_password("let a = 1;"));
    }
}
