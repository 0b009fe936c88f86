//! Model names: what the settings say against what Ollama lists.
//!
//! Called by the router's candidate choice and by the backend itself. Pure.

use crate::backend::Installed;

/// What Ollama puts in for a missing tag.
const DEFAULT_TAG: &str = "latest";

/// Prefixes that Ollama leaves out when it lists a model. Source: its `types/model/name.go`.
const DEFAULT_PREFIXES: &[&str] = &[
    "registry.ollama.ai/library/",
    "registry.ollama.ai/",
    "library/",
];

/// The name as Ollama lists it: without the default registry, with a tag.
pub fn normalise(name: &str) -> String {
    let name = name.trim();
    let name = DEFAULT_PREFIXES
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    match split_tag(name) {
        (base, Some(tag)) => format!("{base}:{tag}"),
        (base, None) => format!("{base}:{DEFAULT_TAG}"),
    }
}

/// The installed model that `candidate` means, if any. From the surest to the least sure:
///
/// 1. the same name, `:latest` put in where a tag is missing, upper and lower case alike;
/// 2. a tag that ends in a quantization, such as `1.5b-base-q4_K_M`, for the model `1.5b-base` of just
///    that quantization: Ollama lists one model under both names;
/// 3. a name without a tag for the first installed tag of that name. Ollama lists the newest first.
pub fn find<'a>(candidate: &str, installed: &'a [Installed]) -> Option<&'a Installed> {
    let wanted = normalise(candidate);
    let same = |name: &str| normalise(name).eq_ignore_ascii_case(&wanted);
    if let Some(exact) = installed.iter().find(|model| same(&model.name)) {
        return Some(exact);
    }
    let tagged = split_tag(candidate.trim()).1.is_some();
    installed.iter().find(|model| {
        let listed = normalise(&model.name);
        if tagged {
            let quantization = model.quantization.as_deref().unwrap_or_default();
            !quantization.is_empty()
                && format!("{listed}-{quantization}").eq_ignore_ascii_case(&wanted)
        } else {
            split_tag(&listed)
                .0
                .eq_ignore_ascii_case(split_tag(&wanted).0)
        }
    })
}

/// Splits at the colon before the tag, which is not the colon of a registry's port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((base, tag)) if !tag.is_empty() && !tag.contains('/') => (base, Some(tag)),
        Some((base, "")) => (base, None),
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalise_table() {
        let cases = [
            ("nomic-embed-text", "nomic-embed-text:latest"),
            ("qwen2.5-coder:1.5b", "qwen2.5-coder:1.5b"),
            (" qwen2.5-coder:1.5b ", "qwen2.5-coder:1.5b"),
            ("qwen2.5-coder:", "qwen2.5-coder:latest"),
            ("library/qwen2.5-coder", "qwen2.5-coder:latest"),
            ("registry.ollama.ai/library/a:b", "a:b"),
            ("registry.ollama.ai/me/a:b", "me/a:b"),
            (
                "hf.co/Qwen/Coder-GGUF:Q4_K_M",
                "hf.co/Qwen/Coder-GGUF:Q4_K_M",
            ),
            ("localhost:5000/me/a", "localhost:5000/me/a:latest"),
            ("localhost:5000/me/a:b", "localhost:5000/me/a:b"),
        ];
        for (input, expect) in cases {
            assert_eq!(normalise(input), expect, "{input}");
            assert_eq!(normalise(expect), expect, "twice: {input}");
        }
    }

    #[test]
    fn find_table() {
        let installed: Vec<Installed> = [
            ("qwen2.5-coder:7b-base", "Q4_K_M"),
            ("qwen2.5-coder:1.5b", "Q4_K_M"),
            ("qwen2.5-coder:1.5b-base", "Q4_K_M"),
            ("nomic-embed-text:latest", "F16"),
            ("deepseek-r1:7b", ""),
            ("hf.co/Qwen/Coder-GGUF:Q8_0", "Q8_0"),
        ]
        .map(|(name, quantization)| Installed {
            name: name.to_owned(),
            quantization: Some(quantization.to_owned()),
            ..Installed::default()
        })
        .into();
        let cases = [
            ("qwen2.5-coder:1.5b", Some("qwen2.5-coder:1.5b")),
            ("Qwen2.5-Coder:1.5B", Some("qwen2.5-coder:1.5b")),
            (
                "qwen2.5-coder:1.5b-base-q4_K_M",
                Some("qwen2.5-coder:1.5b-base"),
            ),
            ("qwen2.5-coder:1.5b-base-q8_0", None),
            ("qwen2.5-coder:3b", None),
            ("qwen2.5-coder:1.5b-ba", None),
            ("qwen2.5-coder", Some("qwen2.5-coder:7b-base")),
            ("qwen2.5-coder:latest", None),
            ("nomic-embed-text", Some("nomic-embed-text:latest")),
            (
                "library/nomic-embed-text:latest",
                Some("nomic-embed-text:latest"),
            ),
            ("deepseek-r1:7b-", None),
            ("deepseek-r1", Some("deepseek-r1:7b")),
            ("hf.co/Qwen/Coder-GGUF", Some("hf.co/Qwen/Coder-GGUF:Q8_0")),
            ("qwen", None),
            ("", None),
        ];
        for (candidate, expect) in cases {
            let found = find(candidate, &installed).map(|model| model.name.as_str());
            assert_eq!(found, expect, "{candidate}");
        }
        assert_eq!(find("qwen2.5-coder", &[]), None);
    }
}
