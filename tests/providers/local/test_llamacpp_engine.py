"""The real llama.cpp, where it errs: every way that it fails is one of our errors."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent_lab.contracts import Message
from agent_lab.errors import (
    MissingDependencyError,
    ProviderRequestError,
    ProviderUnavailableError,
)
from agent_lab.providers.base import Delta
from agent_lab.providers.local.engines.base import ENGINES, Engine
from agent_lab.providers.local.engines.llamacpp_engine import LlamaCppEngine, waiting_threads
from agent_lab.providers.local.loading import LoadOptions
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from tests.conftest import WEIGHTS_FOLDER

SMALLEST = ModelRegistry.load().get("smollm2-135m")
HELLO = (Message(role="user", content="Say hello."),)
needs_weights = pytest.mark.weights(SMALLEST.key)


@pytest.fixture
def engine() -> Iterator[Engine]:
    loaded = LlamaCppEngine.load(SMALLEST, WEIGHTS_FOLDER / SMALLEST.file, LoadOptions(512, 2, 1))
    yield loaded
    loaded.close()


def chat(engine: Engine, emit=lambda delta: None, cancelled=lambda: False, **params):
    return engine.chat(HELLO, {"max_tokens": 8, **params}, emit, cancelled)


def test_the_engine_is_found_by_its_name():
    assert ENGINES.get("llamacpp") is LlamaCppEngine


@needs_weights
def test_a_schema_that_is_none_is_refused(engine: Engine):
    with pytest.raises(ProviderRequestError, match=SMALLEST.key):
        chat(engine, response_schema={"type": "no such type"})


@needs_weights
def test_a_fault_of_the_reader_is_not_swallowed_and_ends_the_answer(engine: Engine):
    def broken(delta: Delta) -> None:
        raise RuntimeError("the reader broke")

    with pytest.raises(RuntimeError, match="the reader broke"):
        chat(engine, emit=broken)
    assert chat(engine).text


@needs_weights
def test_cancelling_stops_between_two_tokens(engine: Engine):
    pieces: list[str] = []
    with pytest.raises(Exception, match="without a finish reason"):
        chat(
            engine,
            emit=lambda delta: pieces.append(delta.text),
            cancelled=lambda: len(pieces) >= 3,
            max_tokens=200,
        )
    assert len(pieces) < 10


@needs_weights
def test_the_engines_own_port_answers_nobody_without_its_key(engine: Engine):
    assert isinstance(engine, LlamaCppEngine)
    sockets = psutil.Process(engine.pid).net_connections("tcp")
    (listening,) = (socket.laddr for socket in sockets if socket.status == psutil.CONN_LISTEN)
    assert listening.ip == "127.0.0.1"
    url = f"http://127.0.0.1:{listening.port}/v1/chat/completions"
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(url, data=b"{}")
    refused.value.close()


@needs_weights
def test_an_engine_that_was_never_used_closes_at_once():
    # On one core the binding's own thread comes too late, unless loading waits for it.
    program = (
        "import os, sys\n"
        "if hasattr(os, 'sched_setaffinity'):\n"
        "    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from pathlib import Path\n"
        "from agent_lab.providers.local.engines.llamacpp_engine import LlamaCppEngine\n"
        "from agent_lab.providers.local.loading import LoadOptions\n"
        "from agent_lab.providers.registries.model_registry import ModelRegistry\n"
        f"model = ModelRegistry.load().get('{SMALLEST.key}')\n"
        "for _ in range(3):\n"
        "    LlamaCppEngine.load(model, Path(sys.argv[1]), LoadOptions(512, 1, 1)).close()\n"
    )
    weights = WEIGHTS_FOLDER / SMALLEST.file
    subprocess.run([sys.executable, "-c", program, str(weights)], check=True, timeout=120)


def test_a_file_that_is_no_model_is_named_with_a_way_to_learn_more(tmp_path: Path):
    (tmp_path / "x.gguf").write_bytes(b"not a model")
    with pytest.raises(ProviderUnavailableError, match=r"cannot load `broken`.*x\.gguf") as raised:
        LlamaCppEngine.load(
            ModelEntry(key="broken", provider="local", context_window=512),
            tmp_path / "x.gguf",
            LoadOptions(512, 1, 1),
        )
    assert "LOG_LEVEL=DEBUG agent-lab" in raised.value.hint


def test_without_the_binding_the_error_is_the_pip_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingDependencyError) as raised:
        LlamaCppEngine.load(SMALLEST, Path("unused.gguf"), LoadOptions(512, 1, 1))
    assert raised.value.hint == "pip install 'ai-agent-lab-v3[llamacpp]'"


@pytest.mark.parametrize(
    ("own", "added"),
    [
        ({}, {"GOMP_SPINCOUNT": "1000"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {}),
        ({"GOMP_SPINCOUNT": "20"}, {}),
    ],
)
def test_waiting_threads_spin_a_little_unless_the_user_chose(
    own: dict[str, str], added: dict[str, str]
):
    assert waiting_threads(own) == added


@needs_weights
def test_an_engine_that_ends_in_the_middle_of_an_answer_is_an_error_that_says_how(engine: Engine):
    assert isinstance(engine, LlamaCppEngine)
    process = psutil.Process(engine.pid)
    with pytest.raises(
        ProviderUnavailableError, match=r"ran `smollm2-135m`, has ended \(SIGKILL\)"
    ):
        chat(engine, emit=lambda delta: process.kill(), max_tokens=200)
    assert not engine.alive
    with pytest.raises(ProviderUnavailableError):
        chat(engine)


@needs_weights
def test_closing_ends_the_process(engine: Engine):
    assert isinstance(engine, LlamaCppEngine)
    engine.close()
    assert not psutil.pid_exists(engine.pid)


@needs_weights
def test_an_answer_that_is_held_to_a_schema_is_complete_within_its_limit(engine: Engine):
    schema = {
        "type": "object",
        "properties": {"story": {"type": "string"}, "good": {"type": "boolean"}},
        "required": ["story", "good"],
        "additionalProperties": False,
    }
    story = (Message(role="user", content="Tell a very long story about the sea."),)
    for seed in range(3):
        answer = engine.chat(
            story,
            {"max_tokens": 60, "seed": seed, "temperature": 1.0, "response_schema": schema},
            lambda delta: None,
            lambda: False,
        )
        assert answer.finish_reason == "stop"
        assert set(json.loads(answer.text)) == {"story", "good"}
