"""A terminal of 80 by 16 with a program in it: tmux, driven with real keys and read as a person does."""

import os
import shutil
import subprocess
import tempfile
import time

import pytest

# Bounds a failure, not a success.
TIMEOUT_S = 30


class Screen:
    """In a tmux server of its own; use it as a context manager."""

    def __init__(self, command, env):
        if not shutil.which("tmux"):
            pytest.skip("tmux is not installed")
        self.command, self.env = command, env | {"TERM": "xterm-256color"}
        # A socket's path may not be long.
        self.folder = tempfile.mkdtemp(prefix="ghostline-tmux-")

    def __enter__(self):
        self.tmux("-f", os.devnull, "new-session", "-d", "-x80", "-y16", self.command, env=self.env)
        return self

    def __exit__(self, *_exc):
        # Where the program has ended, so has tmux.
        subprocess.run(["tmux", "-S", f"{self.folder}/socket", "kill-server"], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def tmux(self, *words, env=None):
        done = subprocess.run(["tmux", "-S", f"{self.folder}/socket", *words], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def text(self):
        return self.tmux("capture-pane", "-p")

    def wait_until(self, what, fits):
        """Waits until what stands on the screen satisfies `fits`."""
        deadline = time.monotonic() + TIMEOUT_S
        while not fits(seen := self.text()):
            assert time.monotonic() < deadline, f"{what}: not within {TIMEOUT_S} s; on the screen:\n{seen}"
            # A terminal tells nobody that it has drawn; each look is a process of its own.
        return seen

    def wait_for(self, wanted):
        return self.wait_until(repr(wanted), lambda seen: wanted in seen)
