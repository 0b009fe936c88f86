""":Ghostline, its completion and its pages; the status line; :checkhealth."""

import json

import pytest
from scripted_ollama import MODEL, Reply

COMPLETE = "return vim.fn.getcompletion(..., 'cmdline')"
#: The text of the float.
FLOAT = (
    "(function() for _, w in ipairs(vim.api.nvim_list_wins()) do"
    " if vim.api.nvim_win_get_config(w).relative ~= '' then"
    " return table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(w), 0, -1, false), '\\n') end end end)()"
)
#: Whether a text is on the screen.
SCREEN = (
    "(function(wanted) vim.cmd.redraw() local all = {} for row = 1, vim.o.lines do local line = {}"
    " for column = 1, vim.o.columns do line[column] = vim.fn.screenstring(row, column) end"
    " all[row] = table.concat(line) end return table.concat(all, '\\n'):find(wanted, 1, true) end)(...)"
)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("Ghostline re", ["regenerate", "restart", "resume"]),
        ("Ghostline pause ", ["here"]),
        ("Ghostline pause here ", []),
        ("Ghostline pull c", ["completion", "chat"]),
        ("'<,'>Ghostline use re", ["reasoning"]),
        ("Ghostline use completion f", [f"fake/{MODEL}"]),
        ("Ghostline use completion x y", []),
        ("Ghostline metrics ", ["json"]),
        ("Ghostline nothing ", []),
    ],
)
def test_what_may_stand_next(vim, typed, offered):
    assert vim.lua(COMPLETE, typed) == offered


def test_the_metrics_have_words_and_units(vim, ollama):
    ollama.reply = Reply((" sum(prices)",))
    vim.open("a.py", "prices = [1]\n")
    vim.ready()
    vim.type("GA<CR>total =")
    vim.wait_for_ghost(" sum(prices)")
    vim.type("<Esc>")
    vim.nvim.command("Ghostline metrics")
    shown = vim.wait_for("the metrics", FLOAT)
    assert "Ghost text answered" in shown and " ms, 95 % within " in shown
    assert "fromCache" not in shown
    vim.type("gg0")
    vim.wait_for("that it is closed", f"not {FLOAT}")
    vim.nvim.command("Ghostline metrics json")
    vim.wait_for("the JSON", f"({FLOAT} or ''):find('\"fromCache\"', 1, true)")


@pytest.mark.parametrize(("ms", "words"), [(0.24, "0.2 ms"), (73.6, "74 ms"), (1530, "1.5 s"), (90_000, "1.5 min")])
def test_times_have_the_unit_that_reads_best(vim, ms, words):
    assert vim.lua("return require('ghostline.metrics').duration(...)", ms) == words


def fetched(share):
    return {"status": "pulling 0123", "digest": "sha256:0123", "total": 986_000_000, "completed": int(986_000_000 * share)}


def test_a_fetch_shows_how_far_it_is(vim, ollama):
    ollama.pull = ({"status": "pulling manifest"}, fetched(0.25), {"status": "success"})
    vim.open("a.py", "x = 1\n")
    vim.ready()
    vim.nvim.command("Ghostline pull codegemma:2b", async_=True)
    vim.wait_for("how far it is", SCREEN, "fetching codegemma:2b: 246 of 986 MB (25 %)")
    ollama.release()
    vim.wait_for("the end", SCREEN, "codegemma:2b is here")


def test_a_fetch_can_be_broken_off(vim, ollama):
    ollama.pull = ({"status": "pulling manifest"}, fetched(0.5), {"status": "success"})
    vim.open("a.py", "x = 1\n")
    vim.ready()
    vim.nvim.command("Ghostline pull codegemma:2b", async_=True)
    vim.wait_for("how far it is", SCREEN, "493 of 986 MB")
    vim.nvim.command("Ghostline pull stop", async_=True)
    vim.wait_for("the word on it", SCREEN, "the next fetch carries on")
    vim.nvim.command("Ghostline pull stop", async_=True)
    vim.wait_for("that nothing is left", SCREEN, "nothing is being fetched")


def test_the_doctor_counts_with_the_settings_of_setup(start, ollama, tmp_path, env):
    (tmp_path / "config.toml").write_text("")
    settings = {"backends": {"fake": {"kind": "ollama", "urls": [ollama.url]}}}
    vim = start(f"{{ settings = vim.json.decode([[{json.dumps(settings)}]]) }}", env=env)
    vim.nvim.command("Ghostline doctor")
    said = "table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false)):gsub('%s', ''):find(..., 1, true)"
    vim.wait_for("the address of setup()", said, ollama.url)


def test_the_status_line(vim, ollama):
    statusline = "require('ghostline').statusline()"
    vim.open("a.py", "x = 1\n")
    vim.ready()
    assert vim.lua(f"return {statusline}") == "ghostline ready"
    vim.nvim.command("Ghostline pause here")
    assert vim.lua(f"return {statusline}") == "ghostline paused"
    vim.nvim.command("Ghostline resume here")
    vim.type("A")
    vim.wait_for("a latency", f"{statusline}:match('^ghostline ready %d+ ms$')")
    vim.type("<Esc>")
    vim.nvim.command("new")
    assert vim.lua(f"return {statusline}") == ""


HEALTH = "table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\\n')"


def test_a_healthy_set_up(vim):
    vim.open("a.py", "x = 1\n")
    vim.ready()
    vim.nvim.command("checkhealth ghostline")
    report = vim.wait_for("the report", f"{HEALTH}:find('chat: ', 1, true) and {HEALTH}")
    for line in ("Neovim 0.", ", version 0.", f"completion: ready by {MODEL} (fake)"):
        assert line in report, report
    assert "ERROR" not in report and "WARNING" not in report


def test_a_program_that_is_missing_has_what_mends_it(start):
    vim = start("{ cmd = { '/nowhere/ghostline' } }")
    vim.nvim.command("checkhealth ghostline")
    report = vim.wait_for("the report", f"{HEALTH}:find('not running', 1, true) and {HEALTH}")
    assert "ERROR" in report and "/nowhere/ghostline is not a program; change `cmd`" in report
