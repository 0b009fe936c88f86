"""Documents stay the same on both sides: what the model is asked shows what the server holds."""

import re
from dataclasses import dataclass

import pytest
from documents import change, document_in, end_of, offset_of, position
from scripted_ollama import Reply

URI = "file:///project/example.py"


@dataclass
class Case:
    """A document, its changes as (start, end, text) in code points, and the notifications they are
    sent in: a list of lists. A change without a range replaces the document."""

    name: str
    text: str
    notifications: list
    # Where to complete; the end of the document unless said.
    place: tuple | None = None


FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # one glyph, five code points

CASES = [
    Case("no change", "x = ", []),
    Case("append", "x", [[((0, 1), (0, 1), " = ")]]),
    Case("letter by letter", "", [[((0, n), (0, n), c)] for n, c in enumerate("total = ")]),
    Case("after an emoji", "s = '\U0001f600'\ny", [[((0, 6), (0, 6), "!")], [((1, 1), (1, 1), " = ")]]),
    Case("typing after an emoji", "\U0001f600 = ", [[((0, 4), (0, 4), "f(")]]),
    Case("replace an emoji", "a\U0001f600b = ", [[((0, 1), (0, 2), "\U0001f601\U0001f602")]]),
    Case("inside a family emoji", f"# {FAMILY}\nx = ", [[((0, 3), (0, 4), "")]]),
    Case("combining accent", "cafe\u0301 = ", [[((0, 5), (0, 5), "s")], [((0, 4), (0, 5), "")]]),
    Case("wide letters", "\u8868 = \u540d\n", [[((0, 1), (0, 1), "\u793a")], [((1, 0), (1, 0), "z = ")]]),
    Case("CRLF", "a\r\nb\r\nc", [[((1, 1), (1, 1), "\U0001f600")], [((2, 1), (2, 1), " = ")]]),
    Case("join CRLF lines", "a\r\nb = ", [[((0, 1), (1, 0), "; ")]]),
    Case("split a line by CRLF", "a; b = ", [[((0, 1), (0, 3), "\r\n")]]),
    Case("lone CR ends a line", "a\rb\rc = ", [[((1, 0), (1, 1), "\u00e9")]]),
    Case("mixed line ends", "a\nb\r\nc\rd", [[((3, 1), (3, 1), " = ")], [((0, 0), (1, 0), "")]]),
    # Line ends for Unicode, but none for LSP.
    Case("no line ends", "a\x0bb\x0cc\u2028d\u2029e\x85f = ", [[((0, 5), (0, 6), "\u00fc")]]),
    Case("several at once", "a\nb\nc = ", [[((0, 0), (0, 1), "\U0001f600"), ((0, 1), (1, 0), ""), ((1, 0), (1, 1), "zz")]]),
    Case("delete all", "a\nb", [[((0, 0), (1, 1), "")], [((0, 0), (0, 0), "n = ")]]),
    Case("whole document", "a\nb", [[(None, None, "\U0001f600\r\nq = ")]]),
    Case("whole, then a part", "a", [[(None, None, "k\nl"), ((1, 0), (1, 1), "m = ")]]),
    Case("in the middle", "a\nx = \nz\n", [[((0, 1), (0, 1), "\U0001f600")], [((2, 0), (2, 1), "\u00df")]], (1, 4)),
    Case("a long document", "".join(f"v{n} = {n}\r\n" for n in range(12)), [[((5, 0), (6, 0), "")], [((11, 0), (11, 0), "w = ")]]),
]


def play(server, case, encoding):
    """Sends the case; the text it ends with, by our own model."""
    text, version = case.text, 1
    server.notify(
        "textDocument/didOpen",
        {"textDocument": {"uri": URI, "languageId": "python", "version": version, "text": text}},
    )
    for notification in case.notifications:
        version += 1
        events = []
        for start, end, new in notification:
            if start is None:
                event, text = {"text": new}, new
            else:
                event, text = change(text, start, end, new, encoding)
            events.append(event)
        server.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": URI, "version": version}, "contentChanges": events},
        )
    return text


def complete(server, at):
    return server.request(
        "textDocument/inlineCompletion",
        {"textDocument": {"uri": URI}, "position": at, "context": {"triggerKind": 1}},
    )


def assert_asked(ollama, before, after):
    """The last prompt is about exactly this document, its line ends as the model knows them."""
    before, after = (re.sub("\r\n?", "\n", text) for text in (before, after))
    asked_before, asked_after = document_in(ollama.generations("<|fim_middle|>")[-1].prompt)
    # Other files and the path may stand above the document.
    # Whitespace left of the cursor is the model's to generate again.
    assert asked_before.endswith(before.rstrip(" \t"))
    # What is left of the document may be empty or end early; blank ends carry nothing.
    assert asked_after.rstrip() == after.rstrip()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_the_model_is_asked_about_the_document_as_it_is(server, ollama, encoding, case):
    ollama.reply = Reply(("compute(1)",))
    agreed = server.initialize({"general": {"positionEncodings": [encoding]}})["result"]
    assert agreed["capabilities"].get("positionEncoding", "utf-16") == encoding
    server.wait_until_ready()
    text = play(server, case, encoding)
    place = case.place or end_of(text)
    assert "error" not in complete(server, position(text, place, encoding))
    cursor = offset_of(text, place)
    assert_asked(ollama, text[:cursor], text[cursor:])


@pytest.mark.parametrize(
    ("at", "cursor"),
    [
        # Past the end of a line is its end, and past the last line is the end of the document.
        ({"line": 0, "character": 999}, 4),
        ({"line": 1, "character": 999}, 9),
        ({"line": 99, "character": 0}, 9),
    ],
)
def test_a_position_outside_is_drawn_in(server, ollama, at, cursor):
    ollama.reply = Reply(("compute(1)",))
    server.initialize()
    server.wait_until_ready()
    text = play(server, Case("", "x = \ny = ", []), "utf-16")
    assert "error" not in complete(server, at)
    assert_asked(ollama, text[:cursor], text[cursor:])


@pytest.mark.parametrize(
    "range",
    [
        {"start": {"line": -1, "character": 0}, "end": {"line": 0, "character": 0}},
        {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 2**40}},
        {"start": {"line": 0}, "end": {"line": 0, "character": 0}},
        7,
    ],
    ids=["negative", "too large", "incomplete", "a number"],
)
def test_a_broken_range_is_not_the_whole_document(server, ollama, range):
    """The protocol's types tell the two kinds of change apart only by whether there is a range."""
    ollama.reply = Reply(("compute(1)",))
    server.initialize()
    server.wait_until_ready()
    text = play(server, Case("", "kept = ", []), "utf-16")
    server.notify(
        "textDocument/didChange",
        {
            "textDocument": {"uri": URI, "version": 2},
            "contentChanges": [{"range": range, "text": "lost"}],
        },
    )
    assert "error" not in complete(server, position(text, end_of(text), "utf-16"))
    # A server that no longer trusts its copy may ask nothing.
    if ollama.generations("<|fim_middle|>"):
        assert_asked(ollama, text, "")


def test_a_closed_document_has_no_completions(server, ollama):
    server.initialize()
    server.wait_until_ready()
    play(server, Case("", "x = ", []), "utf-16")
    server.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert not items_of(complete(server, {"line": 0, "character": 4}))
    assert not ollama.generations("<|fim_middle|>")


def test_a_burst_of_changes_is_seen_by_the_next_request(server, ollama):
    ollama.reply = Reply(("compute(1)",))
    server.initialize()
    server.wait_until_ready()
    typed = "value = " + "a" * 300 + " + "
    text = play(server, Case("", "", [[((0, n), (0, n), c)] for n, c in enumerate(typed)]), "utf-16")
    assert text == typed
    complete(server, {"line": 0, "character": len(typed)})
    assert_asked(ollama, typed, "")


def items_of(response):
    result = response["result"]
    return result["items"] if isinstance(result, dict) else result or []
