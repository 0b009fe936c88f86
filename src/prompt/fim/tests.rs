//! The table, row by row.

use super::*;

fn laid_out(family: &Family) -> String {
    family
        .lay_out("A\n".into(), "t".into(), "S".into())
        .iter()
        .map(|s| match s {
            Segment::Special(s) => *s,
            Segment::Text(t) => t,
        })
        .collect()
}

#[test]
fn every_family_is_found_by_name_and_laid_out_as_documented() {
    for (model, name, prompt) in [
        (
            "qwen2.5-coder:1.5b-base-q4_K_M",
            "qwen-coder",
            "<|fim_prefix|>A\n<|fim_suffix|>S<|fim_middle|>t",
        ),
        (
            "qwen3-coder:30b",
            "qwen-coder",
            "<|fim_prefix|>A\n<|fim_suffix|>S<|fim_middle|>t",
        ),
        ("codellama:7b-code", "codellama", "<PRE> A\n <SUF>S <MID>t"),
        ("codellama:13b-python", "prefix-only", "A\nt"),
        ("CodeLlama-34b-hf", "prefix-only", "A\nt"),
        (
            "deepseek-coder:6.7b-base",
            "deepseek-coder",
            "<｜fim▁begin｜>A\n<｜fim▁hole｜>S<｜fim▁end｜>t",
        ),
        (
            "deepseek-coder-v2:16b",
            "deepseek-coder",
            "<｜fim▁begin｜>A\n<｜fim▁hole｜>S<｜fim▁end｜>t",
        ),
        (
            "starcoder2:3b",
            "starcoder2",
            "<fim_prefix>A\n<fim_suffix>S<fim_middle>t",
        ),
        (
            "codegemma:2b",
            "codegemma",
            "<|fim_prefix|>A\n<|fim_suffix|>S<|fim_middle|>t",
        ),
        (
            "codeqwen:7b-code",
            "codeqwen",
            "<fim_prefix>A\n<fim_suffix>S<fim_middle>t",
        ),
        ("codestral:22b", "codestral", "[SUFFIX]S[PREFIX]A\nt"),
        ("mamba-codestral-7b-v0.1", "prefix-only", "A\nt"),
        (
            "granite4:3b",
            "granite-4",
            "<|fim_prefix|>A\n<|fim_suffix|>S<|fim_middle|>t",
        ),
        (
            "granite-3b-code-base-2k",
            "granite-code",
            "<fim_prefix>A\n<fim_suffix>S<fim_middle>t",
        ),
        (
            "granite-code:3b",
            "granite-code",
            "<fim_prefix>A\n<fim_suffix>S<fim_middle>t",
        ),
    ] {
        let family = family_of(model, None).unwrap();
        assert_eq!(family.name, name, "{model}");
        assert_eq!(laid_out(family), prompt, "{model}");
    }
}

#[test]
fn every_sentinel_is_also_a_stop() {
    for family in FAMILIES {
        let files = match family.repository {
            Repository::Files { name, file, .. } => vec![Some(file), name],
            Repository::Comments => vec![],
        };
        let sentinels = family.sentinels().into_iter();
        for sentinel in sentinels.chain(files.into_iter().flatten()) {
            assert!(
                family.stops.contains(&sentinel.trim()),
                "{} {sentinel}",
                family.name
            );
        }
    }
}

#[test]
fn metadata_beats_the_name_and_an_unknown_name_is_unknown() {
    assert_eq!(
        family_of("qwen2.5-coder:7b", Some(false)).unwrap().name,
        "prefix-only"
    );
    assert_eq!(family_of("llama3.2:1b", None), None);
    assert_eq!(laid_out(&PREFIX_ONLY), "A\nt");
}
