//! Tells Zed how to start `ghostline`, and with which settings: Zed runs no language server that an
//! extension does not name. Zed calls the functions below; they read Zed's own settings and keep nothing.

use zed_extension_api::settings::{CommandSettings, LspSettings};
use zed_extension_api::{self as zed, serde_json, LanguageServerId, Result};

/// The key of the server's settings in what a client sends.
const KEY: &str = "ghostline";

/// Settings that say where text goes. Zed lays a project's own `.zed/settings.json` over the person's and
/// does not tell which is which, so these are read from the server's own file only.
const KEPT_BACK: &[&str] = &["backends", "privacy", "trust", "trusted"];

struct Ghostline;

impl zed::Extension for Ghostline {
    fn new() -> Self {
        Self
    }

    fn language_server_command(
        &mut self,
        server: &LanguageServerId,
        worktree: &zed::Worktree,
    ) -> Result<zed::Command> {
        let CommandSettings {
            path,
            arguments,
            env,
        } = LspSettings::for_worktree(server.as_ref(), worktree)?
            .binary
            .unwrap_or(CommandSettings {
                path: None,
                arguments: None,
                env: None,
            });
        let command = path.or_else(|| worktree.which("ghostline")).ok_or(
            "ghostline is not on PATH; run `make install` in its checkout, or name the program in Zed's \
             settings: lsp.ghostline.binary.path",
        )?;
        let mut variables = worktree.shell_env();
        variables.extend(env.into_iter().flatten());
        Ok(zed::Command {
            command,
            args: arguments.unwrap_or_else(|| vec!["serve".to_owned()]),
            env: variables,
        })
    }

    /// Zed lays `lsp.ghostline.initialization_options` over this by itself.
    fn language_server_initialization_options(
        &mut self,
        server: &LanguageServerId,
        worktree: &zed::Worktree,
    ) -> Result<Option<serde_json::Value>> {
        settings(server, worktree)
    }

    fn language_server_workspace_configuration(
        &mut self,
        server: &LanguageServerId,
        worktree: &zed::Worktree,
    ) -> Result<Option<serde_json::Value>> {
        settings(server, worktree)
    }
}

/// `lsp.ghostline.settings` of Zed, whose keys are those of the server's own file, as the server takes them.
fn settings(
    server: &LanguageServerId,
    worktree: &zed::Worktree,
) -> Result<Option<serde_json::Value>> {
    let found = LspSettings::for_worktree(server.as_ref(), worktree)?.settings;
    Ok(found.map(|mut own| {
        let mut own = match own.get_mut(KEY) {
            Some(inner) => inner.take(),
            None => own,
        };
        if let Some(own) = own.as_object_mut() {
            own.retain(|key, _| !KEPT_BACK.contains(&key.as_str()));
        }
        serde_json::json!({ KEY: own })
    }))
}

zed::register_extension!(Ghostline);
