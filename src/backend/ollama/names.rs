//! Model names as Ollama lists them. Pure.

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
}
