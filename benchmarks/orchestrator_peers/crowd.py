"""What a run holds in memory while many are under way: all of them stand in their second turn."""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Mapping

from agent_lab.providers.local.scripted_provider import ScriptedProvider
from agent_lab.providers.provider_gateway import ProviderGateway
from orchestrator_peers.flows import held_answer
from orchestrator_peers.measuring import BenchmarkError, Run

LONGEST_WAIT_S = 300.0


class Gate:
    """The script's pauses: those of no length pass, all others last until the gate is opened."""

    def __init__(self) -> None:
        self._open, self._full = asyncio.Event(), asyncio.Event()
        self._missing = 0

    def open(self) -> None:
        """Let everybody go on."""
        self._open.set()

    def close(self, runs: int) -> None:
        """Hold so many runs from now on."""
        self._open.clear()
        self._full.clear()
        self._missing = runs

    async def all_stand(self) -> None:
        """Wait until they are all held."""
        await self._full.wait()

    async def pause(self, seconds: float) -> None:
        """What the provider does before each word."""
        if not seconds:
            await asyncio.sleep(0)
            return
        self._missing -= 1
        if self._missing <= 0:
            self._full.set()
        await self._open.wait()


async def bytes_per_run(
    arms: Callable[[ProviderGateway], Mapping[str, Run]], runs: int
) -> dict[str, float]:
    """What Python allocates for each of some live runs, by arm.

    Args:
        arms: Makes the arms for a gateway.
        runs: How many are under way.
    """
    gate = Gate()
    provider = ScriptedProvider(held_answer, sleep=gate.pause)
    return {
        name: await _bytes_per_run(run, runs, gate, provider)
        for name, run in arms(ProviderGateway.scripted(provider)).items()
    }


async def _bytes_per_run(run: Run, runs: int, gate: Gate, provider: ScriptedProvider) -> float:
    gate.open()
    await run()  # builds what all runs share
    gate.close(runs)
    provider.calls.clear()
    gc.collect()
    tracemalloc.start()
    try:
        under_way = [asyncio.ensure_future(run()) for _ in range(runs)]
        async with asyncio.timeout(LONGEST_WAIT_S):
            await gate.all_stand()
        provider.calls.clear()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    except TimeoutError as error:
        raise BenchmarkError(f"Not all of {runs} runs came to their second turn.") from error
    finally:
        tracemalloc.stop()
    gate.open()
    await asyncio.gather(*under_way)
    return held / runs
