"""An Ollama that does as it is told: the protocol of version 0.33, with one model.

The tests say what it answers, let it hold a stream open, and read what it was asked. It stands in
for Ollama because no package registry ships one; what it reproduces was read in Ollama's source:
headers are not sent before the first token, one JSON object per line, errors as `{"error": ...}`.

Everything that happens is an entry in `events`; waiting for something is waiting for an entry.

    scripted_ollama.py PORT [--hold before_headers|after_first_chunk]

runs it as a process, which tests kill. Each event is a line of JSON on standard output.
"""

import argparse
import json
import os
import select
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "qwen2.5-coder:1.5b-base"
DIGEST = "02e0f2817a890a2e2e2c2fdb0a0b6a8a4f6f0d7c1f2c9d5c2c1a7a1b9e3d4f50"

# Bounds a failure, not a success.
TIMEOUT_S = 30

# How often the server looks whether it should end; its default of half a second delays every test.
POLL_S = 0.01


@dataclass
class Reply:
    """What one generation does.

    `hold` says where the stream stops until `release()` or the client leaves: before the headers,
    after the first chunk, or nowhere.
    """

    chunks: tuple[str, ...] = ("result",)
    hold: str = "nowhere"  # nowhere | before_headers | after_first_chunk
    status: int = 200
    # Sent in the place of the rest, as a line `{"error": ...}`.
    error: str | None = None
    # Leaves out the closing line with "done": true.
    broken_off: bool = False


@dataclass
class Event:
    """Something that happened: `generate`, `load`, `disconnect`, `finished`, or another path."""

    kind: str
    number: int
    body: dict = field(default_factory=dict)

    @property
    def prompt(self):
        return self.body.get("prompt", "")


class ScriptedOllama:
    """The server; use it as a context manager."""

    def __init__(self, port=0):
        self.reply = Reply()
        self.chat_reply = Reply(("An answer.",))
        #: The lines of the next fetch, with the hold before the last.
        self.pull = ()
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._numbers = 0
        # A pipe, so that a held stream waits for its release and its client in one call.
        self._release_reader, self._release_writer = os.pipe()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler_for(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(POLL_S,), daemon=True
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self.release()
        self._http.shutdown()
        self._http.server_close()

    def release(self):
        """Lets every held stream go on, now and later."""
        os.write(self._release_writer, b"x")

    def record(self, kind, number=None, body=None):
        with self._changed:
            if number is None:
                self._numbers += 1
                number = self._numbers
            event = Event(kind, number, body or {})
            self.events.append(event)
            self._changed.notify_all()
            return event

    def wait_for(self, kind, where=lambda event: True, timeout_s=TIMEOUT_S):
        """The first event of that kind for which `where` holds, past or to come."""

        def find():
            return next((e for e in list(self.events) if e.kind == kind and where(e)), None)

        with self._changed:
            if not self._changed.wait_for(lambda: find() is not None, timeout_s):
                seen = [(e.kind, e.number, e.prompt[-80:]) for e in self.events]
                raise AssertionError(f"no such {kind!r} within {timeout_s} s; seen: {seen}")
            return find()

    def generations(self, marker=""):
        """The generations whose prompt holds `marker`, in order."""
        with self._changed:
            return [e for e in self.events if e.kind == "generate" and marker in e.prompt]

    def hold(self, connection):
        """Waits for the release; False when the client left first."""
        deadline = time.monotonic() + TIMEOUT_S
        while (left_s := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([connection, self._release_reader], [], [], left_s)
            # The byte stays in the pipe: a release is for all.
            if self._release_reader in ready:
                return True
            if connection in ready:
                # The request has been read to its end, so only the end of the connection is left.
                return False
        return True


def _details():
    return {
        "parent_model": "",
        "format": "gguf",
        "family": "qwen2",
        "families": ["qwen2"],
        "parameter_size": "1.5B",
        "quantization_level": "Q4_K_M",
    }


def _model_entry():
    return {
        "name": MODEL,
        "model": MODEL,
        "modified_at": "2026-08-18T12:00:00.000000000Z",
        "size": 986_062_089,
        "digest": DIGEST,
        "details": _details(),
    }


def _show():
    return {
        "license": "Apache License 2.0",
        "modelfile": "FROM blob",
        "template": "{{ .Prompt }}",
        "details": _details(),
        "model_info": {
            "general.architecture": "qwen2",
            "general.parameter_count": 1_543_714_304,
            "qwen2.context_length": 32_768,
            "tokenizer.ggml.model": "gpt2",
        },
        "capabilities": ["completion"],
        "modified_at": "2026-08-18T12:00:00.000000000Z",
    }


def _said(text, chat):
    return {"message": {"role": "assistant", "content": text}} if chat else {"response": text}


def _handler_for(ollama):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format, *args):
            pass

        def do_HEAD(self):
            self._send_json(200, {})

        def do_GET(self):
            ollama.record(self.path)
            answers = {
                "/": {},
                "/api/version": {"version": "0.33.0"},
                "/api/tags": {"models": [_model_entry()]},
                "/api/ps": {
                    "models": [
                        _model_entry()
                        | {
                            "expires_at": "2318-01-01T00:00:00Z",
                            "size_vram": 0,
                            "context_length": 4096,
                        }
                    ]
                },
            }
            if self.path in answers:
                self._send_json(200, answers[self.path])
            else:
                self._send_json(404, {"error": "404 page not found"})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            if self.path == "/api/pull" and ollama.pull:
                self._pull(body)
            elif body.get("model", MODEL) != MODEL:
                self._send_json(404, {"error": f"model '{body['model']}' not found"})
            elif self.path == "/api/show":
                ollama.record(self.path, body=body)
                self._send_json(200, _show())
            elif self.path == "/api/generate":
                self._generate(body)
            elif self.path == "/api/chat":
                self._answer("chat", ollama.chat_reply, body)
            else:
                self._send_json(404, {"error": "404 page not found"})

        def _generate(self, body):
            if not body.get("prompt"):
                ollama.record("load", body=body)
                self._send_json(200, self._done("load", []))
                return
            # What the test scripts is about documents; a warm-up asks for one token of anything.
            reply = Reply(("#",)) if body["prompt"] == "#" else ollama.reply
            self._answer("generate", reply, body)

        def _pull(self, body):
            ollama.record(self.path, body=body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            *first, last = ollama.pull
            for line in first:
                self._send_line(line)
            # The release at the end finds nobody where the client left.
            with suppress(BrokenPipeError, ConnectionResetError):
                if ollama.hold(self.connection):
                    self._send_line(last)
                    self.wfile.write(b"0\r\n\r\n")
                    return
            self.close_connection = True

        def _answer(self, kind, reply, body):
            event = ollama.record(kind, body=body)
            try:
                finished = self._stream(reply, body)
            except (BrokenPipeError, ConnectionResetError):
                finished = False
            ollama.record("finished" if finished else "disconnect", event.number)
            if not finished:
                self.close_connection = True

        def _stream(self, reply, body):
            if reply.hold == "before_headers" and not ollama.hold(self.connection):
                return False
            if reply.status != 200:
                self._send_json(reply.status, {"error": reply.error or "llama runner failed"})
                return True
            chat = "messages" in body
            if body.get("stream") is False:
                text = _said("".join(reply.chunks), chat)
                self._send_json(200, self._done("stop", reply.chunks) | text)
                return True
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number, text in enumerate(reply.chunks):
                self._send_line(
                    {
                        "model": MODEL,
                        "created_at": "2026-08-18T12:00:00Z",
                        "done": False,
                    }
                    | _said(text, chat)
                )
                if number == 0 and reply.hold == "after_first_chunk" and not ollama.hold(self.connection):
                    return False
            if reply.error is not None:
                self._send_line({"error": reply.error})
            elif not reply.broken_off:
                self._send_line(self._done("stop", reply.chunks))
            self.wfile.write(b"0\r\n\r\n")
            return True

        def _done(self, reason, chunks):
            return {
                "model": MODEL,
                "created_at": "2026-08-18T12:00:01Z",
                "response": "",
                "done": True,
                "done_reason": reason,
                "total_duration": 3_000_000,
                "load_duration": 1_000_000,
                "prompt_eval_count": 30,
                "prompt_eval_duration": 1_000_000,
                "eval_count": len(chunks),
                "eval_duration": 1_000_000,
            }

        def _send_line(self, value):
            line = json.dumps(value, ensure_ascii=False).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.wfile.flush()

        def _send_json(self, status, value):
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    return Handler


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--hold", default="nowhere")
    arguments = parser.parse_args()

    class Told(ScriptedOllama):
        def record(self, kind, number=None, body=None):
            event = super().record(kind, number, body)
            prompt = event.prompt or json.dumps(event.body.get("messages", ""))
            # One line at a time, whichever thread it is.
            with self._changed:
                print(json.dumps({"kind": kind, "prompt": prompt}), flush=True)
            return event

    with Told(arguments.port) as ollama:
        ollama.reply = Reply(("compute", "(1)"), hold=arguments.hold)
        ollama.chat_reply = Reply(("An", " answer."), hold=arguments.hold)
        print(json.dumps({"kind": "url", "prompt": ollama.url}), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
