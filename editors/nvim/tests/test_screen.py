"""What stands on a terminal's screen: Neovim in tmux, with real keys."""

import os
import shlex
import shutil
import subprocess
import tempfile
import time

import pytest
from conftest import PLUGIN, TIMEOUT_S, editor, program
from scripted_ollama import Reply


class Screen:
    """A terminal of 80 by 16, in a tmux server of its own."""

    def __init__(self, socket, env, command):
        self.socket = socket
        self.tmux("-f", os.devnull, "new-session", "-d", "-x80", "-y16", command, env=env)

    def tmux(self, *words, env=None):
        done = subprocess.run(["tmux", "-S", self.socket, *words], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def text(self):
        return self.tmux("capture-pane", "-p")

    def wait_for(self, wanted):
        deadline = time.monotonic() + TIMEOUT_S
        while wanted not in (seen := self.text()):
            assert time.monotonic() < deadline, f"{wanted!r} is not on the screen:\n{seen}"
            # A terminal tells nobody that it has drawn; each look is a process of its own.
        return seen


@pytest.fixture
def screen(env, tmp_path):
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    init = tmp_path / "init.lua"
    init.write_text(
        f"""
        vim.opt.runtimepath:prepend([[{PLUGIN}]])
        vim.o.laststatus = 2
        vim.o.statusline = "%{{v:lua.require('ghostline').statusline()}}"
        require('ghostline').setup({{ cmd = {{ [[{program()}]], 'serve' }} }})
        """
    )
    file = tmp_path / "a.py"
    file.write_text("prices = [1]\n")
    command = shlex.join([editor(), "-u", str(init), "-i", "NONE", "-n", str(file)])
    # A socket's path may not be long.
    socket = os.path.join(tempfile.gettempdir(), f"ghostline-tmux-{os.getpid()}")
    screen = Screen(socket, env | {"TERM": "xterm-256color"}, command)
    yield screen
    screen.tmux("kill-server")


def test_ghost_text_and_status_stand_on_the_screen(screen, ollama):
    ollama.reply = Reply((" sum", "(prices)"))
    screen.wait_for("ghostline ready")
    screen.keys("o", "total =")
    screen.wait_for("total = sum(prices)")
    # It is drawn, not in the file.
    screen.keys("Escape")
    while "sum(prices)" in screen.text():
        pass
    screen.keys("A")
    screen.wait_for("total = sum(prices)")
    screen.keys("Tab")
    screen.keys("Escape")
    screen.wait_for("total = sum(prices)")
    screen.keys(":w", "Enter")
    screen.wait_for("written")
