"""Ghost text: drawn, typed along, accepted in parts, dropped, and never at a wrong place."""

import pytest
from scripted_ollama import Reply


def typing(vim, ollama, before, keys, chunks, name="a.py"):
    """Types `keys` at the end of `before`; the model goes on with `chunks`."""
    ollama.reply = Reply(tuple(chunks))
    vim.open(name, before)
    vim.ready()
    vim.type("GA" + keys)


def test_a_ghost_appears_and_tab_inserts_it(vim, ollama):
    typing(vim, ollama, "prices = [1]\n", "<CR>total =", [" sum", "(prices)"])
    vim.wait_for_ghost(" sum(prices)")
    assert vim.ghost() == [[1, 7, "inline", " sum(prices)"]]
    vim.type("<Tab>")
    vim.wait_for("the text", "vim.api.nvim_get_current_line() == 'total = sum(prices)'")
    assert vim.nvim.current.window.cursor == (2, len("total = sum(prices)"))
    vim.wait_for_no_ghost()
    # One undo takes back the ghost text and nothing of what was typed.
    vim.type("<Esc>u")
    vim.wait_for("the undo", "vim.api.nvim_get_current_line() == 'total ='")


def test_tab_is_a_tab_where_there_is_no_ghost(vim, ollama):
    ollama.reply = Reply(())
    vim.open("a.py", "")
    vim.type("i<Tab>x")
    vim.wait_for("the tab", r"vim.api.nvim_get_current_line() == '\tx'")


def test_a_mapping_that_was_there_before_keeps_working(start, ollama):
    vim = start(setup="(function() vim.keymap.set('i', '<Tab>', 'mapped') return {} end)()")
    vim.open("a.py", "")
    vim.type("i<Tab>")
    vim.wait_for("the mapping", "vim.api.nvim_get_current_line() == 'mapped'")


def test_typing_along_keeps_the_ghost_on_the_screen(vim, ollama):
    typing(vim, ollama, "prices = [1]\n", "<CR>total =", [" sum", "(prices)"])
    vim.wait_for_ghost(" sum(prices)")
    before = len(ollama.generations("prices = [1]"))
    for typed in [" ", "s", "u", "m", "("]:
        vim.type(typed)
    vim.wait_for_ghost("prices)")
    assert len(ollama.generations("prices = [1]")) == before


def test_what_diverges_is_dropped_at_once(vim, ollama):
    typing(vim, ollama, "prices = [1]\n", "<CR>total =", [" sum", "(prices)"])
    vim.wait_for_ghost(" sum(prices)")
    ollama.reply = Reply((" 1",), hold="before_headers")
    vim.type("=")
    vim.wait_for_no_ghost()
    assert vim.ghost() == []


@pytest.mark.parametrize("leave", ["<Esc>", "<C-o>:", "<C-o><C-w>n", "<Up>"])
def test_a_ghost_vanishes_with_the_mode_the_window_and_the_line(vim, ollama, leave):
    typing(vim, ollama, "prices = [1]\n", "<CR>total =", [" sum", "(prices)"])
    vim.wait_for_ghost(" sum(prices)")
    ollama.reply = Reply((), hold="before_headers")
    vim.type(leave)
    vim.wait_for(
        "an empty screen",
        "(function() for _, b in ipairs(vim.api.nvim_list_bufs()) do"
        " if #vim.api.nvim_buf_get_extmarks(b, vim.api.nvim_create_namespace('ghostline'), 0, -1, {}) > 0 then"
        " return false end end return true end)()",
    )


def test_word_by_word_and_line_by_line(vim, ollama):
    typing(vim, ollama, "", "def add(a, b):<CR>", ["    total = a + b\n", "    return total\n"])
    vim.wait_for_ghost("    total = a + b\n    return total")
    assert [piece[2] for piece in vim.ghost()] == ["inline", "below"]
    vim.type("<M-Right>")
    vim.wait_for_ghost(" = a + b\n    return total")
    vim.type("<M-Down>")
    vim.wait_for_ghost("\n    return total")
    assert vim.lines()[1] == "    total = a + b"
    vim.type("<M-Right>")
    vim.wait_for_ghost(" total")
    vim.type("<Tab>")
    vim.wait_for("the rest", "vim.api.nvim_get_current_line() == '    return total'")
    assert vim.lines() == ["def add(a, b):", "    total = a + b", "    return total"]


def test_several_lines_stand_below(vim, ollama):
    typing(vim, ollama, "", "def add(a, b):<CR>", ["    total = a + b\n", "\treturn total\n"])
    vim.wait_for("two lines", "#vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('ghostline'), 0, -1, {}) == 2")


@pytest.mark.parametrize("line", ["s = '\U0001f600' +", "größe = 'é' +", "名前 = '値' +", "e\u0301 = 1 +"])
def test_text_of_many_bytes_left_of_the_cursor(vim, ollama, line):
    typing(vim, ollama, "", line, [" name", "_ß"])
    vim.wait_for_ghost(" name_ß")
    assert vim.ghost() == [[0, len(line.encode()), "inline", " name_ß"]]
    vim.type("<Tab>")
    vim.wait_for("the text", "vim.api.nvim_get_current_line() == ...", line + " name_ß")


def test_words_of_many_bytes_are_taken_one_after_the_other(vim, ollama):
    line = "s = '\U0001f600' +"
    typing(vim, ollama, "", line, [" 名前 +", " größe\n", "t = “é”"])
    vim.wait_for_ghost(" 名前 + größe")
    for taken, left in ((" 名前", " + größe"), (" 名前 +", " größe")):
        vim.type("<M-Right>")
        vim.wait_for_ghost(left)
        assert vim.lines() == [line + taken]
        assert vim.ghost() == [[0, len((line + taken).encode()), "inline", left]]
    vim.type("<M-Down>")
    vim.wait_for("the rest of the line", "vim.api.nvim_get_current_line() == ...", line + " 名前 + größe")
    assert vim.nvim.current.window.cursor == (1, len((line + " 名前 + größe").encode()))


def test_a_closing_bracket_that_stands_there_is_not_doubled(vim, ollama):
    typing(vim, ollama, "", "print()<Left>", ["total", ")"])
    vim.wait_for("a ghost", "require('ghostline.ghost').is_visible()")
    [[_, column, kind, text]] = vim.ghost()
    assert (column, kind, text) == (6, "inline", "total")
    vim.type("<Tab>")
    vim.wait_for("one bracket", "vim.api.nvim_get_current_line() == 'print(total)'")


def test_a_brace_behind_the_cursor_stands_below_the_lines_between(vim, ollama):
    typing(vim, ollama, "", "if (a) {}<Left>", ["\n  b();\n", "}\n"], name="a.js")
    vim.wait_for("a ghost", "require('ghostline.ghost').is_visible()")
    # A blank covers the brace where it stands.
    assert vim.ghost() == [[0, 8, "overlay", " "], [0, 8, "below", "  b();"], [0, 8, "below", "}"]]
    vim.type("<Tab>")
    vim.wait_for("the text", "vim.api.nvim_buf_line_count(0) == 3")
    assert vim.lines() == ["if (a) {", "  b();", "}"]


def test_a_ghost_grows_in_place(vim, ollama):
    ollama.reply = Reply(("    first()\n", "    second()\n"), hold="after_first_chunk")
    vim.open("a.py", "")
    vim.ready()
    vim.type("idef f():<CR>")
    vim.wait_for_ghost("    first()")
    ollama.release()
    vim.wait_for_ghost("    first()\n    second()")


def test_dismiss_hides_until_the_text_changes(vim, ollama):
    typing(vim, ollama, "prices = [1]\n", "<CR>total =", [" sum", "(prices)"])
    vim.wait_for_ghost(" sum(prices)")
    vim.type("<C-]>")
    vim.wait_for_no_ghost()
    vim.type(" ")
    vim.wait_for_ghost("sum(prices)")


def test_a_completion_menu_hides_the_ghost(vim, ollama):
    typing(vim, ollama, "prices = [1]\n", "<CR>p", ["rint", "(1)"])
    vim.wait_for("a ghost", "require('ghostline.ghost').is_visible()")
    vim.lua("vim.o.completeopt = 'menuone,noselect'")
    vim.type("<C-n>")
    vim.wait_for("the menu", "vim.fn.pumvisible() == 1")
    vim.wait_for("no marks", "#vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_create_namespace('ghostline'), 0, -1, {}) == 0")


def test_a_paused_editor_asks_nobody(vim, ollama):
    ollama.reply = Reply((" 1",))
    vim.open("a.py", "")
    vim.ready()
    vim.nvim.command("Ghostline pause")
    vim.type("ia = b<Esc>")
    vim.wait_for("the text", "vim.api.nvim_get_current_line() == 'a = b' and vim.api.nvim_get_mode().mode == 'n'")
    assert ollama.generations("a = b") == []
    assert vim.lua("return require('ghostline').statusline()") == "ghostline paused"
    vim.nvim.command("Ghostline resume")
    vim.type("o")
    vim.type("c =")
    vim.wait_for("a ghost", "require('ghostline.ghost').is_visible()")


def test_an_explicit_trigger_asks_where_nothing_comes_by_itself(vim, ollama):
    typing(vim, ollama, "", "value = 1;", [" other"])
    # After a semicolon nothing comes by itself.
    vim.type("<M-\\>")
    vim.wait_for("a ghost", "require('ghostline.ghost').is_visible()")


def test_what_is_asked_for_with_the_next_key_is_not_asked_away(vim, ollama):
    # All keys are there before Neovim tells of a change.
    typing(vim, ollama, "", "value = 1;<M-\\>", [" other"])
    vim.wait_for_ghost(" other")


def test_copied_text_is_told(vim, ollama):
    vim.open("a.py", "def helper(alpha, beta):\n    return alpha\n")
    vim.ready()
    vim.type("yy")
    vim.wait_for("the register", "vim.fn.getreg('\"') ~= ''")


def test_one_server_serves_all_files(vim, ollama, tmp_path):
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    vim.open("a.py", "")
    vim.ready()
    (other / "b.py").write_text("")
    vim.nvim.command(f"edit {other / 'b.py'}")
    vim.wait_for("the client", "#vim.lsp.get_clients({ bufnr = 0, name = 'ghostline' }) == 1")
    assert vim.lua("return #vim.lsp.get_clients({ name = 'ghostline' })") == 1
    folders = vim.lua("return vim.lsp.get_clients({ name = 'ghostline' })[1].workspace_folders")
    assert any(folder["uri"].endswith("/other") for folder in folders)


def test_nothing_is_said_while_all_is_well(vim, ollama):
    typing(vim, ollama, "prices = [1]\n", "<CR>total =", [" sum", "(prices)"])
    vim.wait_for_ghost(" sum(prices)")
    assert "ghostline" not in vim.messages()


def test_a_dead_server_is_said_once_and_comes_back(vim, ollama):
    vim.open("a.py", "")
    vim.ready()
    vim.lua("vim.lsp.get_clients({ name = 'ghostline' })[1].rpc.terminate()")
    vim.wait_for("its end", "#vim.lsp.get_clients({ name = 'ghostline' }) == 0")
    vim.nvim.command("edit!")
    vim.ready()


def test_a_missing_program_is_one_sentence(start):
    vim = start(setup="{ cmd = { 'no-such-program' } }")
    vim.open("a.py", "")
    vim.open("b.py", "")
    assert vim.messages().count("no-such-program is not a program") == 1
