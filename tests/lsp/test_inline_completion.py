"""`textDocument/inlineCompletion`: items, cancelling, replacing, failing backends."""

import asyncio

import pytest
from conftest import within
from documents import end_of, index_of, insert, position
from framing import NO_PARAMS
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from scripted_ollama import Reply

URI = "file:///project/example.py"
REQUEST_CANCELLED = -32800


def open_document(server, text, uri=URI, language="python"):
    server.notify(
        "textDocument/didOpen",
        {"textDocument": {"uri": uri, "languageId": language, "version": 1, "text": text}},
    )


def params(text, uri=URI, encoding="utf-16", **more):
    return {
        "textDocument": {"uri": uri},
        "position": position(text, end_of(text), encoding),
        "context": {"triggerKind": 2},
    } | more


def items_of(response):
    assert "error" not in response, response
    result = response["result"]
    return result["items"] if isinstance(result, dict) else result or []


@pytest.fixture
def ready(server):
    server.initialize()
    server.wait_until_ready()
    return server


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("total = ", ("sum", "(prices)")),
        ("def f(a):\n    return ", ("a", " + ", "1")),
        ("s = '\U0001f600' + ", ("name",)),
        ("\U0001f600 = ", ("'\U0001f601", "e\u0301'")),
        ("a = 1\r\nb = ", ("a + 1",)),
        # A character cut in two by the tokeniser arrives in one piece.
        ("greeting = ", ("'\u8868", "\u793a'")),
    ],
)
def test_an_item_completes_the_line(server, ollama, encoding, text, chunks):
    # A model joins the space with the word after it, so it is asked to generate the space again.
    space = text[len(text.rstrip(" ")) :]
    ollama.reply = Reply((space + chunks[0], *chunks[1:]))
    server.initialize({"general": {"positionEncodings": [encoding]}})
    server.wait_until_ready()
    open_document(server, text)
    [item] = items_of(
        server.request("textDocument/inlineCompletion", params(text, encoding=encoding))
    )
    assert insert(text, item, encoding) == text + "".join(chunks)
    start, end = item["range"]["start"], item["range"]["end"]
    assert start["line"] == end["line"]
    replaced = text[index_of(text, start, encoding) : index_of(text, end, encoding)]
    assert item["insertText"].startswith(replaced)
    assert item["command"]["command"] == "ghostline.didAccept"
    assert len(item["command"]["arguments"]) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"textDocument": {"uri": URI, "version": 1}},
        {"formattingOptions": {"tabSize": 4, "insertSpaces": True}},
        {"workDoneToken": "token"},
        {"context": {"triggerKind": 1}},
        {"context": {"triggerKind": 2, "selectedCompletionInfo": None}},
        {"unknown": {"to": "us"}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_clients_add(ready, ollama, more):
    ollama.reply = Reply(("compute(1)",))
    open_document(ready, "total = ")
    response = ready.request("textDocument/inlineCompletion", params("total = ") | more)
    assert len(items_of(response)) == 1


def test_a_selected_suggestion_is_extended(ready, ollama):
    ollama.reply = Reply(("(1)",))
    text = "total = comp"
    open_document(ready, text)
    selected = {
        "range": {"start": {"line": 0, "character": 8}, "end": {"line": 0, "character": 12}},
        "text": "compute",
    }
    context = {"triggerKind": 2, "selectedCompletionInfo": selected}
    for item in items_of(
        ready.request("textDocument/inlineCompletion", params(text, context=context))
    ):
        assert item["range"] == selected["range"]
        assert item["insertText"].startswith("compute")


@pytest.mark.parametrize("hold", ["before_headers", "after_first_chunk"])
@pytest.mark.parametrize("id", [7, "a string"])
def test_cancelling_answers_and_closing_stops_the_model(ready, ollama, hold, id):
    ollama.reply = Reply(("compute", "(1)"), hold=hold)
    open_document(ready, "total = ")
    ready.start_request("textDocument/inlineCompletion", params("total = "), id)
    held = ollama.wait_for("generate", lambda e: "total" in e.prompt)
    ready.notify("$/cancelRequest", {"id": id})
    assert ready.response(id)["error"]["code"] == REQUEST_CANCELLED
    # What was asked still fits the text, so a newer request may join it; nobody can once it is closed.
    ready.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    ollama.wait_for("disconnect", lambda e: e.number == held.number)
    open_document(ready, "total = ")
    # The server goes on.
    ollama.release()
    ollama.reply = Reply(("compute(1)",))
    assert items_of(ready.request("textDocument/inlineCompletion", params("total = ")))
    assert [r["id"] for r in ready.responses()].count(id) == 1


def test_a_newer_request_settles_the_older(ready, ollama):
    ollama.reply = Reply(("compute", "(1)"), hold="before_headers")
    open_document(ready, "total = ")
    older = ready.start_request("textDocument/inlineCompletion", params("total = "))
    ollama.wait_for("generate", lambda e: "total" in e.prompt)
    newer = ready.start_request("textDocument/inlineCompletion", params("total = "))
    # At once: the model has said nothing yet.
    assert not items_of(ready.response(older))
    ollama.release()
    assert len(items_of(ready.response(newer))) == 1


def test_the_newest_document_has_the_model(ready, ollama):
    ollama.reply = Reply(("compute", "(1)"), hold="before_headers")
    other = "file:///project/other.py"
    open_document(ready, "total = ")
    open_document(ready, "price = ", other)
    first = ready.start_request("textDocument/inlineCompletion", params("total = "))
    ollama.wait_for("generate", lambda e: "total" in e.prompt)
    second = ready.start_request("textDocument/inlineCompletion", params("price = ", other))
    # One generation at a time: the older one makes room, and its request is settled.
    assert not items_of(ready.response(first))
    ollama.release()
    assert items_of(ready.response(second))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500, error="llama-server process has terminated: exit status 1"),
        Reply(status=503, error="server busy, please try again.  maximum pending requests exceeded"),
        Reply(status=404, error="model 'qwen2.5-coder:1.5b-base' not found"),
        Reply((), error="out of memory"),
        Reply((), broken_off=True),
        Reply(()),
        Reply(("",)),
    ],
    ids=["500", "503", "404", "error line", "broken off", "nothing", "empty"],
)
def test_a_failing_model_is_an_empty_answer(ready, ollama, reply):
    ollama.reply = reply
    open_document(ready, "total = ")
    assert not items_of(ready.request("textDocument/inlineCompletion", params("total = ")))
    assert ready.request("ghostline/status")["result"]["state"]


def test_without_a_backend_the_answer_is_empty(start, env, ollama):
    # Nobody listens there: the port was just given back.
    ollama.__exit__()
    server = start(env)
    server.initialize()
    open_document(server, "total = ")
    assert not items_of(server.request("textDocument/inlineCompletion", params("total = ")))
    status = server.request("ghostline/status")["result"]
    assert status["state"] in ("starting", "loading", "degraded", "unavailable")
    assert server.shut_down() == 0


def test_an_unknown_document_is_an_empty_answer(ready):
    assert not items_of(ready.request("textDocument/inlineCompletion", params("total = ")))


@pytest.mark.parametrize(
    "method", ["textDocument/didShowCompletion", "textDocument/didPartiallyAcceptCompletion"]
)
def test_what_was_shown_and_accepted_is_understood(ready, ollama, method):
    ollama.reply = Reply(("compute(1)",))
    open_document(ready, "total = ")
    [item] = items_of(ready.request("textDocument/inlineCompletion", params("total = ")))
    ready.notify(method, {"item": item, "acceptedLength": 3})
    accepted = ready.request("workspace/executeCommand", item["command"])
    assert "error" not in accepted


def test_status(ready):
    for params in (NO_PARAMS, None, {}):
        status = ready.request("ghostline/status", params)["result"]
        assert status["state"] in ("starting", "loading", "ready", "degraded", "unavailable")
        assert isinstance(status["message"], str)
        assert isinstance(status["busy"], bool)
    completion = status["roles"]["completion"]
    assert completion["state"] == "ready"
    assert completion["model"] == "qwen2.5-coder:1.5b-base"
    assert completion["backend"] == "fake"
    assert completion["fallback"] is False


async def typed_request(session, text):
    session.client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(URI, "python", 1, text))
    )
    at = position(text, end_of(text), "utf-16")
    return asyncio.ensure_future(
        session.client.text_document_inline_completion_async(
            types.InlineCompletionParams(
                context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
                text_document=types.TextDocumentIdentifier(URI),
                position=types.Position(**at),
            )
        )
    )


async def test_a_strict_client_accepts_the_items(session, ollama):
    ollama.reply = Reply(("sum", "(prices)"))
    await session.initialize()
    await session.wait_until_ready()
    result = await within(await typed_request(session, "\U0001f600 = "))
    items = result.items if isinstance(result, types.InlineCompletionList) else result
    assert [item.insert_text[-11:] for item in items] == ["sum(prices)"]


async def test_a_strict_client_cancels(session, ollama):
    ollama.reply = Reply(("compute",), hold="before_headers")
    await session.initialize()
    await session.wait_until_ready()
    request = await typed_request(session, "total = ")
    held = await asyncio.to_thread(ollama.wait_for, "generate", lambda e: "total" in e.prompt)
    [id] = session.client.protocol._request_futures
    session.client.cancel_request(types.CancelParams(id))
    with pytest.raises(JsonRpcException) as cancelled:
        await within(request)
    assert cancelled.value.code == REQUEST_CANCELLED
    # The generation still fits the text; closing the document ends it.
    session.client.text_document_did_close(
        types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(URI))
    )
    await asyncio.to_thread(ollama.wait_for, "disconnect", lambda e: e.number == held.number)
