"""What Zed is to an extension: WebAssembly with Zed's interface around it, by the runtime that Zed uses.

The interface is that of `extension.wit` in the crate `zed_extension_api` 0.6 to 0.7. Of what Zed offers,
settings and the worktree are here; an extension that imports anything else is not loaded.
"""

import functools
import json
import struct

from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, ResourceHost, ResourceType, Variant

#: The interface that is offered. Zed refuses an extension that wants another.
API = (0, 7, 0)
#: Where Zed finds which interface an extension wants.
API_SECTION = b"zed:api-version"

#: Tells the host's kinds of objects apart.
WORKTREE, PROJECT, STORE = 1, 2, 3
#: Interfaces that an extension names for their types; none of their functions is here.
INTERFACES = ("common", "context-server", "dap", "lsp", "process", "slash-command")
#: The number of the only worktree.
WORKTREE_ID = 7


class Worktree:
    """A folder that is open in Zed: what is on its PATH, its environment, and the person's settings for it."""

    def __init__(self, on_path=None, shell_env=None, lsp=None, broken_settings=None):
        self.on_path = on_path or {}
        self.shell_env = shell_env or {}
        #: `lsp` of Zed's settings file, by the server's name.
        self.lsp = lsp or {}
        self.broken_settings = broken_settings
        self.asked = []

    def get_settings(self, _store, location, category, key):
        self.asked.append((category, key, location and (getattr(location, "worktree-id"), location.path)))
        if self.broken_settings:
            return Variant("err", self.broken_settings)
        own = self.lsp.get(key, {})
        binary = own.get("binary")
        return Variant("ok", json.dumps({
            "binary": binary and {name: binary.get(name) for name in ("path", "arguments", "env")},
            "settings": own.get("settings"),
            "initialization_options": own.get("initialization_options"),
        }))

    def id(self):
        return WORKTREE_ID

    def which(self, name):
        return self.on_path.get(name)

    def env(self):
        return list(self.shell_env.items())


@functools.cache
def compiled(wasm):
    engine = Engine()
    return engine, Component(engine, wasm)


class Failed(Exception):
    """The extension answered with an error, which Zed shows."""


class Extension:
    """An extension, loaded anew into a store of its own."""

    def __init__(self, wasm, worktree, folder):
        """`folder` is the extension's own, which it finds as its working directory."""
        engine, component = compiled(wasm)
        self._store = Store(engine)
        wasi = WasiConfig()
        wasi.env = [("PWD", str(folder))]
        wasi.preopen_dir(str(folder), ".")
        wasi.preopen_dir(str(folder), str(folder))
        self._store.set_wasi(wasi)
        with Linker(engine) as linker:
            linker.add_wasip2()
            with linker.root() as root:
                for name in INTERFACES:
                    root.add_instance(f"zed:extension/{name}").close()
                for name, kind in (("worktree", WORKTREE), ("project", PROJECT), ("key-value-store", STORE)):
                    root.add_resource(name, ResourceType.host(kind), lambda _store, _rep: None)
                root.add_func("get-settings", worktree.get_settings)
                root.add_func("[method]worktree.id", method(worktree.id))
                root.add_func("[method]worktree.which", method(worktree.which))
                root.add_func("[method]worktree.shell-env", method(worktree.env))
            self._instance = linker.instantiate(self._store, component)
        self._call("init-extension")

    def _call(self, name, *arguments):
        function = self._instance.get_func(self._store, name)
        assert function, f"the extension exports no {name}"
        return function(self._store, *arguments)

    def _answer(self, name, server):
        worktree = ResourceHost.borrow(1, WORKTREE).to_any(self._store)
        answer = self._call(name, server, worktree)
        # A result whose two sides are of one type is told by its tag.
        if isinstance(answer, Variant):
            if answer.tag == "err":
                raise Failed(answer.payload)
            answer = answer.payload
        elif isinstance(answer, str):
            raise Failed(answer)
        return answer

    def command(self, server):
        """Program, arguments and environment."""
        answer = self._answer("language-server-command", server)
        return answer.command, answer.args, dict(answer.env)

    def initialization_options(self, server):
        return decoded(self._answer("language-server-initialization-options", server))

    def workspace_configuration(self, server):
        return decoded(self._answer("language-server-workspace-configuration", server))


def method(function):
    """A method of an object that the extension holds for the call; it is given back before the answer."""

    def call(store, borrowed, *arguments):
        borrowed.drop(store)
        return function(*arguments)

    return call


def decoded(text):
    return None if text is None else json.loads(text)


def api_version(wasm):
    """The interface that an extension wants, from its section of that name."""
    for name, content in custom_sections(wasm):
        if name == API_SECTION:
            return struct.unpack(">HHH", content)
    return None


def custom_sections(wasm):
    """The custom sections of a component and of what is inside it, by the binary format."""
    at = 8
    while at < len(wasm):
        kind = wasm[at]
        size, at = number(wasm, at + 1)
        content = wasm[at : at + size]
        if kind == 0:
            length, start = number(content, 0)
            yield content[start : start + length], content[start + length :]
        elif content[:4] == b"\0asm":
            yield from custom_sections(content)
        at += size


def number(data, at):
    """A number in LEB128 and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
