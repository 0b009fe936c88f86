"""What stands on a terminal's screen: Neovim in tmux, with real keys."""

import shlex

import pytest
from conftest import PLUGIN, editor, program
from scripted_ollama import Reply
from screen import Screen


@pytest.fixture
def screen(env, tmp_path):
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
    with Screen(command, env) as screen:
        yield screen


def test_a_block_between_braces_looks_as_it_will(screen, ollama):
    ollama.reply = Reply(("\n    b();\n", "}\n"))
    screen.wait_for("ghostline ready")
    screen.keys(":e b.js", "Enter", "i", "if (a) {}", "Left")
    block = "if (a) {\n    b();\n}\n"
    screen.wait_for(block)
    screen.keys("Tab")
    screen.keys("Escape")
    screen.wait_until("the block itself", lambda seen: block in seen and "INSERT" not in seen)


def test_ghost_text_and_status_stand_on_the_screen(screen, ollama):
    ollama.reply = Reply((" sum", "(prices)"))
    screen.wait_for("ghostline ready")
    screen.keys("o", "total =")
    screen.wait_for("total = sum(prices)")
    # It is drawn, not in the file.
    screen.keys("Escape")
    screen.wait_until("no ghost text", lambda seen: "sum(prices)" not in seen)
    screen.keys("A")
    screen.wait_for("total = sum(prices)")
    screen.keys("Tab")
    screen.keys("Escape")
    screen.wait_for("total = sum(prices)")
    screen.keys(":w", "Enter")
    screen.wait_for("written")
