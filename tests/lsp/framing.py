"""A client that knows frames and JSON and nothing else of LSP.

It sends what a well-behaved library refuses to: any id, broken frames, missing `params`. It answers
the server's own requests, keeps every message, and tells when an id was answered twice.
"""

import json
import os
import signal
import subprocess
import threading

# Bounds a failure, not a success.
TIMEOUT_S = 30

NO_PARAMS = object()


def frame(content, header="Content-Length: {length}\r\n\r\n"):
    """`content` with its header; bytes as they are, anything else as JSON."""
    if not isinstance(content, bytes):
        content = json.dumps(content, ensure_ascii=False).encode()
    return header.format(length=len(content)).encode() + content


def read_frame(stream):
    """The next content, or None at the end of the stream."""
    length = None
    while True:
        line = stream.readline()
        if not line:
            return None
        if line == b"\r\n":
            break
        assert line.endswith(b"\r\n"), f"not a header: {line!r}"
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    assert length is not None, "a frame without Content-Length"
    content = stream.read(length)
    return content if len(content) == length else None


class FramingClient:
    """Runs a program and talks to it; use it as a context manager."""

    def __init__(self, command, env):
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._changed = threading.Condition()
        self._write_lock = threading.Lock()
        self.messages = []
        self._ended = False
        self._fault = None
        self._next_id = 1000
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close_stdin()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(TIMEOUT_S)
        self._process.stdout.close()

    def _read(self):
        try:
            while (content := read_frame(self._process.stdout)) is not None:
                message = json.loads(content)
                if "id" in message and "method" in message:
                    self._answer(message)
                with self._changed:
                    self.messages.append(message)
                    self._changed.notify_all()
        except (AssertionError, ValueError) as fault:
            self._fault = fault
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _answer(self, request):
        """The least that each of the server's requests needs."""
        result = None
        if request["method"] == "workspace/configuration":
            result = [None for _ in request["params"]["items"]]
        self.send({"jsonrpc": "2.0", "id": request["id"], "result": result})

    def send_bytes(self, content):
        try:
            with self._write_lock:
                self._process.stdin.write(content)
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            # The server has ended; whoever waits for an answer is told so.
            pass

    def send(self, message):
        self.send_bytes(frame(message))

    def notify(self, method, params=NO_PARAMS):
        message = {"jsonrpc": "2.0", "method": method}
        if params is not NO_PARAMS:
            message["params"] = params
        self.send(message)

    def start_request(self, method, params=NO_PARAMS, id=None):
        """Sends a request and returns its id."""
        if id is None:
            self._next_id += 1
            id = self._next_id
        message = {"jsonrpc": "2.0", "id": id, "method": method}
        if params is not NO_PARAMS:
            message["params"] = params
        self.send(message)
        return id

    def request(self, method, params=NO_PARAMS, id=None):
        """Sends a request and returns the response."""
        return self.response(self.start_request(method, params, id))

    def response(self, id):
        """The one response to `id`, which has the id's own type."""

        def is_it(message):
            return (
                "method" not in message
                and "id" in message
                and type(message["id"]) is type(id)
                and message["id"] == id
            )

        return self.wait_for(is_it, f"a response to {id!r}")

    def responses(self):
        with self._changed:
            return [m for m in self.messages if "method" not in m]

    def wait_for(self, is_it, what):
        """The first message for which `is_it` holds, past or to come."""

        def find():
            return next((m for m in self.messages if is_it(m)), None)

        with self._changed:
            self._changed.wait_for(lambda: find() is not None or self._ended, TIMEOUT_S)
            found = find()
            if found is None:
                how = "the server ended" if self._ended else f"not within {TIMEOUT_S} s"
                raise AssertionError(f"no {what}: {how}; {self._fault or ''} seen: {self.messages}")
            return found

    def close_stdin(self):
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass

    def exit_code(self):
        """Waits for the process to end by itself."""
        try:
            return self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.kill(self._process.pid, signal.SIGKILL)
            raise AssertionError(f"the server did not end within {TIMEOUT_S} s") from None

    # What nearly every conversation begins and ends with.

    def initialize(self, capabilities=None, **params):
        result = self.request(
            "initialize",
            {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities or {}} | params,
        )
        self.notify("initialized", {})
        return result

    def wait_until_ready(self, role="completion"):
        """Waits until a model serves `role`."""

        def is_ready(status):
            return status["roles"].get(role, {}).get("state") == "ready"

        status = self.request("ghostline/status")
        if not is_ready(status["result"]):
            self.wait_for(
                lambda m: m.get("method") == "ghostline/statusChanged" and is_ready(m["params"]),
                f"status in which {role} is ready",
            )

    def shut_down(self):
        """Ends the conversation as the protocol wants it and returns the exit code."""
        self.request("shutdown")
        self.notify("exit")
        return self.exit_code()
