"""`agent-lab serve`, as a process of its own."""

import json
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Run, saved_runs, started

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
LONGEST_WAIT_S = 30


def address_of(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    line = server.stderr.readline()
    found = ADDRESS.search(line)
    assert found, line
    return found[0]


def post(address: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own loopback
        f"{address}/api/orchestrate",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    return urllib.request.urlopen(request, timeout=LONGEST_WAIT_S)  # noqa: S310


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])  # noqa: S104
def test_only_loopback_is_listened_on(agent_lab: Run, fake_model: object, host: str):
    ran = agent_lab("serve", "--host", host, "--port", "0")
    assert ran.code == 4
    assert f"`{host}`" in ran.err
    assert "127.0.0.1" in ran.err


def test_a_port_that_is_taken_is_said_in_one_line(agent_lab: Run, fake_model: object):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = agent_lab("serve", "--port", str(port))
    assert ran.code == 4
    assert f"`127.0.0.1:{port}`" in ran.err
    assert "--port" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_wrong_warm_list_is_said_in_one_line(
    agent_lab: Run, fake_model: object, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AGENT_LAB_WARM_MODELS", "fake,nope")
    ran = agent_lab("serve", "--port", "0")
    assert ran.code == 2
    assert "Unknown model `nope`" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_missing_weights_of_the_warm_list_are_said_in_one_line(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AGENT_LAB_WARM_MODELS", "smollm2-135m")
    ran = agent_lab("serve", "--port", "0")
    assert ran.code == 4
    assert "agent-lab models pull smollm2-135m" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_without_any_model_the_server_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MODEL_CACHE_DIR", "nothing")
    with started("serve", "--port", "0") as server:
        assert server.stderr is not None
        assert "agent-lab models pull" in server.stderr.readline()
        address = address_of(server)
        with urllib.request.urlopen(f"{address}/readyz", timeout=LONGEST_WAIT_S) as response:  # noqa: S310
            assert response.status == 200


def test_it_says_where_it_listens_and_answers_there(fake_model: object):
    with started("serve", "--port", "0") as server:
        with post(address_of(server), {"prompt": "Why?"}) as response:
            assert response.status == 200
            assert json.load(response)["output"] == "the final answer"
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=LONGEST_WAIT_S)
    assert server.returncode == 130
    assert err.splitlines() == ["agent-lab: Interrupted. The server has stopped."]


def test_a_signal_ends_an_open_stream_with_a_last_event(
    fake_model: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
):
    fake_model(3600)  # no word will ever come
    monkeypatch.setenv("AGENT_LAB_SHUTDOWN_GRACE_S", "0.3")
    with started("serve", "--port", "0") as server:
        with post(address_of(server), {"prompt": "Why?", "stream": True}) as stream:
            lines = iter(stream)
            assert b"RUN_STARTED" in next(lines)
            server.send_signal(signal.SIGTERM)
            events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
        server.communicate(timeout=LONGEST_WAIT_S)
    assert events[-1]["type"] == "RUN_ERROR"
    assert events[-1]["code"] == "server_shutting_down"
    assert server.returncode == -signal.SIGTERM
    assert [run["status"] for run in saved_runs()] == ["cancelled"]


def test_a_second_ctrl_c_waits_for_nobody(fake_model: Callable[[float], None]):
    fake_model(3600)  # no word will ever come, and the grace is half a minute
    with started("serve", "--port", "0") as server:
        with post(address_of(server), {"prompt": "Why?", "stream": True}) as stream:
            assert b"RUN_STARTED" in next(iter(stream))
            server.send_signal(signal.SIGINT)
            assert server.stderr is not None
            assert "another Ctrl-C ends them at once" in server.stderr.readline()
            server.send_signal(signal.SIGINT)
            assert b"server_shutting_down" in stream.read()
        _, err = server.communicate(timeout=LONGEST_WAIT_S)
    assert server.returncode == 130
    assert err.splitlines() == ["agent-lab: Interrupted. The server has stopped."]
    assert [run["status"] for run in saved_runs()] == ["cancelled"]
