//! Which family a model belongs to, by what the model says about itself first and by its name last.
//!
//! Called by each backend with what it could read: a file's header, a server's description, a
//! vocabulary. Pure. A model's name is given by whoever imported it; its vocabulary is not.

use super::{FAMILIES, Family, PREFIX_ONLY, WITHOUT_FIM};

/// What a model says about itself, as far as its backend could read it.
#[derive(Debug, Clone, Default)]
pub struct Metadata<'a> {
    /// `general.architecture`, such as `qwen2`.
    pub architecture: Option<&'a str>,
    /// Names that stand inside the model: `general.basename`, `general.name`, those of base models.
    pub names: Vec<&'a str>,
    /// A template that lays out a gap, or might.
    pub template: Option<&'a str>,
    /// The families whose sentinels are tokens of the vocabulary; `None` where it could not be read.
    pub vocabulary: Option<Vec<&'static Family>>,
    /// Texts of the tokens that end a generation.
    pub ends: Vec<&'a str>,
}

/// What told the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The model's own template has the family's sentinels.
    Template,
    /// A name or an architecture inside the model.
    Metadata,
    /// The name under which it is installed.
    Name,
    /// Its vocabulary alone: it has the tokens, and nothing tells whether it was taught with them.
    Vocabulary,
}

/// A family, and what told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The family.
    pub family: &'static Family,
    /// How sure it is.
    pub by: Evidence,
}

impl Known {
    /// Whether it fills in the middle at all.
    pub fn fills_in(&self) -> bool {
        self.family.name != PREFIX_ONLY.name
    }
}

/// The family of the model installed as `name`; `None` when nothing tells.
pub fn known(name: &str, metadata: &Metadata<'_>) -> Option<Known> {
    let found = |family, by| Some(Known { family, by });
    let inside: Vec<String> = metadata.names.iter().map(|name| plain(name)).collect();
    let given = plain(name);
    if let Some(vocabulary) = &metadata.vocabulary
        && vocabulary.is_empty()
    {
        return found(&PREFIX_ONLY, Evidence::Vocabulary);
    }
    let is_without = |name: &String| {
        let has_all = |parts: &&[&str]| parts.iter().all(|part| name.contains(part));
        WITHOUT_FIM.iter().any(has_all)
    };
    if inside.iter().any(is_without) {
        return found(&PREFIX_ONLY, Evidence::Metadata);
    }
    if is_without(&given) {
        return found(&PREFIX_ONLY, Evidence::Name);
    }
    let possible: Vec<&'static Family> = match &metadata.vocabulary {
        Some(vocabulary) => vocabulary.clone(),
        None => FAMILIES.iter().collect(),
    };
    let named = |among: &[&'static Family], name: &String| {
        let is_named = |family: &&&Family| family.names.iter().any(|part| name.contains(part));
        among.iter().find(is_named).copied()
    };
    let by_architecture = |among: &[&'static Family]| {
        let architecture = metadata.architecture?;
        let of = |family: &&&Family| family.architectures.contains(&architecture);
        among.iter().find(of).copied()
    };
    let by_end = |among: &[&'static Family]| {
        let ends = |family: &&&Family| metadata.ends.iter().any(|end| family.stops.contains(end));
        among.iter().find(ends).copied()
    };
    let of_template: Vec<&'static Family> = metadata.template.map_or_else(Vec::new, |template| {
        let has = |family: &&&Family| {
            let sentinels = family.sentinels();
            sentinels
                .iter()
                .all(|sentinel| template.contains(sentinel.trim()))
        };
        possible.iter().filter(has).copied().collect()
    });
    let inside_of = |among: &[&'static Family]| inside.iter().find_map(|name| named(among, name));
    if let Some(first) = of_template.first() {
        let family = inside_of(&of_template)
            .or_else(|| named(&of_template, &given))
            .or_else(|| by_architecture(&of_template))
            .unwrap_or(first);
        return found(family, Evidence::Template);
    }
    if let Some(family) = inside_of(&possible) {
        return found(family, Evidence::Metadata);
    }
    if let Some(family) = named(&possible, &given) {
        return found(family, Evidence::Name);
    }
    if metadata.vocabulary.is_some() {
        let family = by_architecture(&possible).or_else(|| by_end(&possible));
        return found(family.or(possible.first().copied())?, Evidence::Vocabulary);
    }
    // An architecture that only one family has.
    let alone = |family: &&Family| {
        family.architectures.len() == 1 && family.architectures[0] == family.name
    };
    let family = by_architecture(&possible).filter(|family| alone(family))?;
    found(family, Evidence::Metadata)
}

/// The families whose sentinels a vocabulary has. `has` says of a text whether it is one token.
pub fn of_vocabulary(has: impl Fn(&str) -> bool) -> Vec<&'static Family> {
    let in_it = |family: &&Family| {
        let sentinels = family.sentinels();
        sentinels.iter().all(|sentinel| {
            let token = sentinel.trim();
            // Llama's vocabulary writes the space in front of a word into the token.
            has(token) || has(&format!("▁{token}"))
        })
    };
    FAMILIES.iter().filter(in_it).collect()
}

/// A name in the form of the table: `Qwen2.5 Coder 1.5B` and `qwen2.5_coder` are one.
fn plain(name: &str) -> String {
    name.to_lowercase().replace([' ', '_'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const QWEN: &[&str] = &["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"];
    const ASCII: &[&str] = &["<fim_prefix>", "<fim_suffix>", "<fim_middle>"];

    /// What is known: vocabulary, names inside, architecture, template.
    type Said<'a> = (
        Option<&'a [&'a str]>,
        &'a [&'a str],
        Option<&'a str>,
        Option<&'a str>,
    );

    /// The installed name, what is known, and the family with what told it.
    type Row<'a> = (&'a str, Said<'a>, Option<(&'a str, Evidence)>);

    #[test]
    fn metadata_goes_before_the_name() {
        use Evidence::{Metadata as Inside, Name, Template, Vocabulary};
        let qwen_template = "{{ if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>{{ end }}";
        let cases: &[Row<'_>] = &[
            // Nothing but the name.
            (
                "qwen2.5-coder:1.5b",
                (None, &[], None, None),
                Some(("qwen-coder", Name)),
            ),
            ("mine:latest", (None, &[], None, None), None),
            // The file says what the name hides.
            (
                "mine:latest",
                (None, &["Qwen2.5 Coder 1.5B Instruct"], Some("qwen2"), None),
                Some(("qwen-coder", Inside)),
            ),
            (
                "mine:latest",
                (None, &[], Some("qwen2"), Some(qwen_template)),
                Some(("qwen-coder", Template)),
            ),
            (
                "mine:latest",
                (None, &[], Some("gemma"), Some(qwen_template)),
                Some(("codegemma", Template)),
            ),
            (
                "mine:latest",
                (None, &[], Some("starcoder2"), None),
                Some(("starcoder2", Inside)),
            ),
            ("mine:latest", (None, &[], Some("qwen2"), None), None),
            // A name that promises what the vocabulary has not.
            (
                "qwen2.5-coder:1.5b",
                (Some(&[]), &[], Some("llama"), None),
                Some(("prefix-only", Vocabulary)),
            ),
            (
                "codellama:7b",
                (Some(QWEN), &[], Some("qwen2"), None),
                Some(("qwen-coder", Vocabulary)),
            ),
            // Names decide among families that share sentinels.
            (
                "granite4:3b",
                (Some(QWEN), &[], Some("granite"), None),
                Some(("granite-4", Name)),
            ),
            (
                "mine",
                (Some(QWEN), &["Granite 4.0 Micro"], Some("granite"), None),
                Some(("granite-4", Inside)),
            ),
            (
                "mine",
                (Some(ASCII), &[], Some("qwen2"), None),
                Some(("codeqwen", Vocabulary)),
            ),
            (
                "mine",
                (Some(ASCII), &[], Some("gpt_bigcode"), None),
                Some(("granite-code", Vocabulary)),
            ),
            // The tokens are there and the model was made for something else.
            (
                "deepseek-r1:7b",
                (
                    Some(QWEN),
                    &["DeepSeek R1 Distill Qwen 7B"],
                    Some("qwen2"),
                    None,
                ),
                Some(("qwen-coder", Vocabulary)),
            ),
            // Trained without, whatever the family.
            (
                "mine",
                (None, &["CodeLlama 34B"], Some("llama"), None),
                Some(("prefix-only", Inside)),
            ),
            (
                "codellama:34b",
                (None, &[], Some("llama"), None),
                Some(("prefix-only", Name)),
            ),
        ];
        for (name, (tokens, names, architecture, template), expect) in cases {
            let metadata = Metadata {
                architecture: *architecture,
                names: names.to_vec(),
                template: *template,
                vocabulary: tokens.map(|tokens| of_vocabulary(|text| tokens.contains(&text))),
                ends: Vec::new(),
            };
            let got = known(name, &metadata).map(|known| (known.family.name, known.by));
            assert_eq!(got, *expect, "{name} {metadata:?}");
        }
    }

    #[test]
    fn the_end_token_decides_where_nothing_else_does() {
        for (end, expect) in [
            ("<|im_end|>", "qwen-coder"),
            ("<eos>", "codegemma"),
            ("<|end_of_text|>", "granite-4"),
        ] {
            let metadata = Metadata {
                vocabulary: Some(of_vocabulary(|text| QWEN.contains(&text))),
                ends: vec![end],
                ..Metadata::default()
            };
            let got = known("mine", &metadata).map(|known| known.family.name);
            assert_eq!(got, Some(expect), "{end}");
        }
    }

    #[test]
    fn every_family_is_found_by_its_own_vocabulary() {
        for family in FAMILIES {
            let sentinels = family.sentinels();
            let found = of_vocabulary(|text| sentinels.iter().any(|s| s.trim() == text));
            assert!(found.contains(&family), "{}", family.name);
        }
        assert!(
            of_vocabulary(|text| text.starts_with('▁'))
                .iter()
                .any(|f| f.name == "codellama")
        );
        assert_eq!(of_vocabulary(|_| false), Vec::<&Family>::new());
    }
}
