"""Finds out, before anything is paid or written, whether a run can be executed, and how."""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ulid import ULID

from agent_lab.contracts import JsonObject, RunRequest
from agent_lab.deliberation.context import shared_head
from agent_lab.errors import JournalMismatchError, UnknownFlowError
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.flows.language import detect_language
from agent_lab.orchestrator.cast import strategies, subflows, wishes
from agent_lab.orchestrator.flow_runner import check_request
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.run_context import SEEDS
from agent_lab.providers.normalisation import ResolvedModel
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.files import check_writable
from agent_lab.runs.record import ELSEWHERE, record_path
from agent_lab.runs.run_header import RunHeader, Setting

Wishes: TypeAlias = list[tuple[str, str | None]]
"""Each role with the model key that is wished for it."""


class Prepared(NamedTuple):
    """A run that can be executed."""

    header: RunHeader
    flow: FlowConfig


class Preparation:
    """Prepares runs.

    Args:
        gateway: Who answers.
        flows: The flows that can be run, by name.
        builder: Builds their graphs.
        outputs: Folder of the saved runs.
        now: The clock.
    """

    def __init__(
        self,
        gateway: ProviderGateway,
        flows: Mapping[str, FlowConfig],
        builder: GraphBuilder,
        outputs: Path,
        now: Callable[[], datetime],
    ) -> None:
        self._gateway = gateway
        self._flows = flows
        self._builder = builder
        self._outputs = outputs
        self._now = now
        self._writable: set[str] = set()

    def plan(self, flow: str, inputs: Mapping[str, Any] | None = None) -> FlowPlan:
        """A flow with its inputs resolved.

        Raises:
            UnknownFlowError: There is no such flow.
            InvalidFlowError: It cannot run.
            InvalidRequestError: An input has a value that it cannot have.
        """
        return self._builder.prepare(self._flow(flow), inputs)[0]

    async def prepare(
        self, request: RunRequest, *, run_id: str, owner: str | None, secret: bytes
    ) -> Prepared:
        """Settle everything about a new run.

        Args:
            request: Flow, input and wishes.
            run_id: The run's.
            owner: Whose it is.
            secret: For the tags of fences.

        Raises:
            InvalidRequestError: The input is empty, or a value of the flow's inputs is wrong.
            InvalidFlowError: The flow cannot run.
            ConfigurationError: A flow, role, model or strategy is unknown, or weights are missing.
            StorageError: The folder of the saved runs cannot be written.
        """
        flow = self._flow(request.flow)
        plan = self.plan(request.flow, request.inputs)
        # No database keeps a NUL in a text.
        request = request.model_copy(update={"input": request.input.replace("\0", "")})
        catalogue = self._builder.catalogue()
        check_request(request, plan, catalogue)
        wished = self._wishes(plan, request)
        models = await self._models(plan, request, wished)
        self._check_folder(plan.name)
        compared = () if request.baseline is None else (request.baseline,)
        lang = request.lang or detect_language(request.input)
        seed = secrets.randbelow(SEEDS) if request.seed is None else request.seed
        setting = Setting(
            cast=tuple(_member(role, models[key]) for role, key in wished),
            models={key or "": model.entry.key for key, model in models.items()},
            price_table=self._gateway.price_table(models.values()),
            flows={
                name: self._flow(name).version for name in (*subflows(plan, catalogue), *compared)
            },
        )
        header = RunHeader(
            id=run_id,
            owner=owner,
            flow=flow.name,
            flow_version=flow.version,
            request=request,
            lang=lang,
            seed=seed,
            head=shared_head(request.input, request.attachments, lang, secret),
            setting=setting,
            created_at=self._now(),
        )
        return Prepared(header, flow)

    async def prepare_again(
        self, header: RunHeader, definition: JsonObject | None, *, asks: bool = True
    ) -> Prepared:
        """See that a run can be gone on with, by the flow with which it was started.

        Args:
            header: The run.
            definition: Its flow, as the database kept it.
            asks: Whether models are going to be asked.

        Raises:
            JournalMismatchError: A flow is not what it was any more.
            AgentLabError: As for a new run.
        """
        flow = None if definition is None else FlowConfig.model_validate(definition)
        if flow is None or flow.version != header.flow_version:
            raise _changed(f"The flow `{header.flow}` cannot be read as it was")
        for name, version in header.setting.flows.items():
            if name not in self._flows or self._flows[name].version != version:
                raise _changed(f"The flow `{name}`, which a node runs, is not what it was")
        plan, _ = self._builder.prepare(flow, header.request.inputs)
        if asks:
            await self._models(plan, header.request, self._wishes(plan, header.request))
        return Prepared(header, flow)

    def has_changed(self, header: RunHeader) -> bool:
        """Whether the flow of this name is another one than when the run was started."""
        current = self._flows.get(header.flow)
        return current is not None and current.version != header.flow_version

    def _flow(self, name: str) -> FlowConfig:
        if name not in self._flows:
            raise UnknownFlowError(name, list(self._flows), "agent-lab flows list")
        return self._flows[name]

    async def _models(
        self, plan: FlowPlan, request: RunRequest, wished: Wishes
    ) -> dict[str | None, ResolvedModel]:
        """The model that will answer for each wish."""
        keys = [key for _, key in wished]
        return await self._gateway.prepare(keys, strategies(plan, request))

    def _check_folder(self, flow: str) -> None:
        if flow not in self._writable:
            check_writable(record_path(self._outputs, flow, "any").parent, ELSEWHERE)
            self._writable.add(flow)  # if that changes, the run is kept all the same

    def _wishes(self, plan: FlowPlan, request: RunRequest) -> Wishes:
        """Each role with the model key that is wished for it."""
        # Every node counts: two nodes of one role may have models of their own.
        return list(dict.fromkeys(wishes(plan, request, self._builder.catalogue())))


def new_run_id() -> str:
    """An id for a run: their order is that of their beginnings."""
    return str(ULID())


def _member(role: str, model: ResolvedModel) -> JsonObject:
    return {"role": role, "model": model.entry.key, "fallback_from": model.fallback_from}


def _changed(what: str) -> JournalMismatchError:
    return JournalMismatchError(
        f"{what} when the run was started; going on would mix the two.",
        hint="agent-lab run … asks anew",
    )
