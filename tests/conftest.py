"""What every test stands on: an environment of its own, and real weights where it asks."""

import logging
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent_lab.config import Settings, load_settings
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.lab import Lab, build
from agent_lab.providers.local.scripted_provider import ScriptedProvider
from agent_lab.providers.local.weights.store import WeightsStore
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.registries.model_registry import ModelRegistry
from agent_lab.runs.service import RunService
from agent_lab.storage.database import Database

REPOSITORY = Path(__file__).parent.parent
WEIGHTS_FOLDER = load_settings().weights_folder.resolve()
OURS = ("AGENT_LAB_", "HF_")
FIRST_LAB = {
    "APP_ENV",
    "LOG_LEVEL",
    "PORT",
    "DEFAULT_PROVIDER",
    "DEFAULT_STRATEGY",
    "MAX_TOKENS_DEFAULT",
    "MAX_VRAM_USAGE_GB",
    "MODEL_CACHE_DIR",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
}
# A job in the background is started with SIGINT ignored, and its children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

FIXED_SECRET = b"a secret of the tests, always the same"


def service_of(
    gateway: ProviderGateway, flows: Mapping[str, FlowConfig], outputs: Path, **options: Any
) -> RunService:
    """A service whose database lies beside the folder of the saved runs."""
    database = Database(f"sqlite:///{outputs.parent.absolute() / 'runs.db'}")
    options = {"secret": FIXED_SECRET, **options}
    return RunService(gateway, flows, database, outputs=outputs, **options)


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting, key or file of the machine reaches a test, and nothing of a test the machine."""
    for name in list(os.environ):
        if name.startswith(OURS) or name in FIRST_LAB:
            monkeypatch.delenv(name)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("AGENT_LAB_OFFLINE", "true")


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command that sends the logs somewhere sends those of no other test there."""
    yield
    logger = logging.getLogger("agent_lab")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def real_weights(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a test that is marked `weights(key)` the pulled weights; missing ones are a failure."""
    marker = request.node.get_closest_marker("weights")
    if marker is None:
        return
    entry = ModelRegistry.load().get(marker.args[0])
    if not WeightsStore(WEIGHTS_FOLDER).present(entry):
        way = f"make weights MODEL={entry.key}"
        pytest.fail(f"The weights of `{entry.key}` are not here: {way}", pytrace=False)
    monkeypatch.setenv("MODEL_CACHE_DIR", str(WEIGHTS_FOLDER))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file without runs, made once: to copy it is quicker than to make it."""
    file = tmp_path_factory.mktemp("database") / "lab.db"
    database = Database(f"sqlite:///{file}")
    database.open()
    database.close()
    return file


@pytest.fixture
def settings(
    own_environment: None, real_weights: None, tmp_path: Path, empty_database: Path
) -> Settings:
    """Settings whose runs are saved in the test's own folder."""
    (tmp_path / "home").mkdir()
    shutil.copyfile(empty_database, tmp_path / "home" / "lab.db")
    return load_settings(outputs_dir=tmp_path / "outputs", home=tmp_path / "home")


@pytest.fixture
def scripted() -> ScriptedProvider:
    """A provider that plays a whole challenge debate."""
    return ScriptedProvider(
        {"creator": "the draft", "challenger": "the critique", "refiner": "the final answer"}
    )


@pytest.fixture
def scripted_lab(settings: Settings, scripted: ScriptedProvider) -> Lab:
    """A lab in which three models play that debate."""
    gateway = ProviderGateway.scripted(scripted, ("first", "second", "third"))
    return build(settings, gateway=gateway)
