"""The server under test, its settings, and the two clients.

GHOSTLINE_BIN names the program; without it, it is where Cargo puts the dev build.
"""

import asyncio
import os
from pathlib import Path

import pytest
import pytest_asyncio
from framing import TIMEOUT_S, FramingClient
from lsprotocol import types
from pytest_lsp import ClientServerConfig
from pytest_lsp.client import make_test_lsp_client
from scripted_ollama import MODEL, ScriptedOllama

ROOT = Path(__file__).resolve().parents[2]

# No debounce, the latest deadline and no prefetch: what is asked when is up to the test.
SETTINGS = """
[inline]
debounce = 0
deadline_ms = 5000
prefetch = false

[index]
enabled = false
"""

OLLAMA_SETTINGS = """
[backends.fake]
kind = "ollama"
urls = ["{url}"]

[roles.completion]
candidates = ["fake/{model}"]
"""

EMBEDDED_SETTINGS = """
[roles.completion]
candidates = ["embedded/qwen2.5-coder-0.5b"]
"""


@pytest.fixture(scope="session")
def program():
    default = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "ghostline"
    path = Path(os.environ.get("GHOSTLINE_BIN", default))
    if not path.is_file():
        pytest.fail(f"no program at {path}; build it, or name it in GHOSTLINE_BIN", pytrace=False)
    return str(path)


@pytest.fixture
def ollama():
    with ScriptedOllama() as server:
        yield server


def environment(folder, settings):
    """This process's environment without what would steer the server, plus the test's settings."""
    config = folder / "config.toml"
    config.write_text(SETTINGS + settings)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OLLAMA_", "GHOSTLINE_")) and not name.lower().endswith("_proxy")
    }
    return kept | {"GHOSTLINE_CONFIG": str(config)}


@pytest.fixture
def env(tmp_path, ollama):
    """With the scripted Ollama as the only backend of completion."""
    return environment(tmp_path, OLLAMA_SETTINGS.format(url=ollama.url, model=MODEL)) | {
        "GHOSTLINE_CACHE_DIR": str(tmp_path / "cache")
    }


@pytest.fixture
def chat_env(env):
    """The scripted Ollama answers chats too."""
    with open(env["GHOSTLINE_CONFIG"], "a") as config:
        config.write(f'[roles.chat]\ncandidates = ["fake/{MODEL}"]\n')
    return env


@pytest.fixture
def start(program, env):
    """Starts a server for the framing client; all are ended with the test."""
    clients = []

    def start_one(env=env):
        clients.append(FramingClient([program, "serve", "--stdio"], env))
        return clients[-1]

    yield start_one
    for client in clients:
        client.__exit__()


@pytest.fixture
def server(start):
    """A server that was just started."""
    return start()


class Session:
    """A conversation through pytest-lsp's client, which checks each message against LSP's types."""

    def __init__(self, client):
        self.client = client
        self.statuses = asyncio.Queue()

        @client.feature("ghostline/statusChanged")
        def on_status(params):
            self.statuses.put_nowait(params)

    async def initialize(self, encodings=None):
        general = types.GeneralClientCapabilities(position_encodings=encodings) if encodings else None
        return await within(
            self.client.initialize_session(
                types.InitializeParams(
                    root_uri=None,
                    capabilities=types.ClientCapabilities(
                        general=general,
                        text_document=types.TextDocumentClientCapabilities(
                            inline_completion=types.InlineCompletionClientCapabilities(),
                            code_action=types.CodeActionClientCapabilities(
                                code_action_literal_support=types.ClientCodeActionLiteralOptions(
                                    types.ClientCodeActionKindOptions([types.CodeActionKind.Refactor])
                                ),
                                data_support=True,
                                resolve_support=types.ClientCodeActionResolveOptions(["edit"]),
                            ),
                        ),
                        window=types.WindowClientCapabilities(work_done_progress=True),
                        workspace=types.WorkspaceClientCapabilities(configuration=True),
                    ),
                )
            )
        )

    async def wait_until_ready(self, timeout_s=TIMEOUT_S):
        status = await within(self.client.protocol.send_request_async("ghostline/status"))
        while status.roles.completion.state != "ready":
            status = await within(self.statuses.get(), timeout_s)

    async def close(self):
        """Ends the conversation, and the process in any case."""
        process = self.client._server
        try:
            await within(self.client.shutdown_session())
        finally:
            if process.returncode is None:
                process.kill()
            await self.client.stop()
        assert process.returncode == 0


async def within(awaitable, timeout_s=TIMEOUT_S):
    return await asyncio.wait_for(awaitable, timeout_s)


async def open_session(program, env):
    config = ClientServerConfig(
        server_command=[program, "serve", "--stdio"],
        client_factory=make_test_lsp_client,
        server_env=env,
    )
    return Session(await config.start())


@pytest_asyncio.fixture
async def session(program, env):
    """pytest-lsp's client, connected and not yet initialised."""
    session = await open_session(program, env)
    yield session
    await session.close()


@pytest_asyncio.fixture
async def chat_session(program, chat_env):
    session = await open_session(program, chat_env)
    yield session
    await session.close()


@pytest_asyncio.fixture
async def embedded_session(program, tmp_path):
    """The same, with the embedded engine; its weights are in the program's own cache folder."""
    session = await open_session(program, environment(tmp_path, EMBEDDED_SETTINGS))
    yield session
    await session.close()
