"""The tools of these tests, tested without the server: a wrong tool would blame it wrongly."""

import http.client
import io
import json
import os
import sys

import pytest
from documents import change, document_in, end_of, index_of, insert, offset_of, position
from framing import FramingClient, frame, read_frame
from scripted_ollama import MODEL, Reply

# One line of each: a b, emoji (2 UTF-16 units, 4 bytes), e + combining acute, CRLF, lone CR, VT.
MIXED = "ab\r\n\U0001f600x\re\u0301y\nz\x0bw"


@pytest.mark.parametrize(
    ("place", "encoding", "character"),
    [
        ((0, 2), "utf-8", 2),
        ((1, 1), "utf-8", 4),
        ((1, 1), "utf-16", 2),
        ((1, 1), "utf-32", 1),
        ((2, 2), "utf-8", 3),
        ((2, 2), "utf-16", 2),
        ((3, 3), "utf-16", 3),
    ],
)
def test_positions(place, encoding, character):
    found = position(MIXED, place, encoding)
    assert found == {"line": place[0], "character": character}
    assert index_of(MIXED, found, encoding) == offset_of(MIXED, place)


def test_a_change_gives_the_event_and_the_text():
    event, text = change("a\U0001f600b\nc", (0, 2), (1, 0), "-", "utf-16")
    assert event["range"] == {
        "start": {"line": 0, "character": 3},
        "end": {"line": 1, "character": 0},
    }
    assert text == "a\U0001f600-c"
    assert end_of(text) == (0, 4)


def test_an_item_replaces_its_range():
    item = {
        "range": {"start": {"line": 0, "character": 2}, "end": {"line": 0, "character": 3}},
        "insertText": "xyz",
    }
    assert insert("\U0001f600x;", item, "utf-16") == "\U0001f600xyz;"


@pytest.mark.parametrize(
    "prompt",
    [
        "<|fim_prefix|>a\nb<|fim_suffix|>\nc<|fim_middle|>",
        "<|fim_prefix|>a\n<|fim_suffix|>\nc<|fim_middle|>b",
        "<|repo_name|>r<|file_sep|>f\n<|fim_prefix|>a\n<|fim_suffix|>\nc<|fim_middle|>b",
    ],
)
def test_a_prompt_tells_the_document(prompt):
    assert document_in(prompt) == ("a\nb", "\nc")


def test_frames_are_read_back():
    stream = io.BytesIO(frame({"text": "\U0001f600"}) + frame(b"{}", "A: b\r\nContent-Length: {length}\r\n\r\n"))
    assert json.loads(read_frame(stream)) == {"text": "\U0001f600"}
    assert read_frame(stream) == b"{}"
    assert read_frame(stream) is None


# Answers each request with its own id, then asks for configuration; ends with 7.
ECHO_SERVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from framing import frame, read_frame
while (content := read_frame(sys.stdin.buffer)) is not None:
    message = json.loads(content)
    if message.get("method") == "exit":
        sys.exit(7)
    if "method" not in message:
        reply = {"method": "configured", "params": message["result"]}
    elif "id" in message:
        reply = {"id": message["id"], "result": message.get("params", "absent")}
    else:
        reply = {"id": "q", "method": "workspace/configuration", "params": {"items": [{}, {}]}}
    sys.stdout.buffer.write(frame({"jsonrpc": "2.0"} | reply))
    sys.stdout.buffer.flush()
"""


@pytest.fixture
def echo():
    with FramingClient([sys.executable, "-c", ECHO_SERVER, os.path.dirname(__file__)], os.environ) as client:
        yield client


def test_the_framing_client_tells_ids_apart(echo):
    # 1 and "1" and True are equal or alike in some languages, and different ids here.
    first, second = echo.start_request("a", {"n": 1}, id=1), echo.start_request("a", {"n": 2}, id="1")
    assert echo.response(second)["result"] == {"n": 2}
    assert echo.response(first)["result"] == {"n": 1}
    assert echo.request("a")["result"] == "absent"


def test_the_framing_client_answers_the_server(echo):
    echo.notify("ask")
    answer = echo.wait_for(lambda m: m.get("method") == "configured", "the answer")
    assert answer["params"] == [None, None]


def test_the_framing_client_says_when_the_server_ended(echo):
    echo.notify("exit")
    assert echo.exit_code() == 7
    with pytest.raises(AssertionError, match="the server ended"):
        echo.request("a")


@pytest.fixture
def connection(ollama):
    connection = http.client.HTTPConnection("127.0.0.1", ollama._http.server_port, timeout=30)
    yield connection
    connection.close()


def ask(connection, path, body=None):
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
    response = connection.getresponse()
    return response.status, [json.loads(line) for line in response.read().splitlines()]


def test_ollama_knows_one_model(connection):
    _, [tags] = ask(connection, "/api/tags")
    assert [model["name"] for model in tags["models"]] == [MODEL]
    assert ask(connection, "/api/version") == (200, [{"version": "0.33.0"}])
    assert ask(connection, "/api/show", {"model": MODEL})[0] == 200
    assert ask(connection, "/api/show", {"model": "other"}) == (404, [{"error": "model 'other' not found"}])


@pytest.mark.parametrize(
    ("reply", "lines"),
    [
        (Reply(("a", "\u00e9")), [("a", False), ("\u00e9", False), ("", True)]),
        (Reply(("a",), broken_off=True), [("a", False)]),
        (Reply(("a",), error="out of memory"), [("a", False), ("out of memory", None)]),
    ],
)
def test_ollama_streams_what_it_is_told(ollama, connection, reply, lines):
    ollama.reply = reply
    status, found = ask(connection, "/api/generate", {"model": MODEL, "prompt": "p"})
    assert status == 200
    assert [(line.get("response", line.get("error")), line.get("done")) for line in found] == lines
    assert ollama.generations()[0].prompt == "p"
    ollama.wait_for("finished")


def test_ollama_fails_as_told(ollama, connection):
    ollama.reply = Reply(status=500, error="llama runner process has terminated")
    assert ask(connection, "/api/generate", {"prompt": "p"})[0] == 500


@pytest.mark.parametrize("hold", ["before_headers", "after_first_chunk"])
@pytest.mark.parametrize("leaves", [True, False])
def test_ollama_holds_a_stream(ollama, connection, hold, leaves):
    ollama.reply = Reply(("a", "b"), hold=hold)
    connection.request("POST", "/api/generate", json.dumps({"prompt": "p"}))
    held = ollama.wait_for("generate")
    if leaves:
        connection.sock.close() if hold == "before_headers" else connection.close()
        ollama.wait_for("disconnect", lambda e: e.number == held.number)
    else:
        ollama.release()
        assert len(connection.getresponse().read().splitlines()) == 3
        ollama.wait_for("finished", lambda e: e.number == held.number)
