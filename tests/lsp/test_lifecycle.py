"""How a conversation begins and ends."""

import pytest
from framing import NO_PARAMS
from scripted_ollama import Reply

SERVER_NOT_INITIALIZED = -32002
INVALID_REQUEST = -32600


@pytest.mark.parametrize("shutdown", [NO_PARAMS, None], ids=["absent", "null"])
@pytest.mark.parametrize("exit", [NO_PARAMS, None], ids=["absent", "null"])
def test_shutdown_then_exit_is_success(server, shutdown, exit):
    server.initialize()
    response = server.request("shutdown", shutdown)
    assert response["result"] is None
    # Standard input stays open: the notification alone ends the process.
    server.notify("exit", exit)
    assert server.exit_code() == 0


@pytest.mark.parametrize("initialized", [True, False])
def test_exit_without_shutdown_is_a_failure(server, initialized):
    if initialized:
        server.initialize()
    server.notify("exit")
    assert server.exit_code() == 1


@pytest.mark.parametrize("initialized", [True, False])
def test_the_end_of_input_ends_the_process(server, initialized):
    if initialized:
        server.initialize()
    server.close_stdin()
    server.exit_code()


@pytest.mark.parametrize("ending", ["exit", "end of input"])
def test_the_end_stops_the_model(server, ollama, ending):
    ollama.reply = Reply(("a", "b"), hold="before_headers")
    server.initialize()
    server.wait_until_ready()
    uri = "file:///project/example.py"
    server.notify(
        "textDocument/didOpen",
        {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": "total = "}},
    )
    server.start_request(
        "textDocument/inlineCompletion",
        {
            "textDocument": {"uri": uri},
            "position": {"line": 0, "character": 8},
            "context": {"triggerKind": 2},
        },
    )
    held = ollama.wait_for("generate", lambda e: "total" in e.prompt)
    if ending == "exit":
        server.request("shutdown")
        server.notify("exit")
    else:
        server.close_stdin()
    server.exit_code()
    ollama.wait_for("disconnect", lambda e: e.number == held.number)


@pytest.mark.parametrize(
    "method", ["textDocument/inlineCompletion", "workspace/executeCommand", "shutdown"]
)
def test_nothing_is_served_before_initialize(server, method):
    assert server.request(method, {})["error"]["code"] == SERVER_NOT_INITIALIZED
    assert "result" in server.initialize()


@pytest.mark.parametrize(
    "method", ["textDocument/inlineCompletion", "workspace/executeCommand", "shutdown"]
)
def test_nothing_is_served_after_shutdown(server, method):
    server.initialize()
    server.request("shutdown")
    assert server.request(method, {})["error"]["code"] == INVALID_REQUEST
    server.notify("exit")
    assert server.exit_code() == 0


def test_only_messages_go_to_standard_output(server):
    """The framing client fails on the first byte that is no frame; this reads to the last."""
    server.initialize()
    server.wait_until_ready()
    assert server.shut_down() == 0
    assert server._fault is None


async def test_a_strict_client_goes_through_it(session):
    # The fixture's end sends shutdown and exit, and checks the exit code.
    await session.initialize()
