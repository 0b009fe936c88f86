"""`initialize`: what is announced, and which position encoding is agreed on."""

import pytest


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        # Without an offer the protocol says UTF-16, which a server may leave unsaid.
        (None, {"utf-16", None}),
        ([], {"utf-16", None}),
        (["utf-8"], {"utf-8"}),
        (["utf-16"], {"utf-16", None}),
        (["utf-32"], {"utf-32"}),
        (["utf-32", "utf-16"], {"utf-32", "utf-16"}),
        (["utf-16", "utf-8"], {"utf-16", "utf-8"}),
        # An encoding nobody knows is no offer.
        (["utf-7"], {"utf-16", None}),
        (["utf-7", "utf-8"], {"utf-8", "utf-16", None}),
    ],
)
def test_position_encoding(server, offered, chosen):
    capabilities = {} if offered is None else {"general": {"positionEncodings": offered}}
    result = server.initialize(capabilities)["result"]
    assert result["capabilities"].get("positionEncoding") in chosen


@pytest.mark.parametrize(
    "capabilities",
    [
        {},
        {"textDocument": {"inlineCompletion": {}}},
        # A client that offers dynamic registration gets the static one all the same.
        {"textDocument": {"inlineCompletion": {"dynamicRegistration": True}}},
    ],
)
def test_inline_completion_is_announced_statically(server, capabilities):
    result = server.initialize(capabilities)["result"]
    assert result["capabilities"]["inlineCompletionProvider"] not in (None, False)


def test_documents_are_synchronised_in_increments(server):
    result = server.initialize()["result"]
    sync = result["capabilities"]["textDocumentSync"]
    if isinstance(sync, dict):
        assert sync["openClose"] is True
        sync = sync["change"]
    assert sync == 2
    assert result["serverInfo"]["name"] == "ghostline"
    assert result["serverInfo"]["version"]


def test_only_once(server):
    server.initialize()
    assert server.request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})["error"]["code"] == -32600


@pytest.mark.parametrize(
    "params",
    [
        {"rootUri": None, "workspaceFolders": None},
        {"rootUri": "file:///no/such/folder"},
        {"workspaceFolders": [{"uri": "file:///a", "name": "a"}, {"uri": "file:///b%20c", "name": "b"}]},
        {"workspaceFolders": [{"uri": "untitled:folder", "name": "u"}]},
        {"initializationOptions": None},
        {"initializationOptions": {}},
        # What is wrong in the settings is said and changes nothing else.
        {"initializationOptions": {"ghostline": {"inline": {"debounce": -1, "unknown": 1}}}},
        {"initializationOptions": {"ghostline": 7}},
        {"trace": "verbose", "locale": "en"},
    ],
)
def test_whatever_a_client_says_of_itself(server, params):
    assert "result" in server.initialize(**params)
    assert server.request("ghostline/status")["result"]["roles"]


async def test_a_strict_client_accepts_the_answer(session):
    result = await session.initialize(encodings=["utf-8", "utf-16"])
    assert result.capabilities.inline_completion_provider
    assert result.capabilities.position_encoding in ("utf-8", "utf-16")
