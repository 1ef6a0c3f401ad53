"""`agent-lab models`: what is listed and advised, and what a running server is asked to do."""

import asyncio
import json
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_lab.config import load_settings
from agent_lab.providers.registries.model_registry import ModelRegistry
from tests.cli.conftest import Run, read_until, started
from tests.cli.test_serve import address_of
from tests.providers.local.gguf_files import gguf_bytes
from tests.providers.local.weights.hub_double import HubDouble
from tests.providers.local.weights.test_hub_repository import serve as serve_model

SMALLEST = "smollm2-135m"
LARGE = "llama3.3-70b"
REMOTE = "gpt-4o-mini"
COLUMNS = 100
LONGEST_WAIT_S = 30


def row_of(listed: str, key: str) -> str:
    """The line of a model in a list."""
    (line,) = (line for line in listed.splitlines() if line.split()[0] == key)
    return line


@contextmanager
def answering(status: str, body: str) -> Iterator[str]:
    """The address of a server that is none of ours, and answers one request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                asked = b""
                while not asked.endswith(b"{}"):  # the body of what is asked
                    asked += connection.recv(4096)
                head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall((head + body).encode())

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def damage(key: str) -> None:
    """Put a file of the right size, and nothing else right, where a model's weights belong."""
    entry, folder = ModelRegistry.load().get(key), load_settings().weights_folder
    folder.mkdir(parents=True)
    with (folder / entry.file).open("wb") as file:
        file.truncate(entry.bytes)


# --- What there is ---


def test_the_list_says_what_fits_in_lines_of_100_columns(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MAX_VRAM_USAGE_GB", "2")
    listed = agent_lab("models", "list").out
    assert max(map(len, listed.splitlines())) <= COLUMNS
    assert listed.split("\n")[0].split() == [
        *("MODEL", "PROVIDER", "SIZE", "NEED", "WINDOW", "FITS", "READY", "LICENCE")
    ]
    need, large = (ModelRegistry.load().get(key).min_vram_gb for key in (SMALLEST, LARGE))
    assert f"{need:.2f} GB     8192  now   no weights  Apache-2.0" in row_of(listed, SMALLEST)
    assert f"{large:.2f} GB   131072  no " in row_of(listed, LARGE)
    assert row_of(listed, REMOTE).split()[:4] == [REMOTE, "openai", "128000", "no"]


def test_json_has_the_whole_fit(agent_lab: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAX_VRAM_USAGE_GB", "2")
    rows = {row["key"]: row for row in json.loads(agent_lab("models", "list", "--json").out)}
    fit = rows[LARGE]["fit"]
    need = ModelRegistry.load().get(LARGE).min_vram_gb
    assert (fit["fits"], fit["need_gb"], fit["slots"], fit["limit_gb"]) == ("never", need, 0, 2.0)
    assert set(rows[SMALLEST]["fit"]) == {"fits", "need_gb", "slots", "limit_gb", "spare_gb"}
    assert rows[REMOTE]["fit"] is None
    assert json.loads(agent_lab("models", "show", LARGE, "--json").out)["fit"] == fit


def test_a_damaged_file_is_shown_as_damaged(agent_lab: Run):
    damage(SMALLEST)
    ran = agent_lab("models", "list")
    assert ran.code == 0
    assert " damaged " in row_of(ran.out, SMALLEST)
    assert " now " in row_of(ran.out, "smollm2-360m")
    assert len(ran.err.splitlines()) == 1
    assert "SmolLM2-135M-Instruct.Q4_1.gguf" in ran.err
    shown = json.loads(agent_lab("models", "show", SMALLEST, "--json").out)
    assert shown["fit"] is None
    assert "SmolLM2-135M-Instruct.Q4_1.gguf" in shown["fit_problem"]


def test_a_missing_engine_is_said_once_and_breaks_no_list(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    ran = agent_lab("models", "list")
    assert ran.code == 0
    assert " no engine " in row_of(ran.out, SMALLEST)
    assert len(ran.err.splitlines()) == 1
    assert "pip install" in ran.err


@pytest.mark.weights(SMALLEST)
def test_a_model_is_shown_with_its_slots_and_their_window(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AGENT_LAB_LOCAL_CONTEXT", "512")
    monkeypatch.setenv("AGENT_LAB_LOCAL_SLOTS", "1")
    shown = agent_lab("models", "show", SMALLEST).out
    assert "now, 1 slot of 512 tokens; needs 0." in shown


# --- What to take ---


def test_the_best_models_are_recommended_with_commands_that_work(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MAX_VRAM_USAGE_GB", "8")
    told = agent_lab("models", "recommend", "--language", "ES").out
    assert "\n   fits now: " in told
    best = told.splitlines()[0].removeprefix("1. ")
    commands = [shlex.split(line)[1:] for line in told.splitlines() if "agent-lab" in line]
    pair = commands[2][2:]
    assert len(pair) == 2
    assert commands == [
        ["models", "pull", best],
        ["run", "challenge", "…", "--model", best],
        ["models", "pull", *pair],
        ["run", "challenge", "…", "--model", pair[0], "--role", f"challenger={pair[1]}"],
    ]
    for pulling, running in (commands[:2], commands[2:]):
        assert agent_lab(*pulling).code == 5  # offline, and known all the same
        assert agent_lab(*running, "--plan").code == 0


def test_the_recommendation_as_json_has_all_that_fit_and_a_pair(agent_lab: Run):
    advice = json.loads(agent_lab("models", "recommend", "--language", "es", "--json").out)
    assert {"key", "fit", "tokens_per_s", "reasons"} <= set(advice["models"][0])
    assert set(advice["pair"]) <= {model["key"] for model in advice["models"]}


def test_where_nothing_fits_nothing_is_recommended(agent_lab: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAX_VRAM_USAGE_GB", "0.5")
    ran = agent_lab("models", "recommend")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("agent-lab: No local model suits. Try: agent-lab models list")


# --- New ones ---


@pytest.fixture
def _hub_may_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("AGENT_LAB_OFFLINE", "false")


@pytest.mark.usefixtures("_hub_may_be_asked")
async def test_a_model_of_a_hub_is_added_and_then_pulled(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch
):
    async with HubDouble() as hub:
        serve_model(hub)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)

        async def run(*arguments: str) -> Any:
            return await asyncio.to_thread(agent_lab, "models", *arguments)

        added = await run("add", "hf:owner/Tiny-GGUF")
        assert added.code == 0
        facts = dict(line.split(maxsplit=1) for line in added.out.splitlines())
        assert facts["key"] == "tiny-1b-instruct"
        assert facts["licence"] == "apache-2.0"
        assert facts["window"] == "512 tokens"
        assert facts["fit"].startswith("now, ")
        assert facts["written"] == f"to         {load_settings().own_models_file}"
        assert added.err.endswith("Try: agent-lab models pull tiny-1b-instruct\n")
        again = await run("add", "hf:owner/Tiny-GGUF")
        assert (again.code, again.out) == (4, "")
        assert "--replace" in again.err
        pulled = await run("add", "hf:owner/Tiny-GGUF", "--replace", "--pull", "--json")
    assert pulled.code == 0
    row = json.loads(pulled.out)
    assert row["written_to"] == str(load_settings().own_models_file)
    assert row["fit"]["fits"] == "now"
    assert await asyncio.to_thread(Path(row["path"]).read_bytes) == gguf_bytes()


# --- What a running server is asked to do ---


@pytest.mark.weights(SMALLEST)
def test_a_running_server_loads_warms_up_and_unloads(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AGENT_LAB_LOCAL_CONTEXT", "512")
    monkeypatch.setenv("AGENT_LAB_LOCAL_SLOTS", "2")
    with started("serve", "--port", "0") as server:
        there = ("--server", address_of(server))
        loaded = agent_lab("models", "load", SMALLEST, REMOTE, *there)
        assert loaded.code == 0
        first, second = loaded.out.splitlines()
        assert first.startswith(f"{SMALLEST}  loaded: 2 slots of 512 tokens, 0.")
        assert second == f"{REMOTE}  takes no memory here: it lives at `openai`"
        warmed = agent_lab("models", "warm", SMALLEST, "--flow", "single", *there)
        assert (warmed.code, warmed.out) == (0, f"{first}\n")
        unloaded = agent_lab("models", "unload", SMALLEST, REMOTE, *there)
        assert unloaded.out.splitlines() == [f"{SMALLEST}  unloaded", second]


def test_what_the_server_refuses_is_said_as_an_error_of_the_command(agent_lab: Run):
    with started("serve", "--port", "0") as server:
        assert server.stderr is not None
        server.stderr.readline()  # that no model is here
        there = ("--server", address_of(server))
        unknown = agent_lab("models", "load", "smollm", *there)
        missing = agent_lab("models", "load", SMALLEST, *there)
        wrong = agent_lab("models", "warm", SMALLEST, "--flow", "chalenge", *there)
    for ran in (unknown, missing, wrong):
        assert ran.out == ""
        assert len(ran.err.splitlines()) == 1
    assert unknown.code == 2
    assert unknown.err.startswith("agent-lab: Unknown model `smollm`; did you mean")
    assert missing.code == 4
    assert missing.err.endswith(f"Try: agent-lab models pull {SMALLEST}\n")
    assert wrong.code == 2


def test_the_server_of_the_settings_is_asked_where_none_is_named(
    agent_lab: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AGENT_LAB_HOST", "::1")
    monkeypatch.setenv("PORT", "9")
    ran = agent_lab("models", "unload", SMALLEST)
    assert ran.code == 5
    assert "`http://[::1]:9`" in ran.err


@pytest.mark.parametrize(
    ("status", "body"), [("200 OK", "<html>"), ("404 Not Found", "no"), ("200 OK", "[]")]
)
def test_a_server_of_others_is_told_from_ours(agent_lab: Run, status: str, body: str):
    with answering(status, body) as address:
        ran = agent_lab("models", "load", SMALLEST, "--server", address)
    assert ran.code == 5
    assert f"`{address}` is no server of the lab: it answers HTTP {status[:3]}" in ran.err


def test_a_view_of_another_form_is_an_error(agent_lab: Run):
    with answering("200 OK", '{"key": "fake"}') as address:
        ran = agent_lab("models", "unload", "fake", "--server", address)
    assert (ran.code, ran.out) == (5, "")
    assert "`fake`" in ran.err


def test_an_error_of_an_unknown_form_is_an_error(agent_lab: Run):
    with answering("500 No", '{"detail": "no"}') as address:
        ran = agent_lab("models", "load", SMALLEST, "--server", address)
    assert (ran.code, ran.err) == (1, "agent-lab: The server answers HTTP 500.\n")


def test_ctrl_c_leaves_the_server_to_what_it_has_begun():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started("models", "load", SMALLEST, "--server", address) as process:
            connection, _ = silent.accept()
            with connection:
                waits = read_until(process, "Ctrl-C")
                assert waits.startswith(f"agent-lab: Waiting for the server to load `{SMALLEST}`.")
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=LONGEST_WAIT_S)
    assert process.returncode == 130
    assert err == (
        "agent-lab: Interrupted. The server goes on with what it has begun. "
        f"Try: agent-lab models load {SMALLEST}\n"
    )
