//! Fill-in-the-middle: one row per model family.
//!
//! Strings and stops are those of the families' own documentation, as collected in llama.cpp's and
//! Ollama's templates, read in November 2026. A row is chosen by the model's own metadata first and by
//! its name last ([`family_of`]).

use super::{Block, Segment};

mod metadata;
mod repository;

pub use metadata::{Evidence, Known, Metadata, known, of_vocabulary};
pub use repository::Repository;

/// In which order a family reads prefix and suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `prefix` P `suffix` S `middle` typed part: a keystroke appends to the end.
    PrefixSuffixMiddle {
        /// Before the lines above.
        prefix: &'static str,
        /// Before the text after the cursor.
        suffix: &'static str,
        /// Before what was typed.
        middle: &'static str,
    },
    /// `suffix` S `prefix` P and the typed part.
    SuffixPrefix {
        /// Before the text after the cursor.
        suffix: &'static str,
        /// Before the lines above.
        prefix: &'static str,
    },
    /// The text before the cursor alone, for models without such tokens.
    PrefixOnly,
}

/// A family of models that share sentinels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name in status and output.
    pub name: &'static str,
    /// Lower-case parts of model names that belong to it; the first row that matches wins.
    names: &'static [&'static str],
    /// `general.architecture` of its models, which other models may have too.
    architectures: &'static [&'static str],
    /// How a prompt is laid out.
    pub layout: Layout,
    /// Where snippets of other files go.
    pub repository: Repository,
    /// Texts that end a generation; none is ever shown.
    pub stops: &'static [&'static str],
}

const ASCII_FIM: Layout = Layout::PrefixSuffixMiddle {
    prefix: "<fim_prefix>",
    suffix: "<fim_suffix>",
    middle: "<fim_middle>",
};
const PIPED_FIM: Layout = Layout::PrefixSuffixMiddle {
    prefix: "<|fim_prefix|>",
    suffix: "<|fim_suffix|>",
    middle: "<|fim_middle|>",
};

/// The families. More specific names stand first.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "qwen-coder",
        names: &["qwen2.5-coder", "qwen3-coder", "qwen2.5.coder"],
        architectures: &["qwen2", "qwen3", "qwen3moe"],
        layout: PIPED_FIM,
        repository: Repository::Files {
            // Qwen2.5-Coder's README, "Repository Level Code Completion".
            name: Some("<|repo_name|>"),
            file: "<|file_sep|>",
            path_in_prefix: false,
        },
        stops: &[
            "<|endoftext|>",
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
            "<|fim_pad|>",
            "<|file_sep|>",
            "<|repo_name|>",
            "<|im_start|>",
            "<|im_end|>",
        ],
    },
    Family {
        name: "codellama",
        names: &["codellama", "code-llama"],
        architectures: &["llama"],
        layout: Layout::PrefixSuffixMiddle {
            prefix: "<PRE> ",
            suffix: " <SUF>",
            middle: " <MID>",
        },
        repository: Repository::Comments,
        stops: &["<EOT>", "<PRE>", "<SUF>", "<MID>", "</s>"],
    },
    // Version 1 and version 2 have other token ids and the same texts (their `tokenizer_config.json`).
    Family {
        name: "deepseek-coder",
        names: &["deepseek-coder"],
        architectures: &["llama", "deepseek2"],
        layout: Layout::PrefixSuffixMiddle {
            prefix: "<｜fim▁begin｜>",
            suffix: "<｜fim▁hole｜>",
            middle: "<｜fim▁end｜>",
        },
        repository: Repository::Comments,
        stops: &[
            "<｜end▁of▁sentence｜>",
            "<｜fim▁begin｜>",
            "<｜fim▁hole｜>",
            "<｜fim▁end｜>",
            "<|EOT|>",
        ],
    },
    Family {
        name: "starcoder2",
        names: &["starcoder", "stable-code"],
        architectures: &["starcoder2"],
        layout: ASCII_FIM,
        repository: Repository::Files {
            // StarCoder 2's paper, section 5.2.
            name: Some("<repo_name>"),
            file: "<file_sep>",
            path_in_prefix: true,
        },
        stops: &[
            "<|endoftext|>",
            "<file_sep>",
            "<repo_name>",
            "<fim_prefix>",
            "<fim_suffix>",
            "<fim_middle>",
        ],
    },
    // CodeQwen 1.5 was trained with StarCoder's sentinels; Qwen's own came with 2.5.
    Family {
        name: "codeqwen",
        names: &["codeqwen"],
        architectures: &["qwen2"],
        layout: ASCII_FIM,
        repository: Repository::Comments,
        stops: &[
            "<|endoftext|>",
            "<|im_end|>",
            "<file_sep>",
            "<fim_prefix>",
            "<fim_suffix>",
            "<fim_middle>",
        ],
    },
    Family {
        name: "codegemma",
        names: &["codegemma"],
        architectures: &["gemma"],
        layout: PIPED_FIM,
        repository: Repository::Files {
            // ai.google.dev/gemma/docs/codegemma/prompt-structure: "for multi-file contexts".
            name: None,
            file: "<|file_separator|>",
            path_in_prefix: false,
        },
        stops: &[
            "<|file_separator|>",
            "<end_of_turn>",
            "<eos>",
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
        ],
    },
    Family {
        name: "codestral",
        names: &["codestral"],
        architectures: &["llama", "mistral3"],
        layout: Layout::SuffixPrefix {
            suffix: "[SUFFIX]",
            prefix: "[PREFIX]",
        },
        repository: Repository::Comments,
        stops: &["</s>", "[SUFFIX]", "[PREFIX]", "[MIDDLE]"],
    },
    // Granite 4 has a new vocabulary; its sentinels are those of Qwen, its ends its own.
    Family {
        name: "granite-4",
        names: &["granite4", "granite-4"],
        architectures: &["granite", "granitehybrid"],
        layout: PIPED_FIM,
        repository: Repository::Comments,
        stops: &[
            "<|end_of_text|>",
            "<|endoftext|>",
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
            "<|fim_pad|>",
            "<|filename|>",
            "<|reponame|>",
        ],
    },
    Family {
        name: "granite-code",
        names: &[
            "granite-code",
            "granite-3b-code",
            "granite-8b-code",
            "granite-20b-code",
            "granite-34b-code",
            "granite3",
            "granite-3",
        ],
        architectures: &["llama", "gpt_bigcode", "starcoder"],
        layout: ASCII_FIM,
        repository: Repository::Comments,
        stops: &[
            "<|endoftext|>",
            "<fim_prefix>",
            "<fim_suffix>",
            "<fim_middle>",
            "<fim_pad>",
        ],
    },
];

/// The form for models without fill-in-the-middle tokens.
pub const PREFIX_ONLY: Family = Family {
    name: "prefix-only",
    names: &[],
    architectures: &[],
    layout: Layout::PrefixOnly,
    repository: Repository::Comments,
    stops: &[
        "<|endoftext|>",
        "<|im_end|>",
        "<|im_start|>",
        "</s>",
        "<|eot_id|>",
    ],
};

/// Models whose family fills in the middle and who do not: all parts of a row stand in the name.
/// Code Llama's 34B and Python models were trained without infilling (its paper, section 2.3), and
/// Mamba Codestral has no sentinels (its model card, read in November 2026).
const WITHOUT_FIM: &[&[&str]] = &[
    &["codellama", "python"],
    &["codellama", "34b"],
    &["mamba", "codestral"],
];

/// The family of a model. `fim` is what the model's metadata says about fill-in-the-middle tokens:
/// `Some(false)` settles it, whatever the name promises. `None` when nothing says which.
pub fn family_of(model: &str, fim: Option<bool>) -> Option<&'static Family> {
    if fim == Some(false) {
        return Some(&PREFIX_ONLY);
    }
    let name = model.to_lowercase();
    if WITHOUT_FIM
        .iter()
        .any(|parts| parts.iter().all(|part| name.contains(part)))
    {
        return Some(&PREFIX_ONLY);
    }
    FAMILIES
        .iter()
        .find(|f| f.names.iter().any(|n| name.contains(n)))
}

impl Family {
    /// The sentinels of the layout, in their order.
    pub fn sentinels(&self) -> Vec<&'static str> {
        match self.layout {
            Layout::PrefixSuffixMiddle {
                prefix,
                suffix,
                middle,
            } => vec![prefix, suffix, middle],
            Layout::SuffixPrefix { suffix, prefix } => vec![suffix, prefix],
            Layout::PrefixOnly => Vec::new(),
        }
    }

    /// Whether what was typed stands behind a sentinel of its own.
    pub fn parts_typed(&self) -> bool {
        matches!(self.layout, Layout::PrefixSuffixMiddle { .. })
    }

    /// Lays a prompt out: the lines `above`, what was `typed` below them, the text `after` the cursor. What
    /// was typed stands last wherever the family allows, so that a keystroke adds tokens at the end and
    /// changes none before (the *line anchor*).
    pub fn lay_out(&self, above: String, typed: String, after: String) -> Vec<Segment> {
        self.lay_out_with(None, above, typed, after)
    }

    /// The same with snippets in front, in the family's own repository form or as comments. A block
    /// without snippets is no block: the prompt is that of [`Family::lay_out`].
    pub fn lay_out_with(
        &self,
        block: Option<&Block>,
        mut above: String,
        typed: String,
        after: String,
    ) -> Vec<Segment> {
        use Segment::{Special, Text};
        let mut front = Vec::new();
        if let Some(block) = block.filter(|block| !block.snippets.is_empty()) {
            above = self.repository.front(block, &mut front, above);
        }
        let laid_out = match self.layout {
            Layout::PrefixSuffixMiddle {
                prefix,
                suffix,
                middle,
            } => vec![
                Special(prefix),
                Text(above),
                Special(suffix),
                Text(after),
                Special(middle),
                Text(typed),
            ],
            Layout::SuffixPrefix { suffix, prefix } => {
                vec![
                    Special(suffix),
                    Text(after),
                    Special(prefix),
                    Text(above),
                    Text(typed),
                ]
            }
            Layout::PrefixOnly => vec![Text(above), Text(typed)],
        };
        let mut segments = front;
        segments.extend(laid_out);
        segments.retain(|s| !matches!(s, Text(t) if t.is_empty()));
        segments
    }
}

#[cfg(test)]
mod tests;
