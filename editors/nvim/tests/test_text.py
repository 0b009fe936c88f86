"""`ghostline.text` and `ghostline.config`: pure functions, a row per case."""

import pytest


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("sum(prices)", "sum"),
        (" = a + b", " ="),
        ("(a, b)", "("),
        ("\n    return total", "\n    return"),
        ("größe_1.x", "größe_1"),
        (" „größe“", " „"),
        ("→x", "→"),
        ("名前 = 1", "名前"),
        ("e\u0301t\u00e9()", "e\u0301t\u00e9"),
        ("\U0001f600\U0001f600 x", "\U0001f600\U0001f600"),
        ("  ", "  "),
    ],
)
def test_next_word(vim, text, word):
    assert vim.lua("return require('ghostline.text').next_word(...)", text) == word


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\nb\nc", "a"), ("\nb\nc", "\nb"), ("\n\n  b", "\n\n  b"), ("a", "a")],
)
def test_next_line(vim, text, line):
    assert vim.lua("return require('ghostline.text').next_line(...)", text) == line


@pytest.mark.parametrize(
    ("text", "right", "pieces"),
    [
        ("total)", ")", [{"at": 0, "text": "total"}]),
        ("a, b) {", ")", [{"at": 0, "text": "a, b"}, {"at": 1, "text": " {"}]),
        ("ä]é)", "])", [{"at": 0, "text": "ä"}, {"at": 1, "text": "é"}]),
        ("plain", "", [{"at": 0, "text": "plain"}]),
        ("other", ")", None),
    ],
)
def test_weave(vim, text, right, pieces):
    assert vim.lua("return require('ghostline.text').weave(...)", text, right) == pieces


@pytest.mark.parametrize(
    ("text", "column", "shown"),
    [("\tx", 0, "    x"), ("\tx", 2, "  x"), ("a\tb", 0, "a   b"), ("値\tb", 0, "値  b"), ("plain", 3, "plain")],
)
def test_expand_tabs(vim, text, column, shown):
    assert vim.lua("return require('ghostline.text').expand_tabs(...)", text, column, 4) == shown


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("line", ["plain", "größe", "s = '\U0001f600'", "名前"])
def test_columns_there_and_back(vim, line, encoding):
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    codec = encoding.replace("utf-16", "utf-16-le").replace("utf-32", "utf-32-le")
    for end in range(len(line) + 1):
        byte, character = len(line[:end].encode()), len(line[:end].encode(codec)) // width
        assert vim.lua("return require('ghostline.text').to_byte(...)", line, character, encoding) == byte
        assert vim.lua("return require('ghostline.text').to_character(...)", line, byte, encoding) == character


def test_wrong_options_are_named_and_the_rest_holds(vim):
    problems = vim.lua(
        "return require('ghostline.config').set({ inline = 'none', keymaps = { accept = 1, acept = 'x' },"
        " colour = true, beside_menu = 'show' })"
    )
    assert problems == [
        "colour is not an option",
        "inline must be one of plugin, builtin",
        "keymaps.accept must be a key or false",
        "keymaps.acept is not an option",
    ]
    assert vim.lua("return require('ghostline.config').current.beside_menu") == "show"
    assert vim.lua("return require('ghostline.config').current.keymaps.accept") == "<Tab>"
