"""Chat in a split, and explanations in a float."""

from pathlib import Path

from scripted_ollama import Reply

CHAT = "table.concat(vim.api.nvim_buf_get_lines(vim.fn.bufnr('ghostline://chat'), 0, -1, false), '\\n')"


def wait_for_chat(vim, text):
    vim.wait_for(f"{text!r} in the chat", f"{CHAT}:find(..., 1, true)", text)


def test_an_answer_streams_into_the_chat(vim, ollama):
    ollama.chat_reply = Reply(("It **adds**", " two numbers.\n\n- one", "\n- two"), hold="after_first_chunk")
    vim.open("a.py", "def add(a, b):\n    return a + b\n")
    vim.ready()
    vim.nvim.command("Ghostline chat what does it do?")
    wait_for_chat(vim, "It **adds**")
    ollama.release()
    wait_for_chat(vim, "It **adds** two numbers.\n\n- one\n- two")
    text = vim.lua(f"return {CHAT}")
    assert text.startswith("## You\n\nwhat does it do?\n\n## ghostline\n")
    # The next question goes on in the same conversation, also where the answer's end is still to come.
    ollama.chat_reply = Reply(("Yes.",))
    vim.type("iare you sure?<C-s>")
    wait_for_chat(vim, "Yes.")
    messages = [event.body["messages"] for event in ollama.events if event.kind == "chat"][-1]
    assert [m["role"] for m in messages if m["role"] != "system"] == ["user", "assistant", "user"]


def test_a_question_asked_meanwhile_is_sent_after_the_answer(vim, ollama):
    ollama.chat_reply = Reply(("The first", " answer."), hold="after_first_chunk")
    vim.open("a.py", "x = 1\n")
    vim.ready()
    vim.nvim.command("Ghostline chat one?")
    wait_for_chat(vim, "The first")
    vim.type("itwo?<C-s>")
    vim.wait_for("that it waits", "vim.wo.winbar:find('Sent when', 1, true)")
    ollama.chat_reply = Reply(("The second.",))
    ollama.release()
    wait_for_chat(vim, "The second.")
    messages = [event.body["messages"] for event in ollama.events if event.kind == "chat"][-1]
    assert [m["content"] for m in messages if m["role"] == "assistant"] == ["The first answer."]


def test_an_answer_is_written_anew(vim, ollama):
    ollama.chat_reply = Reply(("The first answer.",))
    vim.open("a.py", "x = 1\n")
    vim.ready()
    vim.nvim.command("Ghostline chat what is x?")
    wait_for_chat(vim, "The first answer.")
    vim.wait_for("its end", "not require('ghostline.chat').answering()")
    ollama.chat_reply = Reply(("Another answer.",))
    vim.nvim.command("Ghostline regenerate")
    wait_for_chat(vim, "Another answer.")
    text = vim.lua(f"return {CHAT}")
    assert text.startswith("## You\n\nwhat is x?\n\n## ghostline\n\nAnother answer.")
    messages = [event.body["messages"] for event in ollama.events if event.kind == "chat"][-1]
    assert [m["role"] for m in messages if m["role"] != "system"] == ["user"]


def test_search_and_clear_ask_no_model(start, env, ollama):
    config = Path(env["GHOSTLINE_CONFIG"])
    config.write_text(config.read_text().replace("enabled = false", "enabled = true"))
    vim = start()
    vim.open("a.py", "def zebra():\n    return 1\n")
    vim.ready()
    vim.nvim.command("Ghostline chat /search zebra")
    wait_for_chat(vim, "*note: found by words alone")
    vim.wait_for("its end", "not require('ghostline.chat').answering()")
    text = vim.lua(f"return {CHAT}")
    # The files may not have been looked at yet.
    assert "Nothing was found." in text or "- `a.py`, lines 1 to 2: `def zebra():`" in text, text
    assert "nil" not in text, text
    vim.type("i/clear<C-s>")
    vim.wait_for("an empty chat", f"vim.trim({CHAT}) == ''")
    assert not [event for event in ollama.events if event.kind == "chat"]


def test_marked_lines_go_along(vim, ollama):
    vim.open("a.py", "first = 1\nsecond = 2\nthird = 3\n")
    vim.ready()
    vim.nvim.command("2,2Ghostline chat what is this?")
    wait_for_chat(vim, "An answer.")
    asked = str(ollama.wait_for("chat").body["messages"])
    assert "second = 2" in asked and "what is this?" in asked


def test_stopping_stops_the_model(vim, ollama):
    ollama.chat_reply = Reply(("It goes on", " and on"), hold="after_first_chunk")
    vim.open("a.py", "x = 1\n")
    vim.ready()
    vim.nvim.command("Ghostline chat tell me")
    wait_for_chat(vim, "It goes on")
    vim.nvim.command("Ghostline stop")
    wait_for_chat(vim, "*stopped*")
    ollama.wait_for("disconnect")


def test_a_failure_is_a_sentence_in_the_chat(vim, ollama):
    ollama.chat_reply = Reply((), status=500, error="llama runner process has terminated")
    vim.open("a.py", "x = 1\n")
    vim.ready()
    vim.nvim.command("Ghostline chat tell me")
    wait_for_chat(vim, "llama runner process has terminated")


def test_an_explanation_opens_in_a_float(vim, ollama):
    ollama.chat_reply = Reply(("It adds **two** numbers.",))
    vim.open("a.py", "def add(a, b):\n    return a + b\n")
    vim.ready()
    vim.nvim.command("1,2Ghostline explain")
    vim.wait_for(
        "the float",
        "(function() for _, w in ipairs(vim.api.nvim_list_wins()) do"
        " if vim.api.nvim_win_get_config(w).relative ~= '' then"
        " local b = vim.api.nvim_win_get_buf(w)"
        " return table.concat(vim.api.nvim_buf_get_lines(b, 0, -1, false)):find('numbers', 1, true) end end end)()",
    )


def test_code_actions_are_listed(vim, ollama):
    vim.open("a.py", "def add(a, b):\n    return a + b\n")
    vim.ready()
    titles = vim.lua(
        "local p = vim.lsp.util.make_range_params(0, 'utf-16') p.context = { diagnostics = {} }"
        " local r = vim.lsp.buf_request_sync(0, 'textDocument/codeAction', p, 20000)"
        " local t = {} for _, one in pairs(r) do for _, a in ipairs(one.result) do table.insert(t, a.title) end end"
        " return t"
    )
    assert any("xplain" in title for title in titles), titles
    assert [event for event in ollama.events if event.kind == "chat"] == []
