"""Helix, with the README's settings: an editor without ghost text, beside its language's own server."""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from scripted_ollama import Reply
from screen import Screen


def settings():
    """The README's block of TOML for Helix."""
    readme = (ROOT / "README.md").read_text()
    return re.search(r"```toml\n(.*?)```", readme[readme.index("**Helix,**") :], re.DOTALL)[1]


@pytest.fixture
def helix(program, chat_env, tmp_path):
    found = shutil.which("hx", path=os.environ.get("GHOSTLINE_TEST_EDITORS", "")) or shutil.which("hx")
    if not found:
        pytest.skip("no Helix: .ci/editors/terminal fetches one for GHOSTLINE_TEST_EDITORS")
    folder = tmp_path / ".config" / "helix"
    folder.mkdir(parents=True)
    (folder / "languages.toml").write_text(settings())
    file = tmp_path / "a.rs"
    file.write_text("fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n")
    path = os.pathsep.join([str(Path(program).parent), "/usr/bin", "/bin"])
    env = chat_env | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config"), "PATH": path}
    with Screen(shlex.join([found, str(file)]), env) as screen:
        yield screen


def test_helix_lists_actions_and_shows_an_explanation(helix, ollama):
    ollama.chat_reply = Reply(("It adds **two** numbers.",))
    helix.wait_for("fn add")
    # Helix has told the server that it is up.
    ollama.wait_for("/api/tags")
    helix.keys("%", "Space", "a")
    # Helix sorts them its own way and chooses the first.
    titles = helix.wait_for("Plan the change").split("\n")
    first, wanted = ([title in line for line in titles].index(True) for title in ("Document", "Explain"))
    helix.keys(*["Down"] * (wanted - first), "Enter")
    helix.wait_for("It adds **two** numbers.")
