"""An independent model of LSP text: positions in three encodings, edits, and FIM prompts.

Written from the protocol's text and working on whole strings, so that it shares no mistake with the
server's rope. A place is (line, column), the column counted in Unicode code points.
"""

import re

# The only line ends LSP knows.
LINE_END = re.compile(r"\r\n|\n|\r")

FIM_PROMPT = re.compile(
    r".*<\|fim_prefix\|>(?P<above>.*?)<\|fim_suffix\|>(?P<after>.*?)<\|fim_middle\|>(?P<typed>.*)\Z",
    re.S,
)


def units(text, encoding):
    """The length of `text` in code units of `encoding`."""
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    codec = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding]
    return len(text.encode(codec)) // width


def line_starts(text):
    return [0] + [m.end() for m in LINE_END.finditer(text)]


def offset_of(text, place):
    line, column = place
    return line_starts(text)[line] + column


def position(text, place, encoding):
    """The LSP position of a place."""
    start = line_starts(text)[place[0]]
    return {"line": place[0], "character": units(text[start : start + place[1]], encoding)}


def end_of(text):
    """The place after the last character."""
    start = line_starts(text)[-1]
    return (len(line_starts(text)) - 1, len(text) - start)


def index_of(text, position, encoding):
    """The index into `text` of an LSP position, which must be valid."""
    start = line_starts(text)[position["line"]]
    for length in range(len(text) - start + 1):
        if units(text[start : start + length], encoding) == position["character"]:
            return start + length
    raise AssertionError(f"no such position in the text: {position}")


def change(text, start, end, new, encoding):
    """The change event, and the text after it."""
    event = {
        "range": {
            "start": position(text, start, encoding),
            "end": position(text, end, encoding),
        },
        "text": new,
    }
    return event, text[: offset_of(text, start)] + new + text[offset_of(text, end) :]


def document_in(prompt):
    """What a fill-in-the-middle prompt says of the document: (before the cursor, after it).

    The typed part of the cursor's line may stand before the suffix or after the middle sentinel.
    """
    found = FIM_PROMPT.match(prompt)
    assert found, f"not a fill-in-the-middle prompt: {prompt!r}"
    return found["above"] + found["typed"], found["after"]


def insert(text, item, encoding):
    """The text after an inline completion item was accepted."""
    start = index_of(text, item["range"]["start"], encoding)
    end = index_of(text, item["range"]["end"], encoding)
    return text[:start] + item["insertText"] + text[end:]
