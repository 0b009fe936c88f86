"""Neovim's own client: the README's snippets without the plugin, and the plugin that hands over to it."""

import os
import re
from pathlib import Path

import pytest
from conftest import ROOT, editor, newest_editor, program
from scripted_ollama import Reply

METRICS = (
    "vim.lsp.get_clients({ name = 'ghostline' })[1]"
    ":request_sync('ghostline/metrics', vim.empty_dict(), 20000).result.completions"
)
BUILTIN = "vim.api.nvim_create_namespace('nvim.lsp.inline_completion')"


def snippet(heading):
    """The README's block of Lua after `heading`."""
    readme = (ROOT / "README.md").read_text()
    return re.search(r"```lua\n(.*?)```", readme[readme.index(heading) :], re.DOTALL)[1]


def on_path(env):
    return env | {"PATH": f"{Path(program()).parent}{os.pathsep}{env['PATH']}"}


@pytest.fixture
def plain(start, env):
    """Starts a Neovim with the README's snippet and no plugin."""

    def start_plain(nvim):
        vim = start(setup=None, env=on_path(env), nvim=nvim)
        if vim.lua("return vim.fn.has('nvim-0.11')") == 0:
            pytest.skip("vim.lsp.config came with Neovim 0.11")
        vim.lua(snippet("**Neovim without the plugin,**"))
        return vim

    return start_plain


def wait_until_ready(vim):
    vim.wait_for("the client", "vim.lsp.get_clients({ bufnr = 0, name = 'ghostline' })[1] ~= nil")
    vim.wait_for(
        "a model",
        "(function() local c = vim.lsp.get_clients({ name = 'ghostline' })[1]"
        " local r = c:request_sync('ghostline/status', vim.empty_dict(), 20000)"
        " return r and r.result and r.result.roles.completion.state == 'ready' end)()",
    )


def wait_for_ghost(vim, text):
    vim.wait_for(
        f"the ghost text {text!r}",
        f"(function(wanted) for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, {BUILTIN}, 0, -1,"
        " { details = true })) do local shown = ''"
        " for _, piece in ipairs(mark[4].virt_text or {}) do shown = shown .. piece[1] end"
        " if shown == wanted then return true end end end)(...)",
        text,
    )


@pytest.mark.parametrize("find", [editor, newest_editor])
def test_code_actions_and_commands_need_no_plugin(plain, ollama, find):
    ollama.chat_reply = Reply(("It adds **two** numbers.",))
    vim = plain(find())
    vim.open("a.py", "def add(a, b):\n    return a + b\n", "python")
    wait_until_ready(vim)
    # What `gra` does, with the choice made.
    vim.lua(
        "vim.lsp.buf.code_action({ apply = true, filter = function(a) return a.title:find('Explain') ~= nil end,"
        " range = { start = { 1, 0 }, ['end'] = { 2, 16 } } })"
    )
    # A client that shows no Markdown by itself is asked to open it as a document.
    vim.wait_for(
        "the explanation in a window",
        "(function() for _, w in ipairs(vim.api.nvim_list_wins()) do"
        " local text = table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(w), 0, -1, false))"
        " if text:find('adds **two**', 1, true) then return true end end end)()",
    )
    assert [event.kind for event in ollama.events].count("chat") == 1


def test_the_readme_draws_ghost_text_in_neovim_0_12(plain, ollama):
    ollama.reply = Reply((" sum", "(prices)"))
    vim = plain(newest_editor())
    vim.lua(snippet("From 0.12 on Neovim"))
    vim.open("a.py", "prices = [1]\n", "python")
    wait_until_ready(vim)
    vim.type("Gototal =")
    wait_for_ghost(vim, " sum(prices)")
    vim.type("<Tab>")
    vim.wait_for("the text", "vim.api.nvim_get_current_line() == 'total = sum(prices)'")
    vim.wait_for("that the server knows", f"(function() return ({METRICS}).accepted == 1 end)()")
    ollama.reply = Reply(())
    vim.type("<CR><Tab>x")
    vim.wait_for("a tab where there is no ghost", r"vim.api.nvim_get_current_line():match('^%s+x$') ~= nil")


def test_the_plugin_hands_over_to_the_built_in_client(start, ollama):
    ollama.reply = Reply((" sum", "(prices)"))
    vim = start(setup="{ inline = 'builtin' }", nvim=newest_editor())
    vim.open("a.py", "prices = [1]\n", "python")
    vim.ready()
    vim.type("Gototal =")
    wait_for_ghost(vim, " sum(prices)")
    assert vim.ghost() == [], "the plugin draws too"
    # Neovim has not asked again, and inserts at the place that it asked about.
    vim.type(" s<Tab>")
    vim.wait_for("the text", "vim.api.nvim_get_current_line() == 'total = sum(prices)'")
    vim.type("<CR>other =")
    wait_for_ghost(vim, " sum(prices)")
    vim.type("x<Tab>")
    vim.wait_for("nothing of it", "vim.api.nvim_get_current_line():match('^other =x%s*$') ~= nil")
    vim.nvim.command("stopinsert")
    vim.nvim.command("Ghostline pause")
    assert vim.lua("return vim.lsp.inline_completion.is_enabled({ bufnr = 0 })") is False
    vim.nvim.command("Ghostline resume")
    assert vim.lua("return vim.lsp.inline_completion.is_enabled({ bufnr = 0 })") is True
    assert "deprecated" not in vim.messages()
