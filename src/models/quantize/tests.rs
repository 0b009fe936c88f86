//! A tiny model of random weights, written here, quantised for real and run.

#![expect(
    clippy::cast_possible_truncation,
    reason = "a file format's small numbers, and random bits"
)]

use std::fs;

use super::*;
use crate::backend::Backend as _;
use crate::backend::embedded::{Embedded, EmbeddedModel, EngineOptions};

/// Numbers per row: llama.cpp's K quantisations take blocks of 256.
const WIDTH: usize = 256;
const FEED: usize = 512;
const LAYERS: usize = 2;
/// Three specials and a token for each byte.
const VOCABULARY: usize = 3 + 256;

/// ggml's tensor types (its `ggml.h`).
const F32: u32 = 0;
const F16: u32 = 1;

/// A GGUF file being written, version 3 (ggml's `docs/gguf.md`).
#[derive(Default)]
struct Gguf {
    keys: Vec<u8>,
    key_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    payload: Vec<u8>,
    random: u32,
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

impl Gguf {
    fn key(&mut self, name: &str, kind: u32) {
        text(&mut self.keys, name);
        self.keys.extend(kind.to_le_bytes());
        self.key_count += 1;
    }

    fn number(&mut self, name: &str, value: u32) {
        self.key(name, 4);
        self.keys.extend(value.to_le_bytes());
    }

    fn float(&mut self, name: &str, value: f32) {
        self.key(name, 6);
        self.keys.extend(value.to_le_bytes());
    }

    fn string(&mut self, name: &str, value: &str) {
        self.key(name, 8);
        text(&mut self.keys, value);
    }

    fn list(&mut self, name: &str, kind: u32, items: &[Vec<u8>]) {
        self.key(name, 9);
        self.keys.extend(kind.to_le_bytes());
        self.keys.extend((items.len() as u64).to_le_bytes());
        self.keys.extend(items.concat());
    }

    /// Random weights, small enough that nothing overflows on the way through.
    fn tensor(&mut self, name: &str, kind: u32, shape: &[usize]) {
        text(&mut self.tensors, name);
        self.tensors.extend((shape.len() as u32).to_le_bytes());
        for &length in shape {
            self.tensors.extend((length as u64).to_le_bytes());
        }
        self.tensors.extend(kind.to_le_bytes());
        self.tensors
            .extend((self.payload.len() as u64).to_le_bytes());
        self.tensor_count += 1;
        for _ in 0..shape.iter().product::<usize>() {
            self.random = self
                .random
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            let bits = self.random >> 16;
            if kind == F32 {
                // Norms: near one.
                let value = 1.0 + f32::from(bits as u8) / 4096.0;
                self.payload.extend(value.to_le_bytes());
            } else {
                // A half with sign and mantissa at random and an exponent of 2^-5.
                let half = (bits & 0x83ff) | (10 << 10);
                self.payload.extend((half as u16).to_le_bytes());
            }
        }
        self.payload
            .resize(self.payload.len().next_multiple_of(32), 0);
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend(self.tensor_count.to_le_bytes());
        out.extend(self.key_count.to_le_bytes());
        out.extend(&self.keys);
        out.extend(&self.tensors);
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(&self.payload);
        out
    }
}

/// A llama of two layers, in half precision.
fn tiny(file_type: Option<u32>) -> Vec<u8> {
    let mut gguf = Gguf::default();
    gguf.string("general.architecture", "llama");
    if let Some(file_type) = file_type {
        gguf.number("general.file_type", file_type);
    }
    for (name, value) in [
        ("context_length", 2048),
        ("embedding_length", WIDTH),
        ("block_count", LAYERS),
        ("feed_forward_length", FEED),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 4),
        ("rope.dimension_count", WIDTH / 4),
        ("vocab_size", VOCABULARY),
    ] {
        gguf.number(&format!("llama.{name}"), value as u32);
    }
    gguf.float("llama.attention.layer_norm_rms_epsilon", 1e-5);
    gguf.string("tokenizer.ggml.model", "llama");
    let mut tokens = vec!["<unk>".to_owned(), "<s>".to_owned(), "</s>".to_owned()];
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    let string = |token: &String| {
        let mut out = Vec::new();
        text(&mut out, token);
        out
    };
    let strings: Vec<Vec<u8>> = tokens.iter().map(string).collect();
    gguf.list("tokenizer.ggml.tokens", 8, &strings);
    let scores = vec![0.0_f32.to_le_bytes().to_vec(); VOCABULARY];
    gguf.list("tokenizer.ggml.scores", 6, &scores);
    // Unknown, two controls, bytes.
    let kinds = [2, 3, 3].into_iter().chain(std::iter::repeat_n(6, 256));
    let kinds: Vec<Vec<u8>> = kinds.map(|kind: u32| kind.to_le_bytes().to_vec()).collect();
    gguf.list("tokenizer.ggml.token_type", 5, &kinds);
    for (name, token) in [("unknown", 0), ("bos", 1), ("eos", 2)] {
        gguf.number(&format!("tokenizer.ggml.{name}_token_id"), token);
    }
    gguf.tensor("token_embd.weight", F16, &[WIDTH, VOCABULARY]);
    gguf.tensor("output_norm.weight", F32, &[WIDTH]);
    gguf.tensor("output.weight", F16, &[WIDTH, VOCABULARY]);
    for layer in 0..LAYERS {
        for (name, kind, shape) in [
            ("attn_norm", F32, &[WIDTH][..]),
            ("attn_q", F16, &[WIDTH, WIDTH]),
            ("attn_k", F16, &[WIDTH, WIDTH]),
            ("attn_v", F16, &[WIDTH, WIDTH]),
            ("attn_output", F16, &[WIDTH, WIDTH]),
            ("ffn_norm", F32, &[WIDTH]),
            ("ffn_gate", F16, &[WIDTH, FEED]),
            ("ffn_up", F16, &[WIDTH, FEED]),
            ("ffn_down", F16, &[FEED, WIDTH]),
        ] {
            gguf.tensor(&format!("blk.{layer}.{name}.weight"), kind, shape);
        }
    }
    gguf.bytes()
}

const QUIET: &dyn Progress = &|_: Event<'_>| {};

#[tokio::test]
async fn full_numbers_become_small_ones_that_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("models"));
    let source = dir.path().join("tiny-f16.gguf");
    fs::write(&source, tiny(Some(1))).unwrap();
    let full_bytes = fs::metadata(&source).unwrap().len();
    let mut before = full_bytes;
    for target in [Target::Q80, Target::Q5KM, Target::Q4KM] {
        let name = default_name("tiny-f16", target);
        let named = quantize(&store, &source, target, &name, QUIET)
            .await
            .unwrap();
        assert!(
            named.size_bytes < before,
            "{target:?}: {}",
            named.size_bytes
        );
        before = named.size_bytes;
        crate::models::verify_named(&named, QUIET).await.unwrap();

        let model = EmbeddedModel {
            name: named.name.clone(),
            path: named.path.clone(),
            digest: None,
        };
        let options = EngineOptions {
            threads: Some(1),
            context_tokens: 2048,
            ..EngineOptions::default()
        };
        let engine = Embedded::new("embedded", move || vec![model.clone()], options);
        engine.warm_up(&named.name).await.unwrap();
    }
    assert_eq!(store.named().len(), 3);
    // A quantised one is no source.
    let small = store.named().remove(0).path;
    let again = quantize(&store, &small, Target::Q4KM, "twice", QUIET).await;
    let message = again.unwrap_err().to_string();
    assert!(message.contains("quantised already"), "{message}");
    let left: Vec<_> = fs::read_dir(store.dir())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.contains("part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_cannot_be_quantised_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let roomy = Store::at(dir.path().join("models"));
    let full = Store::at(dir.path().join("models")).with_available(|_| Ok(1000));
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let good = tiny(Some(1));
    let cases = [
        (
            &roomy,
            file("text.gguf", b"hello, world"),
            "not a GGUF file",
        ),
        (&roomy, file("short.gguf", &good[..40]), "header is damaged"),
        (
            &roomy,
            file("q4.gguf", &tiny(Some(15))),
            "quantised already",
        ),
        // The header is whole, the weights are not: llama.cpp's own words.
        (
            &roomy,
            file("cut.gguf", &good[..good.len() / 2]),
            "llama.cpp: ",
        ),
        (&full, file("good.gguf", &good), " free and "),
        (&roomy, dir.path().join("absent.gguf"), "cannot read"),
    ];
    for (store, source, expect) in cases {
        let done = quantize(store, &source, Target::Q4KM, "x", QUIET).await;
        let message = done.unwrap_err().to_string();
        assert!(message.contains(expect), "{}: {message}", source.display());
    }
    let name = quantize(
        &roomy,
        &dir.path().join("good.gguf"),
        Target::Q80,
        "a/b",
        QUIET,
    )
    .await;
    assert!(matches!(name, Err(ModelsError::Name { .. })));
    assert!(roomy.named().is_empty());
    let left = fs::read_dir(roomy.dir()).unwrap().count();
    assert_eq!(left, 0);
}
