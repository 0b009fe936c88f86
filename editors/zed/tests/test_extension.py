"""The extension as Zed runs it: what it answers, and that the server takes it.

GHOSTLINE_ZED_EXTENSION names the built extension and GHOSTLINE_BIN the program; `.ci/editors/zed` builds the one
and hands on the other.
"""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest
from framing import FramingClient
from scripted_ollama import MODEL, ScriptedOllama

pytest.importorskip("wasmtime", reason="the runtime is not built for this system")

from host import API, Extension, Failed, Worktree, api_version  # noqa: E402  # what it needs may be missing

EXTENSION = Path(__file__).resolve().parents[1]
README = (EXTENSION.parents[1] / "README.md").read_text()
MANIFEST = tomllib.loads((EXTENSION / "extension.toml").read_text())
#: What Zed calls the server.
[SERVER] = MANIFEST["language_servers"]


@pytest.fixture(scope="session")
def wasm():
    named = os.environ.get("GHOSTLINE_ZED_EXTENSION")
    if not named:
        pytest.skip("GHOSTLINE_ZED_EXTENSION names no extension; .ci/editors/zed builds one")
    return Path(named).read_bytes()


@pytest.fixture
def load(wasm, tmp_path):
    return lambda worktree: Extension(wasm, worktree, tmp_path)


ON_PATH = {"ghostline": "/usr/bin/ghostline", "ghostline-old": "/bin/false"}
SHELL = {"PATH": "/usr/bin", "LANG": "C"}


@pytest.mark.parametrize(
    ("lsp", "command"),
    [
        ({}, ("/usr/bin/ghostline", ["serve"], SHELL)),
        ({"rust-analyzer": {"binary": {"path": "/ra"}}}, ("/usr/bin/ghostline", ["serve"], SHELL)),
        ({SERVER: {"binary": {}}}, ("/usr/bin/ghostline", ["serve"], SHELL)),
        ({SERVER: {"binary": {"path": "/opt/ä b/ghostline"}}}, ("/opt/ä b/ghostline", ["serve"], SHELL)),
        (
            {SERVER: {"binary": {"arguments": ["serve", "--log-file", "/var/log/g"]}}},
            ("/usr/bin/ghostline", ["serve", "--log-file", "/var/log/g"], SHELL),
        ),
        (
            {SERVER: {"binary": {"path": "/x", "env": {"GHOSTLINE_LOG": "debug", "LANG": "de_DE"}}}},
            ("/x", ["serve"], {"PATH": "/usr/bin", "LANG": "de_DE", "GHOSTLINE_LOG": "debug"}),
        ),
    ],
)
def test_the_command(load, lsp, command):
    assert load(Worktree(ON_PATH, SHELL, lsp)).command(SERVER) == command


def test_without_a_program_it_says_what_to_do(load):
    with pytest.raises(Failed, match=r"not on PATH; run `make install` .* lsp\.ghostline\.binary\.path$"):
        load(Worktree()).command(SERVER)


def test_settings_that_cannot_be_read_are_an_error(load):
    extension = load(Worktree(ON_PATH, broken_settings="a comma is missing"))
    for ask in (extension.command, extension.initialization_options, extension.workspace_configuration):
        with pytest.raises(Failed, match="a comma is missing"):
            ask(SERVER)


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        (None, None),
        ({"inline": {"max_tokens": 32}}, {"ghostline": {"inline": {"max_tokens": 32}}}),
        ({"ghostline": {"inline": {"max_tokens": 32}}}, {"ghostline": {"inline": {"max_tokens": 32}}}),
        ({}, {"ghostline": {}}),
        # A project's own file may say so as well: where text goes is said in the server's own.
        (
            {"backends": {"x": {"urls": ["http://192.0.2.1"]}}, "privacy": {}, "trust": {}, "trusted": True},
            {"ghostline": {}},
        ),
        ({"ghostline": {"trusted": True, "inline": {}}}, {"ghostline": {"inline": {}}}),
    ],
)
def test_settings_go_to_the_server_under_its_name(load, settings, sent):
    extension = load(Worktree(lsp={SERVER: {"settings": settings}}))
    assert extension.initialization_options(SERVER) == sent
    assert extension.workspace_configuration(SERVER) == sent


def test_it_asks_for_the_settings_of_the_folder_that_is_open(load):
    worktree = Worktree(ON_PATH)
    load(worktree).command(SERVER)
    assert worktree.asked == [("lsp", "ghostline", (7, ""))]


def test_zed_knows_the_interface_that_it_wants(wasm):
    assert api_version(wasm) == API
    # Zed also reads the manifest, of this form only.
    assert MANIFEST["schema_version"] == 1
    cargo = tomllib.loads((EXTENSION / "Cargo.toml").read_text())
    assert MANIFEST["version"] == cargo["package"]["version"]


def readme_settings():
    """The README's block of JSON for Zed."""
    return json.loads(re.search(r"```json\n(.*?)```", README[README.index("**Zed,**") :], re.DOTALL)[1])


def test_the_server_starts_with_what_zed_is_told(load, tmp_path):
    """With the README's settings: Zed's part is played by the host and a client, the server is the real one."""
    lsp = readme_settings()["lsp"]
    chat = lsp[SERVER]["settings"]["roles"]["chat"]
    [candidate] = chat["candidates"]
    backend, _ = candidate.split("/")
    # The scripted Ollama has one model.
    chat["candidates"] = [f"{backend}/{MODEL}"]
    with ScriptedOllama() as ollama:
        (tmp_path / "config.toml").write_text(
            f'[backends.{backend}]\nkind = "ollama"\nurls = ["{ollama.url}"]\n[index]\nenabled = false\n'
        )
        shell = {"HOME": str(tmp_path), "GHOSTLINE_CONFIG": str(tmp_path / "config.toml")}
        shell["GHOSTLINE_CACHE_DIR"] = str(tmp_path / "cache")
        program = os.environ.get("GHOSTLINE_BIN") or pytest.fail("GHOSTLINE_BIN names no program")
        extension = load(Worktree({"ghostline": program}, shell, lsp))
        command, arguments, env = extension.command(SERVER)
        with FramingClient([command, *arguments], env) as client:
            client.initialize(initializationOptions=extension.initialization_options(SERVER))
            client.notify("workspace/didChangeConfiguration", {"settings": extension.workspace_configuration(SERVER)})
            client.wait_until_ready("chat")
            served = client.request("ghostline/status")["result"]["roles"]["chat"]
            assert (served["backend"], served["model"], served["fallback"]) == (backend, MODEL, False)
            assert client.shut_down() == 0
