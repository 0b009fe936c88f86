"""An Ollama that is killed in the middle of an answer and started again on the same port."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import OLLAMA_SETTINGS, environment
from scripted_ollama import MODEL, TIMEOUT_S
from test_inline_completion import items_of, open_document, params

SCRIPT = Path(__file__).with_name("scripted_ollama.py")
REQUEST_FAILED = -32803


class OllamaProcess:
    """The scripted Ollama as a process of its own."""

    def __init__(self, port=0, hold="nowhere"):
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(port), "--hold", hold], stdout=subprocess.PIPE, text=True
        )
        self._events = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.wait_for("url")

    def _read(self):
        for line in self._process.stdout:
            with self._changed:
                self._events.append(json.loads(line))
                self._changed.notify_all()

    def wait_for(self, kind, marker=""):
        """The prompt of the first event of that kind that holds `marker`."""

        def find():
            fits = (e["prompt"] for e in self._events if e["kind"] == kind and marker in e["prompt"])
            return next(fits, None)

        with self._changed:
            assert self._changed.wait_for(lambda: find() is not None, TIMEOUT_S), (
                f"no {kind!r} with {marker!r}; seen: {self._events}"
            )
            return find()

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def kill(self):
        """As `kill -9` does."""
        self._process.kill()
        self._process.wait()
        self._reader.join(TIMEOUT_S)
        self._process.stdout.close()


@pytest.fixture
def ollamas():
    """Starts processes; all are ended with the test."""
    running = []

    def start(*arguments, **named):
        running.append(OllamaProcess(*arguments, **named))
        return running[-1]

    yield start
    for process in running:
        if process._process.poll() is None:
            process.kill()


@pytest.fixture
def serve(start, tmp_path):
    """A server in front of one Ollama, ready."""

    def serve(ollama):
        roles = f'[roles.chat]\ncandidates = ["fake/{MODEL}"]\n'
        settings = OLLAMA_SETTINGS.format(url=ollama.url, model=MODEL) + roles
        env = environment(tmp_path, settings) | {"GHOSTLINE_CACHE_DIR": str(tmp_path / "cache")}
        server = start(env)
        server.initialize()
        server.wait_until_ready()
        server.wait_until_ready("chat")
        return server

    return serve


def completed(server, text):
    """Asks until there is a text: what is asked before the server was found again is an empty answer."""
    for _ in range(100_000):
        items = items_of(server.request("textDocument/inlineCompletion", params(text)))
        if items:
            return items
    raise AssertionError("the server does not come back")


@pytest.mark.parametrize("hold", ["before_headers", "after_first_chunk"])
def test_killed_and_started_again(ollamas, serve, hold):
    first = ollamas(hold=hold)
    server = serve(first)
    open_document(server, "total = ")
    asked = server.start_request("textDocument/inlineCompletion", params("total = "))
    first.wait_for("generate", "total")
    first.kill()
    # At once: nobody waits for a limit. What had come may be shown.
    assert "error" not in server.response(asked)
    status = server.request("ghostline/status")["result"]
    assert status["state"] in ("ready", "loading", "degraded", "unavailable")

    second = ollamas(first.port)
    # The load comes first: no request that can be cancelled may cause one.
    second.wait_for("load")
    assert completed(server, "total = ")
    assert server.shut_down() == 0


@pytest.mark.parametrize("hold", ["before_headers", "after_first_chunk"])
def test_a_chat_says_that_its_server_died(ollamas, serve, hold):
    first = ollamas(hold=hold)
    server = serve(first)
    asked = server.start_request("ghostline/chat", {"message": "What now?"})
    first.wait_for("chat", "What now?")
    first.kill()
    error = server.response(asked)["error"]
    assert error["code"] == REQUEST_FAILED
    assert error["message"]

    ollamas(first.port)
    server.wait_until_ready("chat")
    for _ in range(100_000):
        answer = server.request("ghostline/chat", {"message": "And now?"})
        if "result" in answer:
            break
        assert answer["error"]["code"] == REQUEST_FAILED, answer
    assert answer["result"]["message"] == "An answer."
    assert server.shut_down() == 0
