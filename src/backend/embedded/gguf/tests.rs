//! Headers made by hand, whole and damaged.

use super::*;

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

#[test]
fn a_vocabulary_fills_gaps_when_it_has_a_whole_family() {
    let cases: &[(&[&str], bool)] = &[
        (&["a", "b"], false),
        (
            &["<|fim_prefix|>", "x", "<|fim_middle|>", "<|fim_suffix|>"],
            true,
        ),
        (&["<|fim_prefix|>", "<fim_middle>", "<|fim_suffix|>"], false),
        (&["▁<PRE>", "▁<SUF>", "▁<MID>"], true),
    ];
    for (tokens, expect) in cases {
        let gguf = read(&file_with(tokens)).expect("a good file");
        let families = gguf.families.expect("a vocabulary");
        assert_eq!(!families.is_empty(), *expect, "{tokens:?}");
    }
}

fn file() -> Vec<u8> {
    file_with(&["a", "b"])
}

/// A file with one pair of each kind used, and one tensor of 64 elements of type `Q8_0` at 32.
fn file_with(tokens: &[&str]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(4_u64.to_le_bytes());
    bytes.extend(text("general.architecture"));
    bytes.extend(8_u32.to_le_bytes());
    bytes.extend(text("toy"));
    bytes.extend(text("toy.block_count"));
    bytes.extend(4_u32.to_le_bytes());
    bytes.extend(7_u32.to_le_bytes());
    bytes.extend(text("tokenizer.ggml.tokens"));
    bytes.extend(9_u32.to_le_bytes());
    bytes.extend(8_u32.to_le_bytes());
    bytes.extend((tokens.len() as u64).to_le_bytes());
    for token in tokens {
        bytes.extend(text(token));
    }
    bytes.extend(text("toy.scale"));
    bytes.extend(6_u32.to_le_bytes());
    bytes.extend(1_f32.to_le_bytes());
    bytes.extend(text("weight"));
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend(32_u64.to_le_bytes());
    bytes.extend(2_u64.to_le_bytes());
    bytes.extend(8_u32.to_le_bytes());
    bytes.extend(32_u64.to_le_bytes());
    let data = bytes.len().next_multiple_of(32);
    bytes.resize(data + 32 + 68, 0);
    bytes
}

fn read(bytes: &[u8]) -> Result<Gguf, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).expect("a file");
    Gguf::read(&path)
}

#[test]
fn a_header_is_read() {
    let gguf = read(&file()).expect("a good file");
    assert_eq!(gguf.architecture(), Some("toy"));
    assert_eq!(gguf.of_architecture("block_count"), Some(7));
    assert_eq!(gguf.array_len("tokenizer.ggml.tokens"), Some(2));
    assert_eq!(gguf.number("toy.scale"), None);
    assert_eq!(gguf.needed_bytes, gguf.size_bytes);
}

#[test]
fn bad_files_say_what_is_wrong() {
    let whole = file();
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        if let Some(old) = bytes.get_mut(at) {
            *old = byte;
        }
        bytes
    };
    let cut = |bytes: usize| whole.get(..bytes).unwrap_or_default().to_vec();
    let cases = [
        (Vec::new(), "is not a GGUF file"),
        (b"PK\x03\x04 a zip".to_vec(), "is not a GGUF file"),
        (with(4, 9), "version 9"),
        (cut(40), "header"),
        (cut(whole.len() - 1), "is cut short: it has 0 MiB"),
        // A length, and a count of pairs, beyond the end of the file.
        (with(30, 0xff), "header"),
        (with(20, 0xff), "header"),
    ];
    for (bytes, expect) in cases {
        let error = read(&bytes).expect_err(expect);
        assert!(error.contains(expect), "{error}");
    }
    let gone = Gguf::read(Path::new("no such file")).expect_err("no file");
    assert!(gone.starts_with("cannot read no such file"), "{gone}");
}

#[test]
fn no_cut_file_is_taken_for_a_whole_one() {
    let whole = file();
    for bytes in 0..whole.len() {
        assert!(
            read(whole.get(..bytes).unwrap_or_default()).is_err(),
            "{bytes}"
        );
    }
}
