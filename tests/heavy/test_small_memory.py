"""Real models under a limit that does not hold them all, and a process that dies while loading."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_lab.providers.registries.model_registry import ModelRegistry
from tests.conftest import REPOSITORY, WEIGHTS_FOLDER

SMALL, MIDDLE, LARGE = "smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
LIMIT_GB = 2.2
ORDER = (SMALL, MIDDLE, SMALL, LARGE, SMALL, MIDDLE, LARGE)
LADDER = """
import asyncio, json, sys
from pathlib import Path

import psutil

from agent_lab.config import load_settings
from agent_lab.contracts import Message
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.local.local_provider import LocalProvider
from agent_lab.providers.registries.model_registry import ModelRegistry
from agent_lab.providers.registries.provider_registry import ProviderEntry

folder, limit, order = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3].split(",")
settings = load_settings(
    model_cache_dir=folder, max_vram_usage_gb=limit, local_context=4096, local_slots=1
)
words = " ".join(f"word{i}" for i in range(300))

async def main():
    provider = LocalProvider.from_settings(settings, ProviderEntry(name="local", api="local"))
    for key in order:
        model = ModelRegistry.load().get(key)
        call = ProviderCall(model, (Message(role="user", content=words),), {"max_tokens": 4})
        await provider.generate(call, lambda _: None)
        taken = sum(child.memory_info().rss for child in psutil.Process().children())
        here = {m.key: m.need_gb for m in provider.loaded()}
        print(json.dumps([key, here, taken / 1e9]), flush=True)
    await provider.aclose()

asyncio.run(main())
"""
LOADING = """
import sys
from pathlib import Path

from agent_lab.providers.local.loading import LoadOptions
from agent_lab.providers.local.manager.model_loader import ModelLoader
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import ModelRegistry

loader = ModelLoader(WeightsStore(Path(sys.argv[1])), LoadOptions(2048, 1, 2))
model = ModelRegistry.load().get(sys.argv[2])
loader.ways(model)
print("loading", flush=True)
loader.load(model, 1).close()
print("loaded", flush=True)
"""

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]


@pytest.mark.weights(SMALL)
def test_a_ladder_of_loads_keeps_within_its_limit_and_the_least_recently_used_goes():
    for key in (MIDDLE, LARGE):
        assert (WEIGHTS_FOLDER / ModelRegistry.load().get(key).file).is_file(), f"pull {key}"
    command = [sys.executable, "-c", LADDER, str(WEIGHTS_FOLDER), str(LIMIT_GB), ",".join(ORDER)]
    ran = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=500, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    steps = [json.loads(line) for line in ran.stdout.splitlines()]
    for key, here, taken in steps:
        print(f"{key:20} {taken:.2f} GB taken by {', '.join(here)}")  # noqa: T201 - the table
        assert key in here
        assert sum(here.values()) <= LIMIT_GB
        assert taken <= LIMIT_GB
    assert [set(here) for _, here, _ in steps] == [
        {SMALL},
        {SMALL, MIDDLE},
        {SMALL, MIDDLE},
        {SMALL, LARGE},  # `MIDDLE` was used longer ago than `SMALL`
        {SMALL, LARGE},
        {SMALL, MIDDLE},
        {LARGE},  # `SMALL` went first, and that was not enough
    ]


@pytest.mark.weights(LARGE)
@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.5, 1.0])
def test_a_process_that_is_killed_while_it_loads_leaves_nothing_half_done(
    after_s: float, tmp_path: Path
):
    before = _files(WEIGHTS_FOLDER)
    command = [sys.executable, "-c", LOADING, str(WEIGHTS_FOLDER), LARGE]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        time.sleep(after_s)  # how far it gets differs from one time to the next
        process.kill()
    assert _files(WEIGHTS_FOLDER) == before
    again = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert again.stdout == "loading\nloaded\n"


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()}
