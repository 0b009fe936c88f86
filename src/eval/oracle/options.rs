//! How right and how fast the oracle is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

/// Time per prompt token that is not cached, in milliseconds: 11,900 tokens per second, what a
/// 1.5-billion-parameter Q4 model reaches on a small accelerator.
const PREFILL_MS: f64 = 0.084;

/// What `--oracle` says, such as `q=0.85,first_ms=20,token_ms=3`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OracleOptions {
    /// Probability that a token is right, or that nothing is said where nothing is typed.
    pub q: f64,
    /// From the request to the first token of a cached prompt.
    pub first_ms: f64,
    /// From token to token.
    pub token_ms: f64,
    /// Added to the first token for each prompt token that is not cached.
    pub prefill_ms: f64,
    /// Prompts whose KV cache is kept.
    pub slots: usize,
    /// What follows a wrong token.
    pub wrong: AfterWrong,
}

/// What follows a wrong token of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterWrong {
    /// What the person types after the right one: each token stands for itself.
    Token,
    /// More wrong text, to the end of the line: what a model says that has lost the thread.
    Line,
    /// Nothing: the least that a wrong answer can cost.
    End,
}

impl fmt::Display for AfterWrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Line => "line",
            Self::End => "end",
        })
    }
}

impl Default for OracleOptions {
    fn default() -> Self {
        Self {
            q: 0.85,
            first_ms: 20.0,
            token_ms: 3.0,
            prefill_ms: PREFILL_MS,
            slots: 1,
            wrong: AfterWrong::Token,
        }
    }
}

impl OracleOptions {
    pub(super) fn first_token(&self) -> Duration {
        Duration::from_secs_f64(self.first_ms / 1_000.0)
    }

    pub(super) fn token(&self) -> Duration {
        Duration::from_secs_f64(self.token_ms / 1_000.0)
    }

    pub(super) fn prefill(&self) -> Duration {
        Duration::from_secs_f64(self.prefill_ms / 1_000.0)
    }
}

/// Why an oracle's description cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{part}` says nothing about the oracle; write q=0.85,first_ms=20,token_ms=3 and, if you like, prefill_ms=0.084,slots=1,wrong=token"
)]
pub struct UnknownOption {
    part: String,
}

impl FromStr for OracleOptions {
    type Err = UnknownOption;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut options = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            options.set(part).ok_or_else(|| UnknownOption {
                part: part.to_owned(),
            })?;
        }
        Ok(options)
    }
}

impl OracleOptions {
    fn set(&mut self, part: &str) -> Option<()> {
        let (key, value) = part.split_once('=')?;
        if key == "slots" {
            self.slots = value.parse().ok().filter(|&n| n > 0)?;
            return Some(());
        }
        if key == "wrong" {
            let mut known = [AfterWrong::Token, AfterWrong::Line, AfterWrong::End].into_iter();
            self.wrong = known.find(|wrong| wrong.to_string() == value)?;
            return Some(());
        }
        // No request takes longer than a minute to begin; the bound keeps `Duration` safe.
        let number: f64 = value
            .parse()
            .ok()
            .filter(|n| (0.0..=60_000.0).contains(n))?;
        match key {
            "q" if number <= 1.0 => self.q = number,
            "first_ms" => self.first_ms = number,
            "token_ms" => self.token_ms = number,
            "prefill_ms" => self.prefill_ms = number,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_what_is_none_is_named() {
        let read: OracleOptions = "q=0.5, first_ms=60,token_ms=5.9,slots=2,wrong=end"
            .parse()
            .unwrap();
        let expected = OracleOptions {
            q: 0.5,
            first_ms: 60.0,
            token_ms: 5.9,
            slots: 2,
            wrong: AfterWrong::End,
            ..OracleOptions::default()
        };
        assert_eq!(read, expected);
        assert_eq!(
            "".parse::<OracleOptions>().unwrap(),
            OracleOptions::default()
        );
        for bad in [
            "q=2",
            "q=x",
            "speed=3",
            "slots=0",
            "wrong=never",
            "first_ms=-1",
            "token_ms",
            "q=NaN",
        ] {
            let error = bad.parse::<OracleOptions>().unwrap_err();
            assert!(error.to_string().contains(bad), "{bad}");
        }
    }
}
