//! A weights file: what it says about itself, whether it can be loaded, loading it.
//!
//! Called by the engine's thread to load, and by a probe to look at the header. Invariant: llama.cpp
//! prints nothing; its log lines go to `tracing` from before its first call on.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use llama_cpp_2::gguf::GgufContext;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

/// The first four bytes of a GGUF file (ggml's `docs/gguf.md`).
const MAGIC: &[u8; 4] = b"GGUF";

/// `gguf_metadata_value_type` of an unsigned 32-bit number (ggml's `docs/gguf.md`).
const TYPE_U32: u32 = 4;

/// `gguf_metadata_value_type` of a string (ggml's `docs/gguf.md`).
const TYPE_STRING: u32 = 8;

/// Bytes of one cached number; the cache is kept in 16-bit floats.
const CACHE_NUMBER_BYTES: u64 = 2;

/// What a file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) size_bytes: u64,
    pub(super) architecture: Option<String>,
    pub(super) quantization: Option<String>,
    pub(super) fim: Option<bool>,
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

/// Reads the header and the vocabulary, not the weights: some 100 ms, so the caller remembers it.
///
/// # Errors
/// A sentence about what is wrong with the file.
pub(super) fn inspect(path: &Path) -> Result<Header, String> {
    let backend = backend()?;
    let size_bytes = check_magic(path)?;
    let metadata = Metadata::read(path)?;
    // Few files carry the sentinels' ids; llama.cpp finds them in the vocabulary by their names.
    let params = LlamaModelParams::default().with_vocab_only(true);
    let fim = LlamaModel::load_from_file(backend, path, &params)
        .ok()
        .map(|model| {
            let vocab = model.vocab();
            [vocab.fim_pre(), vocab.fim_suf(), vocab.fim_mid()]
                .iter()
                .all(|token| token.0 >= 0)
        });
    Ok(Header {
        size_bytes,
        architecture: metadata.string("general.architecture"),
        quantization: metadata.number("general.file_type").and_then(quantization),
        fim,
    })
}

/// Loads the weights. `go_on` is asked while it lasts; `false` ends it with an error.
///
/// # Errors
/// Why not, ending in what to do.
pub(super) fn load(
    name: &str,
    path: &Path,
    context_tokens: u32,
    go_on: impl Fn() -> bool + 'static,
) -> Result<LlamaModel, String> {
    let backend = backend()?;
    let size_bytes = check_magic(path)?;
    let metadata = Metadata::read(path)
        .map_err(|error| format!("{error}; fetch it again with `ghostline models pull {name}`"))?;
    if !backend.supports_gpu_offload() {
        let needed_bytes = size_bytes + metadata.cache_bytes(context_tokens).unwrap_or(0);
        check_memory(needed_bytes, available_memory_bytes())?;
    }
    let params = LlamaModelParams::default().with_progress_callback(move |_| go_on());
    LlamaModel::load_from_file(backend, path, &params)
        .map_err(|_| why_refused(name, path, size_bytes, &metadata))
}

/// llama.cpp gives its reason to the log only, and the same null for every one.
fn why_refused(name: &str, path: &Path, size_bytes: u64, metadata: &Metadata) -> String {
    format!(
        "llama.cpp refuses {} ({} MiB, architecture {}): it is cut short or damaged, or this build does \
         not know its architecture, see the log; fetch it again with `ghostline models pull {name}`, or \
         choose another model",
        path.display(),
        size_bytes >> 20,
        metadata
            .string("general.architecture")
            .as_deref()
            .unwrap_or("not named")
    )
}

/// The file's size, if it begins like a GGUF file.
fn check_magic(path: &Path) -> Result<u64, String> {
    let cannot_read = |error| format!("cannot read {}: {error}; check the path", path.display());
    let mut file = File::open(path).map_err(cannot_read)?;
    let size_bytes = file.metadata().map_err(cannot_read)?.len();
    let mut magic = Vec::new();
    file.by_ref()
        .take(MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .map_err(cannot_read)?;
    if magic == MAGIC {
        return Ok(size_bytes);
    }
    Err(format!(
        "{} is not a GGUF file; name a GGUF file, or run `ghostline models verify`",
        path.display()
    ))
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

/// The header's key-value pairs.
struct Metadata(GgufContext);

impl Metadata {
    fn read(path: &Path) -> Result<Self, String> {
        GgufContext::from_file(path)
            .map(Self)
            .ok_or_else(|| format!("the header of {} is cut short or damaged", path.display()))
    }

    fn string(&self, key: &str) -> Option<String> {
        self.0
            .val_str(self.find(key, TYPE_STRING)?)
            .map(str::to_owned)
    }

    fn number(&self, key: &str) -> Option<u32> {
        Some(self.0.val_u32(self.find(key, TYPE_U32)?))
    }

    /// The type is checked because llama.cpp aborts the process when asked for another one.
    fn find(&self, key: &str, value_type: u32) -> Option<i64> {
        let index = self.0.find_key(key);
        (index >= 0 && self.0.kv_type(index) == value_type).then_some(index)
    }

    /// Bytes of the keys and values of `context_tokens` tokens; `None` for an unusual architecture.
    fn cache_bytes(&self, context_tokens: u32) -> Option<u64> {
        let architecture = self.string("general.architecture")?;
        let number = |key: &str| self.number(&format!("{architecture}.{key}")).map(u64::from);
        let heads = number("attention.head_count")?;
        let head_size = number("attention.key_length")
            .or_else(|| number("embedding_length")?.checked_div(heads))?;
        let cache_heads = number("attention.head_count_kv").unwrap_or(heads);
        let numbers_per_token = 2 * number("block_count")? * cache_heads * head_size;
        Some(numbers_per_token * CACHE_NUMBER_BYTES * u64::from(context_tokens))
    }
}

/// The name of a `general.file_type`, for the types people use (`llama_ftype` in llama.cpp's `llama.h`,
/// November 2026).
fn quantization(file_type: u32) -> Option<String> {
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
