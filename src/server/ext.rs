//! Names beyond the standard protocol; the README describes them.

/// Request: how every role stands.
pub const STATUS: &str = "ghostline/status";
/// Notification to the client: a role stands differently now.
pub const STATUS_CHANGED: &str = "ghostline/statusChanged";
/// Notification to the client: a ghost text that was answered has grown.
pub const COMPLETION_UPDATED: &str = "ghostline/completionUpdated";
/// Notification to clients that announce `experimental.ghostline.generations`: a generation for a
/// completion has ended, with its text and costs.
pub const GENERATION_ENDED: &str = "ghostline/generationEnded";
/// Notification from the client: the person copied `text`, in the document `uri` where that is known.
pub const DID_COPY: &str = "ghostline/didCopy";
/// Notification from the client: it drew an item. Editors' plugins know it from Copilot's server.
pub const DID_SHOW: &str = "textDocument/didShowCompletion";
/// Notification from the client: it inserted a part of an item.
pub const DID_PARTIALLY_ACCEPT: &str = "textDocument/didPartiallyAcceptCompletion";
/// Request: counters and latencies of this process.
pub const METRICS: &str = "ghostline/metrics";
/// Request: places of the workspace that answer a question.
pub const SEARCH: &str = "ghostline/search";
/// Command: makes the search index anew.
pub const REINDEX: &str = "ghostline.reindex";
/// Command that editors run after inserting a completion.
pub const DID_ACCEPT: &str = "ghostline.didAccept";
/// Command: fetches a model, `[role or model]`.
pub const PULL_MODEL: &str = "ghostline.pullModel";
/// Command: makes a model a role's first choice, `[role, model?]`.
pub const SELECT_MODEL: &str = "ghostline.selectModel";
