//! The language server: one line per method; the work is in the files beside.
//!
//! Knows the protocol and the features, never a backend. Built by `cli/serve`, and by tests with their
//! own [`Host`].

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};
use tower_lsp::gen_lsp_types::{
    ClientCapabilities, CodeActionKind, CodeActionOptions, CodeActionProvider,
    ExecuteCommandOptions, InitializeParams, InitializeResult, InlineCompletionProvider,
    PositionEncodingKind, Registration, ServerCapabilities, ServerInfo, TextDocumentSync,
    TextDocumentSyncKind, TextDocumentSyncOptions, WorkspaceFoldersServerCapabilities,
    WorkspaceOptions,
};
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::{Client, ClientSocket, LanguageServer, LspService};

mod abilities;
mod action;
mod announce;
mod attachments;
mod chat;
mod code_action;
mod command;
mod error;
pub mod ext;
mod framing;
mod inline_completion;
mod model_commands;
mod news;
mod progress;
mod scopes;
mod search;
mod session;
mod settings_watch;
mod status;
mod text_sync;
pub mod transport;
mod watched;

use session::Session;
pub use session::{Host, Stamp};
use transport::Outbox;

/// The protocol's methods.
#[derive(Debug)]
pub struct Server {
    host: Arc<dyn Host>,
    client: Client,
    outbox: Outbox,
    /// What the client is asked to watch.
    watched: OnceLock<Registration>,
    session: OnceLock<Arc<Session>>,
}

/// The service to drive with [`transport::serve`].
pub fn service(host: Arc<dyn Host>, outbox: Outbox) -> (LspService<Server>, ClientSocket) {
    LspService::build_with_lifecycle_methods(|client| Server {
        host,
        client,
        outbox,
        watched: OnceLock::new(),
        session: OnceLock::new(),
    })
    .custom_method("textDocument/didOpen", Server::did_open)
    .custom_method("textDocument/didChange", Server::did_change)
    .custom_method("textDocument/didClose", Server::did_close)
    .custom_method("textDocument/inlineCompletion", Server::inline_completion)
    .custom_method(
        "workspace/didChangeConfiguration",
        Server::did_change_configuration,
    )
    .custom_method(
        "workspace/didChangeWorkspaceFolders",
        Server::did_change_workspace_folders,
    )
    .custom_method(
        "workspace/didChangeWatchedFiles",
        Server::did_change_watched_files,
    )
    .custom_method("textDocument/didSave", Server::did_save)
    .custom_method("workspace/executeCommand", Server::execute_command)
    .custom_method("textDocument/codeAction", Server::code_action)
    .custom_method("codeAction/resolve", Server::resolve_code_action)
    .custom_method(ext::DID_COPY, Server::did_copy)
    .custom_method(ext::DID_SHOW, Server::did_show)
    .custom_method(ext::DID_PARTIALLY_ACCEPT, Server::did_partially_accept)
    .custom_method(ext::DID_MOVE_CURSOR, Server::did_move_cursor)
    .custom_method("window/workDoneProgress/cancel", Server::cancel_progress)
    .custom_method(ext::CHAT, Server::chat)
    .custom_method(ext::CONVERSATIONS, Server::conversations)
    .custom_method(ext::CONVERSATION, Server::conversation)
    .custom_method(ext::DELETE_CONVERSATION, Server::delete_conversation)
    .custom_method(ext::STATUS, Server::status)
    .custom_method(ext::METRICS, Server::metrics)
    .custom_method(ext::SEARCH, Server::search)
    .finish()
}

impl LanguageServer for Server {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let session = Session::new(
            self.host.clone(),
            self.client.clone(),
            self.outbox.clone(),
            &params,
        );
        let encoding = session.encoding().kind();
        let experimental = experimental(&params.capabilities);
        let indexes = session.index.is_on();
        if let Some(registration) = watched::registration(&params.capabilities, indexes) {
            let _ = self.watched.set(registration);
        }
        self.session
            .set(session)
            .map_err(|_| Error::invalid_request())?;
        Ok(InitializeResult {
            capabilities: capabilities(encoding, experimental),
            server_info: Some(ServerInfo {
                name: env!("CARGO_PKG_NAME").into(),
                version: Some(env!("CARGO_PKG_VERSION").into()),
            }),
        })
    }

    async fn initialized(&self, _: tower_lsp::gen_lsp_types::InitializedParams) {
        if let Some(session) = self.session.get() {
            session.start();
        }
        if let Some(watched) = self.watched.get()
            && let Err(error) = self.client.register_capability(vec![watched.clone()]).await
        {
            tracing::warn!(%error, "the client does not watch files; ignore files are read at didOpen");
        }
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}

#[expect(
    clippy::unused_async,
    reason = "the framework takes async handlers only"
)]
impl Server {
    fn session(&self) -> Result<&Arc<Session>> {
        self.session.get().ok_or_else(Error::internal_error)
    }

    async fn did_open(&self, params: Value) {
        self.with_session(|session| text_sync::open(session, params));
    }

    async fn did_change(&self, params: Value) {
        self.with_session(|session| text_sync::change(session, &params));
    }

    async fn did_close(&self, params: Value) {
        self.with_session(|session| text_sync::close(session, &params));
    }

    async fn did_save(&self, params: Value) {
        self.with_session(|session| text_sync::saved(session, &params));
    }

    async fn did_copy(&self, params: Value) {
        self.with_session(|session| text_sync::copied(session, &params));
    }

    async fn did_show(&self, params: Value) {
        self.with_session(|session| inline_completion::drawn(session, &params));
    }

    async fn did_partially_accept(&self, params: Value) {
        self.with_session(|session| inline_completion::partly_accepted(session, &params));
    }

    async fn did_move_cursor(&self, params: Value) {
        self.with_session(|session| text_sync::cursor_moved(session, &params));
    }

    async fn inline_completion(&self, params: Value) -> Result<Value> {
        let session = self.session()?;
        let Some((document, ask)) = inline_completion::ask(session, params)? else {
            return Ok(json!([]));
        };
        session.asked_in(&document);
        let engine = session.engine_of(&document.uri);
        Ok(match engine.complete(ask).await {
            Ok(completion) => json!([inline_completion::item(
                &document,
                &completion,
                session.encoding(),
            )]),
            Err(_) => json!([]),
        })
    }

    async fn did_change_configuration(&self, mut params: Value) {
        let settings = params
            .get_mut("settings")
            .map(Value::take)
            .unwrap_or_default();
        self.with_session(|session| session.editor_settings_changed(settings));
    }

    async fn did_change_workspace_folders(&self, params: Value) {
        let paths = |pointer: &str| -> Vec<PathBuf> {
            let folders = params.pointer(pointer).and_then(Value::as_array);
            let uris = folders
                .into_iter()
                .flatten()
                .filter_map(|f| f.get("uri")?.as_str());
            uris.filter_map(session::path_of).collect()
        };
        let (added, removed) = (paths("/event/added"), paths("/event/removed"));
        self.with_session(|session| session.folders_changed(added, &removed));
    }

    async fn did_change_watched_files(&self, params: Value) {
        self.with_session(|session| search::files_changed(session, &params));
    }

    async fn execute_command(&self, params: Value) -> Result<Value> {
        command::execute(self.session()?, params).await
    }

    async fn code_action(&self, params: Value) -> Result<Value> {
        code_action::list(self.session()?, params)
    }

    async fn resolve_code_action(&self, item: Value) -> Result<Value> {
        code_action::resolve(self.session()?, item).await
    }

    async fn cancel_progress(&self, params: Value) {
        self.with_session(|session| {
            session
                .running
                .cancel(params.get("token").unwrap_or(&Value::Null));
        });
    }

    async fn chat(&self, params: Value) -> Result<Value> {
        chat::answer(self.session()?, params).await
    }

    async fn conversations(&self, _: Value) -> Result<Value> {
        chat::list(self.session()?).await
    }

    async fn conversation(&self, params: Value) -> Result<Value> {
        chat::show(self.session()?, &params).await
    }

    async fn delete_conversation(&self, params: Value) -> Result<Value> {
        chat::delete(self.session()?, &params).await
    }

    async fn status(&self, _: Value) -> Result<Value> {
        Ok(self.session()?.status())
    }

    async fn search(&self, params: Value) -> Result<Value> {
        search::search(self.session()?, &params).await
    }

    async fn metrics(&self, params: Value) -> Result<Value> {
        Ok(self.session()?.metrics(&params))
    }

    /// Notifications before `initialize` are dropped, as the protocol asks.
    fn with_session(&self, act: impl FnOnce(&Arc<Session>)) {
        if let Some(session) = self.session.get() {
            act(session);
        }
    }
}

fn experimental(client: &ClientCapabilities) -> bool {
    client
        .experimental
        .as_ref()
        .is_some_and(|e| e.get("ghostline").is_some())
}

fn capabilities(encoding: PositionEncodingKind, experimental: bool) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(encoding),
        text_document_sync: Some(TextDocumentSync::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::Incremental),
            save: Some(true.into()),
            ..TextDocumentSyncOptions::default()
        })),
        code_action_provider: Some(CodeActionProvider::CodeActionOptions(CodeActionOptions {
            code_action_kinds: Some(vec![CodeActionKind::QuickFix, CodeActionKind::Refactor]),
            resolve_provider: Some(true),
            ..CodeActionOptions::default()
        })),
        inline_completion_provider: Some(InlineCompletionProvider::Bool(true)),
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: command::COMMANDS.iter().map(|&name| name.into()).collect(),
            ..ExecuteCommandOptions::default()
        }),
        workspace: Some(WorkspaceOptions {
            workspace_folders: Some(WorkspaceFoldersServerCapabilities {
                supported: Some(true),
                change_notifications: Some(true.into()),
            }),
            ..WorkspaceOptions::default()
        }),
        experimental: experimental.then(|| json!({ "ghostline": { "completionUpdates": true } })),
        ..ServerCapabilities::default()
    }
}
