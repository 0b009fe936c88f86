"""The rest of the protocol with pytest-lsp's client, which checks messages against LSP's types: encodings,
code actions, commands, and ghostline's own requests, all with its string ids.
"""

import asyncio

import pytest
from conftest import within
from documents import end_of, position, units
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from scripted_ollama import Reply

REQUEST_CANCELLED = -32800
CODE = "def add(a, b):\n    return a + b\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(CODE)
    return path


def open_document(session, uri, text):
    session.client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 1, text))
    )


async def ask(session, method, params=None):
    return await within(session.client.protocol.send_request_async(method, params))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_every_encoding_counts_as_it_says(session, ollama, encoding):
    ollama.reply = Reply((" größe", " + 1"))
    result = await session.initialize(encodings=[encoding])
    assert result.capabilities.position_encoding == encoding
    await session.wait_until_ready()
    text = "größe = '\U0001f600'\nsumme['\U0001f600'] ="
    uri = "file:///project/a.py"
    open_document(session, uri, text)
    at = types.Position(**position(text, end_of(text), encoding))
    context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic)
    document = types.TextDocumentIdentifier(uri)
    items = await within(
        session.client.text_document_inline_completion_async(types.InlineCompletionParams(context, document, at))
    )
    [item] = items.items if isinstance(items, types.InlineCompletionList) else items
    assert item.insert_text.endswith(" größe + 1")
    # What it replaces is the beginning of what it inserts, in the same units.
    replaced = units(item.insert_text.removesuffix(" größe + 1"), encoding)
    assert (item.range.end, item.range.end.character - item.range.start.character) == (at, replaced)


async def test_actions_are_listed_resolved_and_run(chat_session, ollama, file):
    session, uri = chat_session, file.as_uri()
    await session.initialize()
    open_document(session, uri, CODE)
    whole = types.Range(types.Position(0, 0), types.Position(2, 0))
    params = types.CodeActionParams(types.TextDocumentIdentifier(uri), whole, types.CodeActionContext([]))
    listed = {one.title: one for one in await within(session.client.text_document_code_action_async(params))}
    assert {"Explain", "Simplify"} <= listed.keys()
    assert not [event for event in ollama.events if event.kind == "chat"], "a list costs no model"
    ollama.chat_reply = Reply(("```python\ndef add(a, b):\n    return sum((a, b))\n```\n",))
    action = await within(session.client.code_action_resolve_async(listed["Simplify"]))
    assert "sum((a, b))" in str(action.edit)
    ollama.chat_reply = Reply(("It adds.",))
    # The client's types take an action that has a command for the command.
    target = {"uri": uri, "range": {"start": {"line": 0, "character": 0}, "end": {"line": 2, "character": 0}}}
    run = types.ExecuteCommandParams("ghostline.explain", [target])
    explained = await within(session.client.workspace_execute_command_async(run))
    assert "It adds." in str(explained)


async def test_a_chat_is_kept_changed_and_forgotten(chat_session, ollama):
    session = chat_session
    await session.initialize()
    ollama.chat_reply = Reply(("It is", " one."))
    answer = await ask(session, "ghostline/chat", {"message": "what is it?"})
    assert (answer.message, answer.state, answer.turn) == ("It is one.", "answered", 0)
    listed = await ask(session, "ghostline/conversations", {})
    assert [one["conversation"] for one in listed] == [answer.conversation]
    ollama.chat_reply = Reply(("It is two.",))
    more = {"message": "again?", "turn": 0, "conversation": answer.conversation}
    assert (await ask(session, "ghostline/chat", more)).turn == 0
    kept = await ask(session, "ghostline/conversation", {"conversation": answer.conversation})
    assert [(turn.message, turn.answer) for turn in kept.turns] == [("again?", "It is two.")]
    gone = await ask(session, "ghostline/deleteConversation", {"all": True})
    assert gone.deleted == 1


async def test_a_chat_is_cancelled(chat_session, ollama):
    session = chat_session
    ollama.chat_reply = Reply(("It", " goes on"), hold="after_first_chunk")
    await session.initialize()
    request = asyncio.ensure_future(ask(session, "ghostline/chat", {"message": "tell"}))
    held = await asyncio.to_thread(ollama.wait_for, "chat")
    [id] = session.client.protocol._request_futures
    session.client.cancel_request(types.CancelParams(id))
    with pytest.raises(JsonRpcException) as cancelled:
        await request
    assert cancelled.value.code == REQUEST_CANCELLED
    await asyncio.to_thread(ollama.wait_for, "disconnect", lambda e: e.number == held.number)


async def test_what_else_there_is_to_ask(session, file):
    await session.initialize()
    metrics = await ask(session, "ghostline/metrics", {})
    assert metrics.completions.accepted == 0
    folder = types.WorkspaceFolder(file.parent.as_uri(), "project")
    event = types.WorkspaceFoldersChangeEvent([folder], [])
    session.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))
    # The tests' settings switch the index off.
    with pytest.raises(JsonRpcException, match="index.enabled"):
        await ask(session, "ghostline/search", {"query": "add"})
    session.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({"ghostline": {}}))
    assert (await ask(session, "ghostline/status")).roles
