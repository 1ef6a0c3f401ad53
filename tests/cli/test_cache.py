"""The answers that a running server keeps, at the command line."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent_lab.cli.running_server import RunningServer
from tests.cli.conftest import Run, started
from tests.cli.test_serve import address_of


@contextmanager
def answering(body: str) -> Iterator[str]:
    """The address of a server that answers one request without a body, whatever it is."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                asked = b""
                while not asked.endswith(b"\r\n\r\n"):
                    asked += connection.recv(4096)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall((head + body).encode())

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_the_cache_of_a_running_server_is_shown_and_emptied(agent_lab: Run, fake_model: object):
    with started("serve", "--port", "0") as server:
        address = address_of(server)
        there = ("--server", address)
        for _ in range(3):
            asked = {"prompt": "hi", "temperature": 0}
            RunningServer(address).post("/api/inference", asked, "Waiting.")
        shown = agent_lab("cache", "show", *there)
        as_json = agent_lab("cache", "show", "--json", *there)
        unknown = agent_lab("cache", "clear", "--model", "fakes", *there)
        other = agent_lab("cache", "clear", "--model", "stuck", *there)
        cleared = agent_lab("cache", "clear", *there)
    assert shown.code == 0
    assert shown.out.splitlines() == [
        "1 of 10000 answers, 0.00 of 64 MB",
        "2 calls were answered by them, 1 were not; 0 waited while another asked the same",
    ]
    assert json.loads(as_json.out)["entries"] == 1
    assert (unknown.code, unknown.out) == (2, "")
    assert "did you mean `fake`" in unknown.err
    assert (other.out, cleared.out) == ("0 answers forgotten\n", "1 answer forgotten\n")


@pytest.mark.parametrize("command", ["show", "clear"])
def test_an_answer_of_another_form_is_an_error(agent_lab: Run, command: str):
    with answering('{"entries": 1}') as address:
        ran = agent_lab("cache", command, "--server", address)
    assert (ran.code, ran.out) == (5, "")
    assert "no server of this version" in ran.err


@pytest.mark.parametrize("command", ["show", "clear"])
def test_without_a_server_it_is_said_how_to_start_one(
    agent_lab: Run, command: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PORT", "9")
    ran = agent_lab("cache", command)
    assert ran.code == 5
    assert "`http://127.0.0.1:9`" in ran.err
    assert "agent-lab serve" in ran.err
