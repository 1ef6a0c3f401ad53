"""Damaged weights: an error of ours each time, never the end of the process.

With its sha256 no damage passes. Without one (a model of the operator's own), what llama.cpp would
trip over must be found in the head of the file; flipped numbers are nobody's to see.
"""

import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from agent_lab.contracts import Message
from agent_lab.errors import AgentLabError, WeightsCorruptError
from agent_lab.providers.local.engines.llamacpp_engine import LlamaCppEngine
from agent_lab.providers.local.gguf_header import read_header
from agent_lab.providers.local.loading import LoadOptions
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from tests.conftest import REPOSITORY, WEIGHTS_FOLDER
from tests.providers.local.gguf_files import Damage, break_file, damages, layout, mend_file

SMALLEST = ModelRegistry.load().get("smollm2-135m")
WHOLE = WEIGHTS_FOLDER / SMALLEST.file
COUNT = 200
needs_weights = pytest.mark.weights(SMALLEST.key)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copyfile(WHOLE, tmp_path / SMALLEST.file))


def new_seed() -> int:
    """Other damage each time; a failing test prints the seed."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201
    return seed


@needs_weights
@pytest.mark.parametrize("count", [24, pytest.param(COUNT, marks=pytest.mark.heavy)])
def test_no_damage_passes_the_sha256(copy: Path, count: int):
    store = WeightsStore(copy.parent)
    for damage in from_the_end(damages(layout(WHOLE), count, new_seed())):
        if not break_file(copy, damage):
            continue  # The same bytes are no damage.
        with pytest.raises(WeightsCorruptError):
            store.verified_path(SMALLEST)
        if damage.bytes:
            mend_file(copy, damage, WHOLE)


@needs_weights
def test_a_file_that_was_cut_is_known_by_its_head(copy: Path):
    for damage in from_the_end(damages(layout(WHOLE), COUNT, new_seed())):
        if not damage.bytes:
            break_file(copy, damage)
            with pytest.raises(WeightsCorruptError, match=r"missing|would|claims"):
                read_header(copy)


def from_the_end(damage: list[Damage]) -> list[Damage]:
    """The cuts last, the shortest file at the end: what was cut off need not be written again."""
    return sorted(damage, key=lambda each: (not each.bytes, -each.place))


@pytest.mark.heavy
@needs_weights
@pytest.mark.parametrize("seed", [1, None], ids=["the same", "new"])
def test_without_a_sha256_no_damage_ends_the_process(copy: Path, seed: int | None):
    seed = seed or new_seed()
    program = "from tests.providers.local.test_damaged_files import load_all; load_all()"
    ran = subprocess.run(
        [sys.executable, "-c", program, str(copy), str(seed)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=600,
        check=False,
    )
    results = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0, f"seed {seed}, after {results[-1:]}: {ran.stderr[-2000:]}"
    assert len(results) == COUNT
    outcomes = Counter((kind, outcome) for kind, _, outcome in results)
    assert outcomes["cut", "weights_corrupt"] == COUNT // 4, outcomes
    assert outcomes["length", "answered"] < COUNT // 20, outcomes
    assert {outcome for _, outcome in outcomes} <= {
        "weights_corrupt",
        "provider_unavailable",
        "answered",
    }


def load_all() -> None:
    """Load each damaged copy as LocalProvider does, in this process, and say what became of it."""
    copy, seed = Path(sys.argv[1]), int(sys.argv[2])
    entry = SMALLEST.model_copy(update={"key": "own", "sha256": "", "bytes": 0})
    for damage in damages(layout(WHOLE), COUNT, seed):
        break_file(copy, damage)
        line = json.dumps([damage.kind, damage.place, _outcome(copy, entry)])
        print(line, flush=True)  # noqa: T201
        mend_file(copy, damage, WHOLE)


def _outcome(path: Path, entry: ModelEntry) -> str:
    options = LoadOptions(context=256, slots=1, threads=1)
    try:
        verified = WeightsStore(path.parent).verified_path(entry)
        LlamaCppEngine.memory_need(verified, options)
        engine = LlamaCppEngine.load(entry, verified, options)
        try:
            hello = (Message(role="user", content="hi"),)
            engine.chat(hello, {"max_tokens": 2}, lambda delta: None, lambda: False)
        finally:
            engine.close()
    except AgentLabError as error:
        return error.code
    return "answered"
