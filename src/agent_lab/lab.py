"""The composition root: settings in, a working lab out."""

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent_lab.config import Settings, load_settings
from agent_lab.contracts import Message, RunRecord, RunRequest
from agent_lab.errors import RunFailedError, StorageError, UnknownFlowError
from agent_lab.flows.catalogue import Catalogue
from agent_lab.flows.flow_validator import FlowReport, validate
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig
from agent_lab.flows.prompt_templates import in_language
from agent_lab.orchestrator.blocking import run_blocking
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.model_facts import with_models
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.events import Listener
from agent_lab.runs.executions import Limits
from agent_lab.runs.service import RunService
from agent_lab.storage.database import Database

_SECRET_BYTES = 32


@dataclass(frozen=True)
class Lab:
    """Everything that a caller needs; `async with` frees the models at its end."""

    gateway: ProviderGateway
    flows: Mapping[str, FlowConfig]
    runs: RunService
    builder: GraphBuilder = field(default_factory=GraphBuilder)

    def catalogue(self) -> Catalogue:
        """What flows can be made of here: types of node, routers, models, strategies, flows."""
        return with_models(self.builder.catalogue(), self.gateway)

    def check_flow(
        self, flow: FlowConfig | Mapping[str, Any], request: RunRequest | None = None
    ) -> FlowReport:
        """Look for everything that is wrong with a flow; nothing is run.

        Args:
            flow: The flow, or the JSON object that should be one.
            request: What is going to be asked, for the worst case; None: a task of 500 tokens.
        """
        return validate(flow, self.catalogue(), request)

    async def warm(self, keys: Iterable[str], flow: str | None = None) -> None:
        """Load some models, and have them read what the prompts of a flow begin with.

        Args:
            keys: Model keys.
            flow: The flow's name; None: the first one that there is.

        Raises:
            UnknownFlowError: No flow has this name.
            ConfigurationError: A key is unknown, or weights are missing; nothing is loaded yet.
            NotEnoughVramError: There is no room for one.
            ProviderError: A model cannot be loaded.
        """
        flow = next(iter(self.flows)) if flow is None else flow
        if flow not in self.flows:
            raise UnknownFlowError(flow, list(self.flows), "agent-lab flows list")
        system = in_language(self.flows[flow].system_prompt, "en")
        head = (Message(role="system", content=system),) if system else ()
        await self.gateway.memory.warm([self.gateway.models.get(key) for key in keys], head)

    async def aclose(self) -> None:
        """Leave what is executed to others, and free every model and connection."""
        try:
            await self.runs.aclose()
        finally:
            await self.gateway.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def build(
    settings: Settings | None = None,
    *,
    gateway: ProviderGateway | None = None,
    flows: Mapping[str, FlowConfig] = FLOW_CONFIGS,
) -> Lab:
    """Build a lab; nothing is loaded or connected yet.

    Args:
        settings: None: from the environment.
        gateway: None: as the settings say; tests and examples pass a scripted one.
        flows: What can be run, by name.

    Raises:
        ConfigurationError: The settings or a registry file are wrong.
        StorageError: The folder of the lab's own data cannot be written.
    """
    settings = settings or load_settings()
    gateway = gateway or ProviderGateway.from_settings(settings)
    secret = install_secret(settings.home_folder)
    builder = GraphBuilder(flows=flows)
    runs = RunService(
        gateway,
        flows,
        Database(settings.database),
        outputs=settings.outputs_dir,
        secret=secret,
        builder=builder,
        limits=Limits(settings.max_runs, settings.max_waiting_runs, settings.run_lease_s),
    )
    return Lab(gateway, flows, runs, builder)


def install_secret(home: Path) -> bytes:
    """Return this installation's secret, made at the first call.

    Raises:
        StorageError: The folder cannot be written.
    """
    path = home / "install_secret"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _write_once(path, secrets.token_bytes(_SECRET_BYTES))
        return path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"The folder `{home}` cannot be written: {error.strerror}.",
            hint="AGENT_LAB_HOME=FOLDER agent-lab … keeps the lab's data elsewhere",
        ) from error


def _write_once(path: Path, content: bytes) -> None:
    """Write a file that another process may be writing, too: the first one wins, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_bytes(content)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return
    finally:
        temporary.unlink()


async def arun_orchestrator(
    prompt: str,
    flow_type: str = "challenge",
    *,
    gateway: ProviderGateway | None = None,
    settings: Settings | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> RunRecord:
    """Run a flow on a question and return the record of the run.

    Args:
        prompt: The question.
        flow_type: The flow's name.
        gateway: Who answers; None: a gateway of its own, closed at the end.
        settings: None: from the environment.
        listener: Shown every event as it happens.
        options: Further fields of `RunRequest`: model, models, strategy, max_tokens,
            temperature, seed, lang, attachments.

    Raises:
        RunFailedError: The run ended without an answer; `details["run_id"]` names its record.
        AgentLabError: The request cannot be run at all.
    """
    request = RunRequest.parse({"flow": flow_type, "input": prompt, **options})
    lab = build(settings, gateway=gateway)
    try:
        record = await lab.runs.run(request, listener)
    finally:
        await (lab if gateway is None else lab.runs).aclose()
    if record.error is not None:
        error = record.error
        raise RunFailedError(error.message, hint=error.hint, details={"run_id": record.id})
    return record


def run_orchestrator(prompt: str, flow_type: str = "challenge", **options: Any) -> RunRecord:
    """Run a flow on a question: `arun_orchestrator` for callers without an event loop.

    Raises:
        ConfigurationError: It was called inside a running event loop.
    """
    return run_blocking(
        "run_orchestrator",
        "arun_orchestrator",
        lambda: arun_orchestrator(prompt, flow_type, **options),
    )
