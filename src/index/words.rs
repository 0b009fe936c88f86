//! What a text is made of, for search by words: parts of identifiers, stemmed, as numbers.
//!
//! Called for every chunk and every query. `parseHttpHeader`, `parse_http_header` and "parsing HTTP headers"
//! have the same parts; an identifier also counts as a whole, so that who knows the name finds the place.

use rust_stemmers::{Algorithm, Stemmer};

/// A word, as the 32-bit FNV-1a hash of its stem. Among the 100,000 words of a large project one pair in
/// a million is taken for one another, which costs a rank at most.
pub(super) type Term = u32;

/// Longest word, in bytes: longer ones are data.
const LONGEST_BYTES: usize = 64;
/// Shortest part of an identifier, in characters.
const SHORTEST_CHARS: usize = 2;

/// Words that say nothing of what a text is about, in order.
const STOP: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been",
    "being", "but", "by", "can", "do", "does", "each", "for", "from", "given", "had", "has",
    "have", "how", "in", "into", "is", "it", "its", "may", "more", "must", "no", "not", "of", "on",
    "only", "or", "other", "our", "own", "same", "should", "so", "some", "such", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "up", "us",
    "was", "we", "were", "what", "when", "where", "whether", "which", "while", "who", "why",
    "will", "with", "would", "you", "your",
];

/// The terms of `text`, in order and with repeats.
pub(super) fn terms(text: &str) -> Vec<Term> {
    let stemmer = Stemmer::create(Algorithm::English);
    let mut out = Vec::new();
    let mut add = |word: &str| {
        let lower = word.to_lowercase();
        if lower.chars().count() >= SHORTEST_CHARS && STOP.binary_search(&lower.as_str()).is_err() {
            out.push(hash(&stemmer.stem(&lower)));
        }
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for word in text.split(|c| !is_word(c)) {
        if word.is_empty() || word.len() > LONGEST_BYTES {
            continue;
        }
        let parts = parts(word);
        for part in &parts {
            add(part);
        }
        if parts.len() > 1 {
            add(&parts.concat());
        }
    }
    out
}

/// Each term once, with how often it is there, 255 at most.
pub(super) fn counts(text: &str) -> Vec<(Term, u8)> {
    let mut all = terms(text);
    all.sort_unstable();
    let runs = all.chunk_by(|a, b| a == b);
    let count = |run: &[Term]| {
        let first = run.first().copied()?;
        Some((first, u8::try_from(run.len()).unwrap_or(u8::MAX)))
    };
    runs.filter_map(count).collect()
}

/// The parts of an identifier: at `_`, before a capital after a small letter, and before the last capital
/// of several (`HTTPServer`).
fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for piece in word.split('_').filter(|piece| !piece.is_empty()) {
        let chars: Vec<(usize, char)> = piece.char_indices().collect();
        let mut start = 0;
        for window in 1..chars.len() {
            let (Some(&(_, before)), Some(&(at, now))) = (chars.get(window - 1), chars.get(window))
            else {
                continue;
            };
            let next_is_small = chars.get(window + 1).is_some_and(|(_, c)| c.is_lowercase());
            let begins = now.is_uppercase() && (!before.is_uppercase() || next_is_small);
            if begins {
                parts.extend(piece.get(start..at));
                start = at;
            }
        }
        parts.extend(piece.get(start..));
    }
    parts
}

fn hash(text: &str) -> Term {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_come_apart() {
        for (word, expected) in [
            ("parseHttpHeader", &["parse", "Http", "Header"][..]),
            ("HTTPServer", &["HTTP", "Server"]),
            ("snake_case_name", &["snake", "case", "name"]),
            ("__init__", &["init"]),
            ("sha256", &["sha256"]),
            ("X", &["X"]),
            ("ÄndereGröße", &["Ändere", "Größe"]),
        ] {
            assert_eq!(parts(word), expected, "{word}");
        }
    }

    #[test]
    fn code_and_words_meet() {
        let of = |text: &str| {
            counts(text)
                .into_iter()
                .map(|(term, _)| term)
                .collect::<Vec<_>>()
        };
        let code = of("fn parseHttpHeaders(line: &str)");
        for query in [
            "parse http header",
            "parsing HTTP headers",
            "parse_http_headers",
            "parsehttpheaders",
        ] {
            assert!(of(query).iter().any(|term| code.contains(term)), "{query}");
        }
        assert!(
            of("parsing of the headers")
                .iter()
                .all(|term| code.contains(term))
        );
        assert!(terms("the of a").is_empty());
        assert_eq!(counts("a id the id ID"), counts("id id id"));
        assert!(terms(&"x".repeat(100)).is_empty());
    }

    #[test]
    fn stop_words_are_in_order() {
        assert!(STOP.is_sorted());
    }
}
