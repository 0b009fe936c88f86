//! Models that an Ollama on this machine has fetched, read from its own store.
//!
//! Called by the host, so that the embedded engine can run what people already have. The store holds
//! `manifests/HOST/NAMESPACE/MODEL/TAG`, a list of layers, and `blobs/sha256-HASH`; the layer of the
//! weights is a plain GGUF file (Ollama's `manifest/` and `server/layer.go`, read 2026-11). Nothing is
//! ever written there. Invariant: a path given out is a blob of the store, whatever a manifest says.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The layer of the weights.
const MODEL: &str = "application/vnd.ollama.image.model";
/// Layers without which the weights are not the model: what was trained on top of them.
const ADAPTER: &str = "application/vnd.ollama.image.adapter";

/// A name's parts that Ollama leaves out when it shows it.
const DEFAULT_HOST: &str = "registry.ollama.ai";
const DEFAULT_NAMESPACE: &str = "library";

/// Longest manifest read, in bytes; real ones have under 2 KB.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// A model in Ollama's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OllamaModel {
    /// As Ollama lists it, such as `qwen2.5-coder:1.5b`.
    pub name: String,
    /// The weights.
    pub path: PathBuf,
    /// SHA-256 of the weights, in lower-case hexadecimal.
    pub sha256: String,
    /// Of the weights.
    pub size_bytes: u64,
}

/// What the stores of this machine hold: `$OLLAMA_MODELS` if that is set, else the person's own store
/// and the one of the system's service.
pub fn ollama_models() -> Vec<OllamaModel> {
    let home = etcetera::home_dir().ok();
    folders(std::env::var_os("OLLAMA_MODELS"), home)
        .iter()
        .flat_map(|folder| models_in(folder))
        .collect()
}

fn folders(set: Option<OsString>, home: Option<PathBuf>) -> Vec<PathBuf> {
    if let Some(set) = set.filter(|set| !set.is_empty()) {
        return vec![set.into()];
    }
    let own = home.map(|home| home.join(".ollama/models"));
    // Where Ollama's installer for Linux puts the service's store.
    let service = PathBuf::from("/usr/share/ollama/.ollama/models");
    own.into_iter().chain([service]).collect()
}

/// The models of one store, by name. What is incomplete is left out.
pub fn models_in(folder: &Path) -> Vec<OllamaModel> {
    let mut models = Vec::new();
    for host in children(&folder.join("manifests")) {
        for namespace in children(&host) {
            for model in children(&namespace) {
                for tag in children(&model) {
                    models.extend(model_of(folder, &tag));
                }
            }
        }
    }
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    size: u64,
}

fn model_of(folder: &Path, manifest: &Path) -> Option<OllamaModel> {
    let size_bytes = manifest.metadata().ok()?.len();
    if size_bytes > MAX_MANIFEST_BYTES {
        return None;
    }
    let text = fs::read_to_string(manifest).ok()?;
    let layers = serde_json::from_str::<Manifest>(&text).ok()?.layers;
    if layers.iter().any(|layer| layer.media_type == ADAPTER) {
        return None;
    }
    let mut weights = layers.iter().filter(|layer| layer.media_type == MODEL);
    let (layer, None) = (weights.next()?, weights.next()) else {
        return None;
    };
    let sha256 = layer.digest.strip_prefix("sha256:")?;
    let is_hash = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hash {
        return None;
    }
    let path = folder.join("blobs").join(format!("sha256-{sha256}"));
    let blob = path.metadata().ok()?;
    (blob.is_file() && blob.len() == layer.size).then(|| OllamaModel {
        name: name_of(manifest).unwrap_or_default(),
        path,
        sha256: sha256.to_ascii_lowercase(),
        size_bytes: layer.size,
    })
}

/// The name that the manifest's path stands for.
fn name_of(manifest: &Path) -> Option<String> {
    let mut parts = manifest.iter().rev().map(|part| part.to_str());
    let (tag, model) = (parts.next()??, parts.next()??);
    let (namespace, host) = (parts.next()??, parts.next()??);
    let name = format!("{model}:{tag}");
    Some(match (host, namespace) {
        (DEFAULT_HOST, DEFAULT_NAMESPACE) => name,
        (DEFAULT_HOST, namespace) => format!("{namespace}/{name}"),
        (host, namespace) => format!("{host}/{namespace}/{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046";

    fn store(manifests: &[(&str, String)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = folder.path().join("blobs");
        fs::create_dir_all(&blobs).expect("a folder");
        fs::write(blobs.join(format!("sha256-{HASH}")), "weights").expect("a blob");
        for (name, manifest) in manifests {
            let path = folder.path().join("manifests").join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, manifest).expect("a manifest");
        }
        folder
    }

    fn manifest(layers: &[(&str, &str, u64)]) -> String {
        let layers: Vec<_> = layers
            .iter()
            .map(|(kind, digest, size)| {
                let media_type = format!("application/vnd.ollama.image.{kind}");
                serde_json::json!({"mediaType": media_type, "digest": digest, "size": size})
            })
            .collect();
        serde_json::json!({
            "schemaVersion": 2, "config": {"digest": "sha256:0", "size": 1}, "layers": layers,
        })
        .to_string()
    }

    #[test]
    fn names_and_paths_are_ollamas() {
        let digest = format!("sha256:{HASH}");
        let good = || manifest(&[("template", "sha256:1", 2), ("model", &digest, 7)]);
        let folder = store(&[
            ("registry.ollama.ai/library/coder/1.5b", good()),
            ("registry.ollama.ai/anna/coder/latest", good()),
            ("hf.co/anna/coder/Q8_0", good()),
        ]);
        let models = models_in(folder.path());
        let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(
            names,
            ["anna/coder:latest", "coder:1.5b", "hf.co/anna/coder:Q8_0"]
        );
        for model in &models {
            assert_eq!(
                fs::read_to_string(&model.path).ok().as_deref(),
                Some("weights")
            );
            assert_eq!((model.sha256.as_str(), model.size_bytes), (HASH, 7));
        }
    }

    #[test]
    fn what_is_no_whole_model_is_left_out() {
        let digest = format!("sha256:{HASH}");
        let escape = "sha256:../../../etc/passwd";
        let other = format!("sha256:{}", HASH.replace('c', "d"));
        let cases = [
            manifest(&[]),
            manifest(&[("model", &digest, 8)]),
            manifest(&[("model", escape, 7)]),
            manifest(&[("model", &other, 7)]),
            manifest(&[("model", &digest, 7), ("model", &digest, 7)]),
            manifest(&[("model", &digest, 7), ("adapter", "sha256:1", 7)]),
            "not JSON".to_owned(),
            "{}".to_owned(),
        ];
        for manifest in cases {
            let folder = store(&[("registry.ollama.ai/library/m/t", manifest.clone())]);
            assert_eq!(models_in(folder.path()), [], "{manifest}");
        }
        assert_eq!(models_in(Path::new("no such folder")), []);
    }

    #[test]
    fn the_variable_replaces_the_usual_places() {
        let home = || Some(PathBuf::from("/home/anna"));
        assert_eq!(folders(Some("/m".into()), home()), [Path::new("/m")]);
        for unset in [None, Some(OsString::new())] {
            let usual = folders(unset, home());
            assert_eq!(usual.len(), 2);
            assert_eq!(
                usual.first().map(PathBuf::as_path),
                Some(Path::new("/home/anna/.ollama/models"))
            );
        }
    }
}
