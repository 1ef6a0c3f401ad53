"""Models of a hub become known: in the operator's file, and to whoever uses the registry."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from agent_lab.config import Settings, load_settings
from agent_lab.errors import ConfigurationError, ModelInUseError
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.model_registry import ModelEntry, ModelRegistry
from tests.providers.local.weights.hub_double import HubDouble
from tests.providers.local.weights.test_hub_repository import serve

SOURCE = "hf:owner/Tiny-GGUF"
KEY = "tiny-1b-instruct"
SMALLEST = "smollm2-135m"
MINE = """
[models.mine]
provider = "local"
engine = "llamacpp"
file = "SmolLM2-135M-Instruct.Q4_1.gguf"
context_window = 512
"""

Build = Callable[[], ProviderGateway]


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HubDouble]:
    """A hub that has one model."""
    monkeypatch.setenv("no_proxy", "*")
    async with HubDouble() as hub:
        serve(hub)
        yield hub


@pytest.fixture
async def gateway(hub: HubDouble, settings: Settings) -> AsyncIterator[ProviderGateway]:
    """A gateway that asks it, in which the smallest model is also called `mine`."""
    changed = load_settings(
        home=settings.home, hf_endpoint=hub.address, offline=False, local_slots=1
    )
    changed.own_models_file.write_text(MINE, "utf-8")
    gateway = ProviderGateway.from_settings(changed)
    yield gateway
    await gateway.aclose()


def saved(gateway: ProviderGateway) -> list[ModelEntry]:
    """The registry that the next process has."""
    return ModelRegistry.load(gateway.settings.operator_models).all()


async def test_a_new_model_is_known_at_once_and_to_the_next_process(gateway: ProviderGateway):
    entry = await gateway.new_models.add(SOURCE)
    assert entry.key == KEY
    assert gateway.models.get(KEY) == entry
    assert gateway.models.all() == saved(gateway)
    assert not gateway.ready(entry)
    fit = await gateway.memory.fit(entry)
    assert fit is not None
    assert fit.need_gb == entry.min_vram_gb


async def test_what_is_refused_changes_neither_file_nor_registry(
    gateway: ProviderGateway, hub: HubDouble
):
    before = gateway.settings.own_models_file.read_bytes()
    with pytest.raises(ConfigurationError, match="`mine` already"):
        await gateway.new_models.add(SOURCE, key="mine")
    hub.files.clear()
    with pytest.raises(ConfigurationError):
        await gateway.new_models.add(SOURCE)
    assert gateway.settings.own_models_file.read_bytes() == before
    assert gateway.models.all() == saved(gateway)


async def test_a_hub_that_must_not_be_asked_is_not(settings: Settings, hub: HubDouble):
    offline = load_settings(home=settings.home, hf_endpoint=hub.address)
    gateway = ProviderGateway.from_settings(offline)
    with pytest.raises(ConfigurationError, match="AGENT_LAB_OFFLINE"):
        await gateway.new_models.add(SOURCE)
    assert hub.requests == []
    await gateway.aclose()


@pytest.mark.weights(SMALLEST)
async def test_a_model_that_is_replaced_does_not_stay_loaded(gateway: ProviderGateway):
    await gateway.memory.load([gateway.models.get("mine")])
    new = await gateway.new_models.add(SOURCE, key="mine", replace=True)
    assert gateway.memory.loaded() == ()
    assert gateway.models.get("mine") == new
    assert gateway.models.all() == saved(gateway)


@pytest.mark.weights(SMALLEST)
async def test_a_model_in_use_is_not_replaced(gateway: ProviderGateway):
    before = gateway.models.all()
    request = {"prompt": "Count to one hundred.", "model_key": "mine", "max_tokens": 300}
    async with aclosing(gateway.stream(request)) as chunks:
        await anext(chunks)
        with pytest.raises(ModelInUseError):
            await gateway.new_models.add(SOURCE, key="mine", replace=True)
    assert gateway.models.all() == before == saved(gateway)
