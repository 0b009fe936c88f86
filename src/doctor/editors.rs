//! Which editors have the plugin.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Finding, Fix, Severity};

/// What a plugin's folder has in its name.
const NAME: &str = "ghostline";

pub(super) fn check() -> Vec<Finding> {
    let Ok(home) = etcetera::home_dir() else {
        return Vec::new();
    };
    let config = folder("XDG_CONFIG_HOME", &home, ".config");
    let plugins = folder("XDG_DATA_HOME", &home, ".local/share");
    look(&home, &config, &plugins)
}

fn folder(variable: &str, home: &Path, otherwise: &str) -> PathBuf {
    let named = std::env::var_os(variable).map(PathBuf::from);
    named
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| home.join(otherwise))
}

fn look(home: &Path, config: &Path, data: &Path) -> Vec<Finding> {
    let code = [
        ".vscode/extensions",
        ".vscode-server/extensions",
        ".vscode-oss/extensions",
        ".cursor/extensions",
    ];
    let code: Vec<PathBuf> = code.iter().map(|path| home.join(path)).collect();
    // Packages of Neovim's own, then of lazy.nvim, packer and vim-plug.
    let mut neovim = vec![
        data.join("nvim/lazy"),
        config.join("nvim/plugged"),
        data.join("nvim/plugged"),
    ];
    for packages in [data.join("nvim/site/pack"), config.join("nvim/pack")] {
        for package in entries(&packages) {
            neovim.extend([package.join("start"), package.join("opt")]);
        }
    }
    [
        ("vscode", "VS Code", code, Fix::VsCodePlugin),
        ("nvim", "Neovim", neovim, Fix::NeovimPlugin),
    ]
    .into_iter()
    .map(|(id, name, folders, fix)| {
        let id = format!("editor.{id}");
        let found = folders
            .iter()
            .flat_map(|folder| entries(folder))
            .find(|entry| {
                let name = entry.file_name().unwrap_or_default().to_string_lossy();
                name.to_ascii_lowercase().contains(NAME)
            });
        match found {
            Some(path) => Finding::good(id, format!("{name}'s plugin is at {}", path.display())),
            None => Finding::bad(
                id,
                Severity::Info,
                format!("no plugin found for {name}"),
                fix,
            ),
        }
    })
    .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_found_where_editors_keep_them() {
        for (place, found) in [
            (".vscode/extensions/someone.ghostline-0.1.0", [true, false]),
            (".vscode-server/extensions/x.Ghostline-1", [true, false]),
            (".local/share/nvim/lazy/ghostline.nvim", [false, true]),
            (
                ".local/share/nvim/site/pack/any/start/ghostline",
                [false, true],
            ),
            (".config/nvim/pack/any/opt/ghostline.nvim", [false, true]),
            (".vscode/extensions/other", [false, false]),
        ] {
            let home = tempfile::tempdir().expect("a folder");
            fs::create_dir_all(home.path().join(place)).expect("a folder");
            let findings = look(
                home.path(),
                &home.path().join(".config"),
                &home.path().join(".local/share"),
            );
            let ok: Vec<bool> = findings.iter().map(|finding| finding.ok).collect();
            assert_eq!(ok, found, "{place}");
        }
    }
}
