//! A weights file: what it says about itself, whether it can be loaded, loading it.
//!
//! Called by the engine's threads to load, and by a probe to look at the header. Invariant: llama.cpp
//! prints nothing; its log lines go to `tracing` from before its first call on.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

use super::gguf::Gguf;
use super::gpu::{self, Sizes};
use super::speed::BATCH_TOKENS;
use super::worker::typing_tokens;
use crate::backend::PromptBudget;
use crate::prompt::fim::Family;

/// Bytes of one cached number; the cache is kept in 16-bit floats.
const CACHE_NUMBER_BYTES: u64 = 2;

/// Where a file may say what it is, the surest first. Source: ggml's `docs/gguf.md`, read 2026-11.
const NAMES: &[&str] = &[
    "general.basename",
    "general.name",
    "general.base_model.0.name",
];

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) size_bytes: u64,
    pub(super) architecture: Option<String>,
    pub(super) quantization: Option<String>,
    /// Names that the file has inside, the surest first.
    pub(super) names: Vec<String>,
    /// Families whose sentinels are in the vocabulary.
    pub(super) families: Option<Vec<&'static Family>>,
    /// The token that ends a generation.
    pub(super) end: Option<String>,
    /// Whether it comes with a chat template.
    pub(super) chat: bool,
    /// Whether it was made to embed texts.
    pub(super) embedding: bool,
}

/// How a file would be loaded.
pub(super) struct Plan {
    path: PathBuf,
    gguf: Gguf,
    /// Layers on a graphics device.
    on_device: u32,
    /// What a person should know about where it runs.
    pub(super) remark: Option<String>,
    /// Memory of this machine that it takes: weights, cache, and what one batch is computed in.
    pub(super) needed_bytes: u64,
}

/// What the models in memory take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    /// Their files, which are mapped: the system calls these pages free, and they are not.
    pub(super) files_bytes: u64,
    /// All.
    pub(super) bytes: u64,
}

impl Plan {
    /// Whether there is memory for it beside the others, of which all models may take `limit_bytes`.
    ///
    /// # Errors
    /// How much is missing and what to do.
    pub(super) fn check(&self, used: &Used, limit_bytes: Option<u64>) -> Result<(), String> {
        let free = available_memory_bytes().map(|free| free.saturating_sub(used.files_bytes));
        let allowed = limit_bytes.map(|limit| limit.saturating_sub(used.bytes));
        let available_bytes = match (free, allowed) {
            (Some(free), Some(allowed)) => Some(free.min(allowed)),
            (free, allowed) => free.or(allowed),
        };
        check_memory(self.needed_bytes, available_bytes)
    }
}

/// The process-wide state of llama.cpp, which may be set up once. Never dropped.
///
/// # Errors
/// When something else in this process has set it up.
pub(super) fn backend() -> Result<&'static LlamaBackend, String> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    BACKEND
        .get_or_init(|| {
            send_logs_to_tracing(LogOptions::default());
            LlamaBackend::init().map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(Clone::clone)
}

/// Reads the header and the vocabulary, not the weights: some 10 ms, so the caller remembers it.
///
/// # Errors
/// A sentence about what is wrong with the file.
pub(super) fn inspect(path: &Path) -> Result<Header, String> {
    let gguf = Gguf::read(path)?;
    refuse_encoder(path, &gguf)?;
    Ok(Header {
        size_bytes: gguf.size_bytes,
        architecture: gguf.architecture().map(str::to_owned),
        quantization: gguf.number("general.file_type").and_then(quantization),
        names: NAMES
            .iter()
            .filter_map(|key| gguf.text(key).map(str::to_owned))
            .collect(),
        families: gguf.families.clone(),
        end: gguf.end.clone(),
        chat: gguf.text("tokenizer.chat_template").is_some(),
        embedding: gguf
            .of_architecture("pooling_type")
            .is_some_and(|pooling| pooling > 0),
    })
}

/// Looks how the file would be loaded. Reads its header: some 10 ms.
///
/// # Errors
/// Why it cannot be, ending in what to do.
pub(super) fn plan(path: &Path, context_tokens: u32) -> Result<Plan, String> {
    let gguf = Gguf::read(path)?;
    refuse_encoder(path, &gguf)?;
    let mut plan = Plan {
        path: path.to_owned(),
        on_device: 0,
        remark: gpu::remark_without_device(),
        needed_bytes: needed_bytes(&gguf, context_tokens),
        gguf,
    };
    if backend()?.supports_gpu_offload() {
        let sizes = sizes(&plan.gguf, context_tokens);
        let free_bytes = gpu::free_device_bytes().unwrap_or(0);
        plan.on_device = gpu::layers_that_fit(free_bytes, &sizes);
        plan.remark = gpu::remark(plan.on_device, &sizes, free_bytes);
        plan.needed_bytes = gpu::left_to_host(plan.needed_bytes, plan.on_device, &sizes);
    }
    Ok(plan)
}

/// Loads the weights. `progress` is told the share that is loaded while it lasts; `false` ends it with
/// an error.
///
/// # Errors
/// Why not, ending in what to do.
pub(super) fn load(
    name: &str,
    plan: &Plan,
    progress: impl Fn(f32) -> bool + 'static,
) -> Result<LlamaModel, String> {
    let params = LlamaModelParams::default()
        .with_progress_callback(progress)
        .with_n_gpu_layers(plan.on_device);
    LlamaModel::load_from_file(backend()?, &plan.path, &params)
        .map_err(|_| why_refused(name, &plan.path, &plan.gguf))
}

/// What a model's parts take on a graphics device. Layers are taken as equal, and what stands before
/// and behind them as one more.
fn sizes(gguf: &Gguf, context_tokens: u32) -> Sizes {
    let layers = gguf.of_architecture("block_count").unwrap_or(0);
    let layer_bytes = gguf.size_bytes / (layers + 1);
    let cache_bytes = cache_bytes(gguf, u64::from(context_tokens)).unwrap_or(0);
    Sizes {
        layers: u32::try_from(layers).unwrap_or(u32::MAX - 1),
        layer_bytes,
        cache_bytes: cache_bytes.checked_div(layers).unwrap_or(0),
        output_bytes: layer_bytes,
        compute_bytes: compute_bytes(gguf),
    }
}

/// llama.cpp gives its reason to the log only, and the same null for every one.
fn why_refused(name: &str, path: &Path, gguf: &Gguf) -> String {
    format!(
        "llama.cpp refuses {} ({} MiB, architecture {}): this build does not know its architecture, or \
         the file is damaged, see the log; fetch it again with `ghostline models pull {name}`, or choose \
         another model",
        path.display(),
        gguf.size_bytes >> 20,
        gguf.architecture().unwrap_or("not named")
    )
}

/// Models that read a text as a whole and generate nothing cannot be run step by step.
fn refuse_encoder(path: &Path, gguf: &Gguf) -> Result<(), String> {
    match gguf.architecture() {
        Some(architecture) if architecture.contains("bert") || architecture == "t5encoder" => {
            Err(format!(
                "{} ({architecture}) only embeds texts, which this engine does with models that \
                 generate; run it in Ollama",
                path.display()
            ))
        }
        _ => Ok(()),
    }
}

/// Memory that a model needs: weights, keys and values, and what one batch is computed in.
fn needed_bytes(gguf: &Gguf, context_tokens: u32) -> u64 {
    let trained_tokens = gguf
        .of_architecture("context_length")
        .and_then(|tokens| u32::try_from(tokens).ok());
    let whole = context_tokens.min(trained_tokens.unwrap_or(u32::MAX));
    // On a processor completions have a context of their own beside the whole one.
    let typing = typing_tokens(PromptBudget::SMALLEST, whole);
    let contexts = 1 + u64::from(typing.is_some());
    let cells = u64::from(whole) + typing.map_or(0, u64::from);
    let cache_bytes = cache_bytes(gguf, cells).unwrap_or(0);
    gguf.size_bytes + cache_bytes + contexts * compute_bytes(gguf)
}

/// Bytes of the keys and values of `context_tokens` tokens; `None` for an unusual architecture.
fn cache_bytes(gguf: &Gguf, context_tokens: u64) -> Option<u64> {
    let heads = gguf.of_architecture("attention.head_count")?;
    let head_size = gguf
        .of_architecture("attention.key_length")
        .or_else(|| gguf.of_architecture("embedding_length")?.checked_div(heads))?;
    let cache_heads = gguf
        .of_architecture("attention.head_count_kv")
        .unwrap_or(heads);
    let numbers_per_token = [
        2,
        gguf.of_architecture("block_count")?,
        cache_heads,
        head_size,
    ];
    let per_token = numbers_per_token
        .into_iter()
        .fold(CACHE_NUMBER_BYTES, u64::saturating_mul);
    Some(per_token.saturating_mul(context_tokens))
}

/// Bytes of a batch's logits and activations, in 32-bit floats: what llama.cpp reserves for the widest
/// layers, which it shares among all of them. 0.30 GiB for Qwen2.5-Coder, measured by its log.
fn compute_bytes(gguf: &Gguf) -> u64 {
    let vocabulary = gguf.array_len("tokenizer.ggml.tokens").unwrap_or(0);
    let width = gguf.of_architecture("embedding_length").unwrap_or(0);
    vocabulary
        .saturating_add(width.saturating_mul(4))
        .saturating_mul(4 * BATCH_TOKENS as u64)
}

fn check_memory(needed_bytes: u64, available_bytes: Option<u64>) -> Result<(), String> {
    match available_bytes {
        Some(available_bytes) if available_bytes < needed_bytes => Err(format!(
            "it needs {} MiB of memory and {} MiB are free; close something, or choose a smaller model",
            needed_bytes >> 20,
            available_bytes >> 20
        )),
        _ => Ok(()),
    }
}

/// Memory that can be had without swapping, page cache included; `None` where the system does not say.
fn available_memory_bytes() -> Option<u64> {
    let free = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| mem_available(&text))?;
    // A container's limit, which /proc/meminfo does not know. `max` where there is none.
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(free, |limit: u64| limit.min(free)))
}

/// The line `MemAvailable:  12345 kB` of /proc/meminfo, in bytes.
fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The name of a `general.file_type`, for the types people use (`llama_ftype` in llama.cpp's `llama.h`,
/// November 2026).
fn quantization(file_type: u64) -> Option<String> {
    let name = match file_type {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        32 => "BF16",
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{check_memory, mem_available};

    #[test]
    fn available_memory_is_read() {
        let cases = [
            (
                "MemTotal: 9 kB\nMemAvailable:   24301 kB\n",
                Some(24_301 * 1024),
            ),
            ("MemTotal: 9 kB\n", None),
            ("MemAvailable: many kB\n", None),
        ];
        for (meminfo, expect) in cases {
            assert_eq!(mem_available(meminfo), expect, "{meminfo:?}");
        }
    }

    #[test]
    fn too_little_memory_is_an_error_that_says_how_much() {
        assert_eq!(check_memory(5 << 20, Some(5 << 20)), Ok(()));
        assert_eq!(check_memory(5 << 20, None), Ok(()));
        let error = check_memory(5 << 20, Some(4 << 20)).expect_err("4 MiB are too few");
        assert!(
            error.starts_with("it needs 5 MiB of memory and 4 MiB are free;"),
            "{error}"
        );
    }
}
