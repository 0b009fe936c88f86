//! What the client can do, read once from `initialize`.

use serde_json::Value;
use tower_lsp::gen_lsp_types::ClientCapabilities;

/// What the client can do with actions and their results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent of each other")]
pub(super) struct Abilities {
    /// `codeAction/resolve` may fill in the edit.
    pub(super) resolves_edits: bool,
    /// Edits may name versions.
    pub(super) document_changes: bool,
    /// Edits may say what they are.
    pub(super) annotations: bool,
    /// Edits may create files.
    pub(super) creates_files: bool,
    /// Understands `ghostline/showMarkdown`.
    pub(super) markdown: bool,
    /// Has the command `ghostline.rewrite`, which asks the person for words.
    pub(super) asks: bool,
    /// Understands `window/showDocument`.
    pub(super) shows_documents: bool,
}

impl Abilities {
    pub(super) fn of(capabilities: &ClientCapabilities) -> Self {
        let all = serde_json::to_value(capabilities).unwrap_or_default();
        let yes = |pointer: &str| all.pointer(pointer).and_then(Value::as_bool) == Some(true);
        let lists = |pointer: &str, entry: &str| {
            let list = all.pointer(pointer).and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|e| e == entry))
        };
        let action = "/textDocument/codeAction";
        let edit = "/workspace/workspaceEdit";
        Self {
            resolves_edits: yes(&format!("{action}/dataSupport"))
                && lists(&format!("{action}/resolveSupport/properties"), "edit"),
            document_changes: yes(&format!("{edit}/documentChanges")),
            annotations: all
                .pointer(&format!("{edit}/changeAnnotationSupport"))
                .is_some_and(Value::is_object),
            creates_files: lists(&format!("{edit}/resourceOperations"), "create"),
            markdown: yes("/experimental/ghostline/markdown"),
            asks: yes("/experimental/ghostline/instructions"),
            shows_documents: yes("/window/showDocument/support"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_announced_is_not_there() {
        let of = |value: Value| Abilities::of(&serde_json::from_value(value).unwrap());
        assert_eq!(of(json!({})), Abilities::default());
        let all = of(json!({
            "textDocument": { "codeAction": {
                "dataSupport": true, "resolveSupport": { "properties": ["edit"] },
            } },
            "workspace": { "workspaceEdit": {
                "documentChanges": true, "changeAnnotationSupport": {},
                "resourceOperations": ["create", "rename"],
            } },
            "window": { "showDocument": { "support": true } },
            "experimental": { "ghostline": { "markdown": true, "instructions": true } },
        }));
        let expected = Abilities {
            resolves_edits: true,
            document_changes: true,
            annotations: true,
            creates_files: true,
            markdown: true,
            asks: true,
            shows_documents: true,
        };
        assert_eq!(all, expected);
    }
}
