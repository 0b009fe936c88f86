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
/// Notification from the client: the cursor went to `position` of the document `uri`.
pub const DID_MOVE_CURSOR: &str = "ghostline/didMoveCursor";

/// Request: an answer in a conversation, streamed.
pub const CHAT: &str = "ghostline/chat";
/// Request: the conversations of this workspace.
pub const CONVERSATIONS: &str = "ghostline/conversations";
/// Request: the turns of a conversation.
pub const CONVERSATION: &str = "ghostline/conversation";
/// Request: forgets a conversation, or all of them.
pub const DELETE_CONVERSATION: &str = "ghostline/deleteConversation";
/// Request: counters and latencies of this process.
pub const METRICS: &str = "ghostline/metrics";
/// Request: places of the workspace that answer a question.
pub const SEARCH: &str = "ghostline/search";
/// Command: makes the search index anew.
pub const REINDEX: &str = "ghostline.reindex";
/// Command that editors run after inserting a completion.
pub const DID_ACCEPT: &str = "ghostline.didAccept";
/// Notification to the client: Markdown to show.
pub const SHOW_MARKDOWN: &str = "ghostline/showMarkdown";
/// Command: explains code, `[{uri, range}]`.
pub const EXPLAIN: &str = "ghostline.explain";
/// Command: does a code action, `[{action, uri, range, version?, diagnostics?, instruction?}]`.
pub const ACTION: &str = "ghostline.action";
/// Command of clients that announce `experimental.ghostline.instructions`: asks the person for words, and
/// runs [`ACTION`] with them as `instruction`.
pub const REWRITE: &str = "ghostline.rewrite";
/// Command: fetches a model, `[role or model]`.
pub const PULL_MODEL: &str = "ghostline.pullModel";
/// Command: makes a model a role's first choice, `[role, model?]`.
pub const SELECT_MODEL: &str = "ghostline.selectModel";
