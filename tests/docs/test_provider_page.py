"""The entries that the page on providers shows are entries that the lab takes."""

import re
from pathlib import Path

from agent_lab.providers.registries.model_registry import ModelRegistry
from agent_lab.providers.registries.provider_registry import ProviderRegistry
from agent_lab.providers.registries.strategy_registry import StrategyRegistry
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "providers.md").read_text("utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_entries_of_the_page_are_taken(tmp_path: Path):
    models, strategies = tmp_path / "models.toml", tmp_path / "strategies.toml"
    models.write_text("".join(b for b in BLOCKS if "[models." in b), encoding="utf-8")
    strategies.write_text("".join(b for b in BLOCKS if "[strategies." in b), encoding="utf-8")
    assert ProviderRegistry.load(models).get("groq").limits.concurrency == 4
    registry = ModelRegistry.load(models)
    assert {registry.get(key).provider for key in ("my-llama", "groq-llama")} == {"ollama", "groq"}
    for key in StrategyRegistry.load(strategies).get("optimized").fallbacks:
        assert registry.get(key)
