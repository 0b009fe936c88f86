//! Quantising in this process: a GGUF file of full numbers into a smaller one, by llama.cpp.
//!
//! Called by `ghostline models quantize` for what an Ollama cannot make. The result is a model of the
//! store under a name of the person's own. Invariant: nothing appears under that name before the file
//! is whole, synced and hashed; what an interrupted run leaves is removed.

use std::path::Path;
use std::str::FromStr;

use super::named::Named;
#[cfg(feature = "embedded")]
use super::{Event, store::failed};
use super::{ModelsError, Progress, Store, check_name};

#[cfg(feature = "embedded")]
mod llama;
#[cfg(all(test, feature = "embedded"))]
mod tests;

/// How often progress is looked at. Quick enough for a bar, and nothing for the work.
#[cfg(feature = "embedded")]
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);

/// What to quantise to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// About 4.8 bits a weight: the product's own models.
    Q4KM,
    /// About 5.7 bits a weight. No Ollama makes it.
    Q5KM,
    /// 8.5 bits a weight.
    Q80,
}

impl Target {
    /// As llama.cpp and Ollama write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q4KM => "q4_K_M",
            Self::Q5KM => "q5_K_M",
            Self::Q80 => "q8_0",
        }
    }

    /// Whether Ollama's `/api/create` makes it (its `fs/ggml/type.go`: `Q4_K_M`, `Q4_K_S`, `Q8_0`).
    pub const fn is_ollamas(self) -> bool {
        !matches!(self, Self::Q5KM)
    }

    /// Most of the source's bytes that the result takes, in hundredths, where the source has 16 bits
    /// a weight: the bits above, and a margin for tensors whose shape does not allow them.
    #[cfg(feature = "embedded")]
    const fn most_hundredths(self) -> u64 {
        match self {
            Self::Q4KM => 45,
            Self::Q5KM => 50,
            Self::Q80 => 60,
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Q4KM, Self::Q5KM, Self::Q80]
            .into_iter()
            .find(|target| target.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| "the choices are q4_K_M, q5_K_M and q8_0".to_owned())
    }
}

/// Quantises the file at `source` and gives the result `name` in the store.
///
/// # Errors
/// [`ModelsError::Quantize`] for a source that is no GGUF, is quantised already, or that llama.cpp
/// cannot read; [`ModelsError::NoSpace`] before anything is written.
#[cfg(feature = "embedded")]
pub async fn quantize(
    store: &Store,
    source: &Path,
    target: Target,
    name: &str,
    progress: &dyn Progress,
) -> Result<Named, ModelsError> {
    check_name(name)?;
    let why = |message: String| ModelsError::Quantize {
        path: source.to_owned(),
        message,
    };
    let size_bytes = std::fs::metadata(source)
        .map_err(|error| failed("read", source, error))?
        .len();
    llama::check_source(source).map_err(why)?;
    store.create()?;
    store.check_space(size_bytes / 100 * target.most_hundredths())?;
    // Removed when dropped, whether this fails or is interrupted.
    let made = tempfile::Builder::new()
        .prefix("quantize-")
        .suffix(".part")
        .tempfile_in(store.dir())
        .map_err(|error| failed("write", store.dir(), error))?
        .into_temp_path();
    let (from, to) = (source.to_owned(), made.to_path_buf());
    let mut work = tokio::task::spawn_blocking(move || llama::run(&from, &to, target));
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(LOOK) => {
                let (done, total) = llama::progress();
                if total > 0 {
                    progress.on(Event::Tensors { done, total });
                }
            }
        }
    };
    done.map_err(|_| why("the work was ended".to_owned()))?
        .map_err(why)?;
    let named = store.adopt(&made, name, progress).await?;
    // It has its final name now.
    let _ = made.keep();
    Ok(named)
}

/// Without the engine there is nothing that could.
///
/// # Errors
/// Always [`ModelsError::Quantize`].
#[cfg(not(feature = "embedded"))]
#[expect(clippy::unused_async, reason = "as with the engine")]
pub async fn quantize(
    _: &Store,
    source: &Path,
    _: Target,
    name: &str,
    _: &dyn Progress,
) -> Result<Named, ModelsError> {
    check_name(name)?;
    Err(ModelsError::Quantize {
        path: source.to_owned(),
        message: "this ghostline was built without the feature `embedded`".to_owned(),
    })
}

/// The name of a result when none was given: the source's, with the quantisation in place of what
/// says that there is none.
pub fn default_name(source: &str, target: Target) -> String {
    const FULL: &[&str] = &["bf16", "fp16", "f16", "fp32", "f32"];
    let stem = FULL.iter().find_map(|full| {
        let lower = source.to_ascii_lowercase();
        let cut = lower.strip_suffix(full)?.trim_end_matches(['-', '_', '.']);
        source.get(..cut.len())
    });
    // A file may be called by nothing else.
    let stem = stem.filter(|stem| !stem.is_empty()).unwrap_or(source);
    let joint = if stem.ends_with(':') { "" } else { "-" };
    format!("{stem}{joint}{}", target.name())
}

#[cfg(test)]
mod naming {
    use super::*;

    #[test]
    fn names_say_what_is_in_them() {
        for (source, expect) in [
            ("F16", "F16-q5_K_M"),
            (
                "qwen2.5-coder:1.5b-base-fp16",
                "qwen2.5-coder:1.5b-base-q5_K_M",
            ),
            ("Model-F16", "Model-q5_K_M"),
            ("model.BF16", "model-q5_K_M"),
            ("model", "model-q5_K_M"),
            ("m:fp16", "m:q5_K_M"),
        ] {
            assert_eq!(default_name(source, Target::Q5KM), expect);
        }
        assert_eq!("Q4_k_m".parse(), Ok(Target::Q4KM));
        assert!("q3_K_M".parse::<Target>().is_err());
    }
}
