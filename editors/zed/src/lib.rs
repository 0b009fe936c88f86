//! Tells Zed how to start `ghostline`: Zed runs no language server that an extension does not name.

use zed_extension_api::{self as zed, LanguageServerId, Result};

struct Ghostline;

impl zed::Extension for Ghostline {
    fn new() -> Self {
        Self
    }

    fn language_server_command(
        &mut self,
        _server: &LanguageServerId,
        worktree: &zed::Worktree,
    ) -> Result<zed::Command> {
        let command = worktree
            .which("ghostline")
            .ok_or("ghostline is not on PATH; run `make install` in its folder")?;
        Ok(zed::Command {
            command,
            args: vec!["serve".to_owned()],
            env: worktree.shell_env(),
        })
    }
}

zed::register_extension!(Ghostline);
