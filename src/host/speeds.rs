//! What measured speeds belong to: this machine, the addresses of its backends, a file in the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use crate::backend::ollama::{base_url, is_loopback};
use crate::config::Settings;
use crate::eval::machine::Machine;
use crate::router::calibrate::Calibration;

/// The speeds that are kept for this machine.
pub(super) fn calibration() -> Arc<Calibration> {
    let path = super::cache_folder().map(|cache| cache.join("speeds.json"));
    Calibration::new(path, machine())
}

/// Everything without which a speed is another machine's: processor, cores, graphics devices, and how this
/// program was built, as the engine is a part of it.
fn machine() -> String {
    let machine = Machine::here();
    let cpu = machine
        .cpu
        .unwrap_or_else(|| "unknown processor".to_owned());
    let features = [
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
        ("vulkan", cfg!(feature = "vulkan")),
    ];
    let features = features.iter().filter(|(_, built)| *built);
    let parts = [
        cpu,
        format!("{} cores", machine.cores),
        format!("{} {}", machine.os, machine.arch),
    ];
    let parts = parts.into_iter().chain(devices());
    let build = [env!("CARGO_PKG_VERSION"), machine.build];
    let build = build.into_iter().chain(features.map(|(name, _)| *name));
    let build = format!("ghostline {}", build.collect::<Vec<_>>().join(" "));
    parts.chain([build]).collect::<Vec<_>>().join(", ")
}

/// Graphics devices, as far as NVIDIA's driver for Linux tells. Where the driver comes or goes, so does the
/// speed.
fn devices() -> Vec<String> {
    let folders = fs::read_dir("/proc/driver/nvidia/gpus").into_iter();
    let files = folders
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("information"));
    let names = files.filter_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        let model = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
        Some(model.trim().to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Where each backend is, without the names and passwords that an address may hold.
pub(super) fn addresses(settings: &Settings) -> BTreeMap<String, String> {
    let backends = settings.backends.iter();
    let address = |url: &String| {
        let url = base_url(url).ok()?;
        let host = url.host_str()?;
        let port = url.port_or_known_default().unwrap_or_default();
        Some(format!("{host}:{port}{}", url.path().trim_end_matches('/')))
    };
    let all = backends.map(|(name, backend)| {
        let addresses: Vec<String> = backend.urls.iter().filter_map(address).collect();
        (name.clone(), addresses.join(" "))
    });
    all.collect()
}

/// The backends that are not on this machine.
pub(super) fn elsewhere(settings: &Settings) -> BTreeSet<String> {
    let is_here = |url: &String| base_url(url).is_ok_and(|url| is_loopback(&url));
    let all = settings.backends.iter();
    let elsewhere = all.filter(|(_, backend)| !backend.urls.iter().all(is_here));
    elsewhere.map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_hold_no_secrets_and_tell_who_is_elsewhere() {
        let mut settings = Settings::default();
        let ollama = settings.backends.get_mut("ollama").expect("a default");
        ollama.urls = vec![
            "http://anna:secret@gpu.example:1234/ollama/".to_owned(),
            "127.0.0.1".to_owned(),
        ];
        assert_eq!(elsewhere(&settings), BTreeSet::from(["ollama".to_owned()]));
        let addresses = addresses(&settings);
        assert_eq!(
            addresses["ollama"],
            "gpu.example:1234/ollama 127.0.0.1:11434"
        );
        assert_eq!(addresses["embedded"], "");
        assert!(machine().contains(" cores, "));
    }
}
