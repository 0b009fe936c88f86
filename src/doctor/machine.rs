//! Disk and proxies.

use super::{Finding, Fix, Scene, Severity};
use crate::backend::ollama::{base_url, is_loopback};

/// The product's completion model and room to work, in bytes.
const ROOM_BYTES: u64 = 2_000_000_000;

/// As reqwest reads them, in either case.
const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

pub(super) fn check(scene: &Scene) -> Vec<Finding> {
    let disk = scene.store.as_ref().and_then(|store| {
        // The folder is made by the first fetch.
        let there = store.dir().ancestors().find(|path| path.is_dir())?;
        Some(disk(
            fs4::available_space(there).ok()?,
            &there.display().to_string(),
        ))
    });
    let set = PROXIES.iter().filter(|name| {
        [name.to_ascii_lowercase(), name.to_ascii_uppercase()]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    });
    let set: Vec<&str> = set.copied().collect();
    disk.into_iter()
        .chain(proxies(&set, &remote(scene)))
        .collect()
}

fn disk(available_bytes: u64, place: &str) -> Finding {
    let gigabytes = available_bytes / 1_000_000_000;
    let message = format!("{gigabytes} GB are free for models at {place}");
    if available_bytes >= ROOM_BYTES {
        return Finding::good("disk", message);
    }
    Finding::bad("disk", Severity::Warning, message, Fix::FreeDisk)
}

/// The backends of the settings that are on other machines, and these.
fn remote(scene: &Scene) -> Vec<(String, String)> {
    let backends = scene.resolved.settings.backends.iter();
    let urls = backends.flat_map(|(name, backend)| backend.urls.iter().map(move |url| (name, url)));
    let far = urls.filter_map(|(name, url)| {
        let url = base_url(url).ok().filter(|url| !is_loopback(url))?;
        Some((name.clone(), url.host_str()?.to_owned()))
    });
    far.collect()
}

fn proxies(set: &[&str], remote: &[(String, String)]) -> Option<Finding> {
    if set.is_empty() {
        return None;
    }
    let variables = set.join(", ");
    let mut names: Vec<&str> = remote.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    Some(if remote.is_empty() {
        let message =
            format!("{variables} is set; backends on this machine are reached without it");
        Finding::good("proxy", message)
    } else {
        Finding::bad(
            "proxy",
            Severity::Warning,
            format!(
                "{variables} is set, so {} is reached through a proxy",
                names.join(", ")
            ),
            Fix::NoProxy(remote.iter().map(|(_, host)| host.clone()).collect()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_and_proxies() {
        assert!(disk(ROOM_BYTES, "x").ok);
        assert!(!disk(ROOM_BYTES - 1, "x").ok);
        let far = [("gpu".to_owned(), "gpu.example".to_owned())];
        for (set, remote, ok) in [
            (&[][..], &far[..], None),
            (&["http_proxy"], &[], Some(true)),
            (&["http_proxy"], &far, Some(false)),
        ] {
            assert_eq!(proxies(set, remote).map(|finding| finding.ok), ok);
        }
    }
}
