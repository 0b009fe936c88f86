//! llama.cpp's quantiser behind a safe function. The wrapper crate has none.
//!
//! llama.cpp tells what it does in its log alone, which is one for the process: while [`run`] works,
//! the log is read here for progress and for what went wrong, and given back afterwards. One run at a
//! time.

#![expect(
    unsafe_code,
    reason = "`llama_model_quantize` has no safe wrapper in llama-cpp-2; each block says why it is sound"
)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use llama_cpp_2::gguf::GgufContext;
use llama_cpp_sys_2 as sys;

use super::Target;

/// `general.file_type` of full numbers: `LLAMA_FTYPE_ALL_F32`, `MOSTLY_F16`, `MOSTLY_BF16`
/// (llama.cpp's `include/llama.h`, enum `llama_ftype`).
const FULL: [u32; 3] = [0, 1, 32];

/// `gguf_type` of an unsigned 32-bit number (ggml's `docs/gguf.md`).
const TYPE_U32: sys::gguf_type = 4;

/// Longest failure passed on, in bytes of llama.cpp's log.
const MOST_SAID_BYTES: usize = 300;

static DONE: AtomicU32 = AtomicU32::new(0);
static TOTAL: AtomicU32 = AtomicU32::new(0);
/// What the log said of failures. A std mutex: held for a push.
static FAILURES: Mutex<String> = Mutex::new(String::new());
/// Held by the run under way: the log and the counters are the process's.
static RUN: Mutex<()> = Mutex::new(());

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tensors done and in all, of the run under way.
pub(super) fn progress() -> (u32, u32) {
    (DONE.load(Ordering::Relaxed), TOTAL.load(Ordering::Relaxed))
}

/// Whether the file can be quantised at all.
///
/// # Errors
/// A sentence about what is wrong with it.
pub(super) fn check_source(path: &Path) -> Result<(), String> {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
    if read.is_err() || &magic != b"GGUF" {
        return Err("it is not a GGUF file".to_owned());
    }
    let header = GgufContext::from_file(path)
        .ok_or_else(|| "its GGUF header is damaged; fetch it again".to_owned())?;
    let at = header.find_key("general.file_type");
    // Without the key llama.cpp looks at each tensor and refuses by itself.
    if at >= 0 && header.kv_type(at) == TYPE_U32 && !FULL.contains(&header.val_u32(at)) {
        return Err(
            "it is quantised already, and quantising twice loses more than it saves; take the F16, \
             BF16 or F32 file of the model"
                .to_owned(),
        );
    }
    Ok(())
}

/// Quantises `from` into `to`. Blocks for as long as it takes, seconds per billion weights.
///
/// # Errors
/// What llama.cpp said.
pub(super) fn run(from: &Path, to: &Path, target: Target) -> Result<(), String> {
    let text = |path: &Path| {
        let text = path.to_str().and_then(|text| CString::new(text).ok());
        text.ok_or_else(|| format!("llama.cpp cannot open the name {}", path.display()))
    };
    let (from, to) = (text(from)?, text(to)?);
    let _run = held(&RUN);
    DONE.store(0, Ordering::Relaxed);
    TOTAL.store(0, Ordering::Relaxed);
    held(&FAILURES).clear();
    let _log = Log::taken();
    // SAFETY: takes nothing and returns a plain struct.
    let mut params = unsafe { sys::llama_model_quantize_default_params() };
    params.ftype = match target {
        Target::Q4KM => sys::LLAMA_FTYPE_MOSTLY_Q4_K_M,
        Target::Q5KM => sys::LLAMA_FTYPE_MOSTLY_Q5_K_M,
        Target::Q80 => sys::LLAMA_FTYPE_MOSTLY_Q8_0,
    };
    params.nthread = i32::try_from(num_cpus::get_physical()).unwrap_or(1);
    // SAFETY: both names are NUL-terminated and outlive the call, as do the parameters, whose
    // pointers are all null as the defaults made them. The function catches its own exceptions and
    // keeps nothing.
    let status =
        unsafe { sys::llama_model_quantize(from.as_ptr(), to.as_ptr(), &raw const params) };
    if status == 0 {
        return Ok(());
    }
    let said = std::mem::take(&mut *held(&FAILURES));
    Err(if said.is_empty() {
        "llama.cpp failed and did not say why".to_owned()
    } else {
        format!("llama.cpp: {}", said.trim())
    })
}

/// The process's log while a run works.
struct Log {
    callback: sys::ggml_log_callback,
    user: *mut c_void,
}

impl Log {
    fn taken() -> Self {
        let mut before = Self {
            callback: None,
            user: std::ptr::null_mut(),
        };
        // SAFETY: both pointers are to fields of a live value; `hear` takes no user data. Setting the
        // log races with other callers of llama.cpp, who would at worst log to the wrong place: both
        // callbacks are functions that live as long as the process.
        unsafe {
            sys::llama_log_get(&raw mut before.callback, &raw mut before.user);
            sys::llama_log_set(Some(hear), std::ptr::null_mut());
        }
        before
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // SAFETY: gives back what was there before.
        unsafe { sys::llama_log_set(self.callback, self.user) }
    }
}

/// Hears a line of llama.cpp's log, or a part of one. Does not panic: a panic would end the process.
unsafe extern "C" fn hear(level: sys::ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp gives a NUL-terminated text that lives for this call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    if let Some((done, total)) = counted(&text) {
        DONE.store(done, Ordering::Relaxed);
        TOTAL.store(total, Ordering::Relaxed);
    } else if level == sys::GGML_LOG_LEVEL_ERROR {
        let mut failures = held(&FAILURES);
        if failures.len() < MOST_SAID_BYTES {
            failures.push_str(&text);
        }
    }
}

/// The counts of a line such as `[  12/ 290] blk.0.attn_k.weight - …` (llama.cpp's `llama-quant.cpp`).
fn counted(line: &str) -> Option<(u32, u32)> {
    let (counts, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    let (done, total) = counts.split_once('/')?;
    Some((done.trim().parse().ok()?, total.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_the_log() {
        for (line, expect) in [
            (
                "[   1/ 339]                    output.weight - [",
                Some((1, 339)),
            ),
            ("[ 339/ 339] x", Some((339, 339))),
            ("llama_model_loader: - type  f32:  141 tensors", None),
            ("[x/y] z", None),
            ("", None),
        ] {
            assert_eq!(counted(line), expect, "{line:?}");
        }
    }
}
