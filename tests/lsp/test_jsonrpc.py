"""The base protocol: ids, unknown methods, broken messages, frames."""

import json
import time

import pytest
from framing import NO_PARAMS, TIMEOUT_S, frame

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602


@pytest.fixture
def ready(server):
    server.initialize()
    return server


def assert_served(server):
    assert server.request("ghostline/status")["result"]["roles"]


@pytest.mark.parametrize(
    "id", [0, 1, -1, 2**31 - 1, "1", "", "an id", "\u00fc\U0001f600", "0"], ids=repr
)
def test_an_answer_has_the_id_of_its_request(ready, id):
    assert "result" in ready.request("ghostline/status", id=id)
    assert_served(ready)
    assert [r["id"] for r in ready.responses()].count(id) == 1


def test_many_requests_are_answered_once_each(ready):
    ids = [ready.start_request("ghostline/status", id=n if n % 2 else str(n)) for n in range(500)]
    for id in ids:
        assert "result" in ready.response(id)
    answered = [r["id"] for r in ready.responses()]
    assert len(answered) == len(set(map(repr, answered)))


@pytest.mark.parametrize(
    "method",
    ["unknown/method", "$/unknown", "textDocument/noSuchThing", "ghostline/noSuchThing", "", "exit "],
)
@pytest.mark.parametrize("params", [NO_PARAMS, None, {}, []], ids=["absent", "null", "{}", "[]"])
def test_an_unknown_request_is_refused(ready, method, params):
    assert ready.request(method, params)["error"]["code"] == METHOD_NOT_FOUND
    assert_served(ready)


@pytest.mark.parametrize("method", ["unknown/method", "$/unknown", "$/setTrace", "$/progress"])
@pytest.mark.parametrize("params", [NO_PARAMS, None, {"a": 1}], ids=["absent", "null", "{a}"])
def test_an_unknown_notification_is_ignored(ready, method, params):
    ready.notify(method, params)
    assert_served(ready)
    assert all("result" in r for r in ready.responses())


@pytest.mark.parametrize(
    "params", [NO_PARAMS, {}, {"id": 999}, {"id": "none"}, {"id": None}, {"id": {}}], ids=repr
)
def test_cancelling_what_is_not_there_is_ignored(ready, params):
    ready.notify("$/cancelRequest", params)
    assert_served(ready)
    assert all("result" in r for r in ready.responses())


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/inlineCompletion", NO_PARAMS),
        ("textDocument/inlineCompletion", {}),
        ("textDocument/inlineCompletion", {"textDocument": {"uri": 7}}),
        ("textDocument/inlineCompletion", "text"),
        ("workspace/executeCommand", {"command": 7}),
    ],
)
def test_wrong_parameters_of_a_request_are_an_error(ready, method, params):
    assert ready.request(method, params)["error"]["code"] in (INVALID_PARAMS, INVALID_REQUEST)
    assert_served(ready)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/didOpen", NO_PARAMS),
        ("textDocument/didOpen", {"textDocument": {"uri": "file:///a"}}),
        ("textDocument/didChange", {"textDocument": {"uri": "file:///a"}, "contentChanges": "x"}),
        ("textDocument/didChange", {"textDocument": {"uri": "file:///never", "version": 2}, "contentChanges": [{"text": "x"}]}),
        ("textDocument/didClose", {"textDocument": {"uri": "file:///never"}}),
        ("textDocument/didClose", 7),
    ],
)
def test_wrong_parameters_of_a_notification_harm_nothing(ready, method, params):
    ready.notify(method, params)
    assert_served(ready)
    assert all("result" in r for r in ready.responses())


STATUS = {"jsonrpc": "2.0", "id": 1, "method": "ghostline/status"}


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b"{bad json", {PARSE_ERROR}),
        (b"", {PARSE_ERROR, INVALID_REQUEST}),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "x\xff"}', {PARSE_ERROR}),
        # JavaScript's JSON.stringify writes half a surrogate pair like this.
        (b'{"jsonrpc": "2.0", "id": 1, "method": "x\\ud800"}', {PARSE_ERROR, METHOD_NOT_FOUND}),
        (b"42", {PARSE_ERROR, INVALID_REQUEST}),
        (b"null", {PARSE_ERROR, INVALID_REQUEST}),
        (b'"text"', {PARSE_ERROR, INVALID_REQUEST}),
        (b"{}", {PARSE_ERROR, INVALID_REQUEST}),
        (b"[]", {PARSE_ERROR, INVALID_REQUEST}),
        # LSP has no batches.
        (json.dumps([STATUS]).encode(), {PARSE_ERROR, INVALID_REQUEST}),
        (json.dumps(STATUS | {"method": 7}).encode(), {PARSE_ERROR, INVALID_REQUEST}),
        (json.dumps(STATUS | {"id": {}}).encode(), {PARSE_ERROR, INVALID_REQUEST}),
        (json.dumps(STATUS | {"jsonrpc": "1.0"}).encode(), {PARSE_ERROR, INVALID_REQUEST}),
        (b"[" * 100_000, {PARSE_ERROR, INVALID_REQUEST}),
    ],
    ids=["bad json", "empty", "bad utf-8", "half a surrogate", "number", "null", "string", "no method", "empty batch", "batch", "method 7", "id {}", "version 1", "deep"],
)
def test_a_broken_message_is_an_error_and_the_next_is_served(ready, content, codes):
    ready.send_bytes(frame(content))
    error = ready.wait_for(lambda m: "error" in m, "error")
    assert error["error"]["code"] in codes
    assert_served(ready)


@pytest.mark.parametrize(
    "header",
    [
        "content-length: {length}\r\n\r\n",
        "CONTENT-LENGTH:{length}\r\n\r\n",
        "Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length: {length}\r\n\r\n",
        "Content-Length: {length}\r\nContent-Type: application/vscode-jsonrpc; charset=utf8\r\n\r\n",
        "A: b\r\nContent-Length: {length}\r\nC: d\r\n\r\n",
    ],
)
def test_any_good_header_is_understood(ready, header):
    ready.send_bytes(frame(STATUS, header))
    assert "result" in ready.response(1)


def test_a_message_in_pieces_is_put_together(ready):
    for byte in frame(STATUS):
        ready.send_bytes(bytes([byte]))
    assert "result" in ready.response(1)


def test_several_messages_at_once_are_taken_apart(ready):
    ready.send_bytes(b"".join(frame(STATUS | {"id": n}) for n in range(50)))
    for n in range(50):
        assert "result" in ready.response(n)


@pytest.mark.parametrize("length", ["4000000000", "99999999999999999999999", "-1", "many"])
def test_a_length_nobody_means_does_not_hang(ready, length):
    """Framing is lost: an error or an end, but no silence, and no such allocation."""
    ready.send_bytes(f"Content-Length: {length}\r\n\r\n".encode() + b"{}")
    start = time.monotonic()
    try:
        assert "error" in ready.wait_for(lambda m: "error" in m, "error")
    except AssertionError:
        assert time.monotonic() - start < TIMEOUT_S, "silence"
        assert ready.exit_code() != 0
