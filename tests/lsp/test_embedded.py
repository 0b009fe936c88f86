"""The whole way with a real model: this client, the server, the engine in it, real weights."""

import os

import pytest
from conftest import within
from documents import end_of, position
from lsprotocol import types

# Loading and the first prompt on a slow, busy machine; bounds a failure, not a success.
SLOW_S = 300

URI = "file:///project/example.py"
TEXT = '''def add(first, second):
    """Return the sum of first and second."""
    return '''


@pytest.mark.skipif(
    not os.environ.get("GHOSTLINE_TEST_WEIGHTS"), reason="no weights: see GHOSTLINE_TEST_WEIGHTS"
)
async def test_real_weights_complete_a_function(embedded_session):
    session = embedded_session
    await session.initialize()
    await within(session.wait_until_ready(SLOW_S), SLOW_S)
    session.client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(URI, "python", 1, TEXT))
    )
    result = await within(
        session.client.text_document_inline_completion_async(
            types.InlineCompletionParams(
                context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked),
                text_document=types.TextDocumentIdentifier(URI),
                position=types.Position(**position(TEXT, end_of(TEXT), "utf-16")),
            )
        ),
        SLOW_S,
    )
    items = result.items if isinstance(result, types.InlineCompletionList) else result
    assert items, "the model said nothing"
    assert items[0].insert_text.endswith("first + second")
