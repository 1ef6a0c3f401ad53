"""The example that leaves the embedded engine works as it says, with the real llama.cpp server."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent_lab.config import Settings, load_settings
from agent_lab.contracts import RunRequest
from agent_lab.lab import build
from agent_lab.providers.registries.model_registry import ModelRegistry
from tests.conftest import REPOSITORY, WEIGHTS_FOLDER

SMALLEST = ModelRegistry.load().get("smollm2-135m")
KEY = "qwen2.5-coder-1.5b"
EXAMPLE = REPOSITORY / "examples" / "own_server" / "models.toml"
API_KEY = "k3y-of-the-test"
SERVER = f"""
import sys
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], {{"served"}}
params.n_ctx, params.verbosity, params.api_keys = 4096, -1, ["{API_KEY}"]
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.endpoint_metrics = True
server = xllamacpp.Server(params)
server.handle_metrics()
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def address() -> Iterator[str]:
    """Where llama.cpp's server listens, in a process of its own."""
    weights = str(WEIGHTS_FOLDER / SMALLEST.file)
    command = [sys.executable, "-c", SERVER, weights]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


@pytest.mark.weights(SMALLEST.key)
async def test_one_line_moves_a_key_to_a_server_of_its_own(
    address: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LLAMA_SERVER_BASE_URL", f"{address}/v1")
    monkeypatch.setenv("LLAMA_API_KEY", API_KEY)
    moved = load_settings(models_file=EXAMPLE, home=settings.home, outputs_dir=settings.outputs_dir)
    async with build(moved) as lab:
        request = {"flow": "challenge", "input": "Say hello.", "model": KEY, "max_tokens": 12}
        record = await lab.runs.run(RunRequest.parse({**request, "seed": 1}))
        for seed in range(2, 10):
            if all(turn.status == "ok" for turn in record.turns):
                break  # now and then the smallest model ends before it begins
            record = await lab.runs.run(RunRequest.parse({**request, "seed": seed}))
        assert lab.gateway.memory.loaded() == ()
    assert len(record.turns) == 3
    assert {turn.source for turn in record.turns} == {"llama-server"}
    assert {turn.model_resolved for turn in record.turns} == {KEY}
    assert any(turn.cached_tokens for turn in record.turns[1:])


def test_the_example_is_one_line():
    lines = EXAMPLE.read_text("utf-8").splitlines()
    assert [line for line in lines if line and line[0] not in "#["] == ['provider = "llama-server"']
