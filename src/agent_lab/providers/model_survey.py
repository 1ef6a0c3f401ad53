"""Looks at the models from this machine: which are here, which fit, which to take."""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from agent_lab.contracts import Contract, ModelFit
from agent_lab.errors import ConfigurationError
from agent_lab.providers.local.gpu_guard import read_gpus
from agent_lab.providers.local.memory_bandwidth import memory_bandwidth
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.recommendation import Recommendation, recommend, recommend_pair
from agent_lab.providers.registries.model_registry import Capability, ModelEntry


class SurveyedModel(NamedTuple):
    """A model, and what this machine is for it."""

    entry: ModelEntry
    present: bool
    """Whether it can be asked now."""
    fit: ModelFit | None = None
    """None: it takes no memory here, or `problem` says why nobody knows."""
    problem: ConfigurationError | None = None
    """Why a local model cannot be loaded at all: a damaged file, an engine that is not there."""


class Advice(Contract):
    """The local models to take on this machine."""

    models: tuple[Recommendation, ...]
    """The best first; empty: none suits."""
    pair: tuple[str, str] | None
    """Keys of the two for a debate, the better one first; null: no two go together."""


async def survey(gateway: ProviderGateway, entries: Iterable[ModelEntry]) -> list[SurveyedModel]:
    """Look at some models; the heads of their files are read in threads.

    What is wrong with one is part of the answer: it hides none of the others.
    """
    return await asyncio.gather(*(_look(gateway, entry) for entry in entries))


async def advise(
    gateway: ProviderGateway,
    *,
    language: str | None = None,
    capability: Capability | None = None,
) -> Advice:
    """Find the best local models for this machine.

    Args:
        gateway: Whose models.
        language: ISO 639-1 code of a language that they must speak; None: any.
        capability: What they must be able to do; None: nothing in particular.
    """
    seen = [model for model in await survey(gateway, gateway.models.all()) if model.fit]
    ranked = recommend(
        [model.entry for model in seen],
        {model.entry.key: model.fit for model in seen},
        present={model.entry.key for model in seen if model.present},
        language=language,
        capability=capability,
        bandwidth_gb_s=await asyncio.to_thread(_bandwidth_gb_s),
    )
    pair = recommend_pair(ranked)
    return Advice(models=ranked, pair=pair and (pair[0].key, pair[1].key))


def _bandwidth_gb_s() -> float | None:
    """GB a second of the memory that models lie in; None: a GPU's, which does not say it."""
    return None if read_gpus() else memory_bandwidth() / 1e9


async def _look(gateway: ProviderGateway, entry: ModelEntry) -> SurveyedModel:
    present = gateway.ready(entry)
    try:
        return SurveyedModel(entry, present, await gateway.memory.fit(entry))
    except ConfigurationError as error:
        return SurveyedModel(entry, present, problem=error)
