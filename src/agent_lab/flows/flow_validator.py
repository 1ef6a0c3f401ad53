"""Proves a flow before it runs: every fault at once, and what it can take at the most."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from pydantic import ValidationError

from agent_lab.contracts import Contract, RunRequest
from agent_lab.errors import AgentLabError, InvalidFlowError
from agent_lab.flows.catalogue import Catalogue
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import FlowPlan, FlowTooLargeError, plan_flow
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.flows.validation import (
    flow_tests,
    kinds,
    limits,
    names,
    order,
    reading,
    registries,
    roles,
    structure,
    ways,
)
from agent_lab.flows.validation.faults import Fault, Subject
from agent_lab.flows.worst_case import WorstCase, worst_case

Rule = Callable[[Subject], Iterator[Fault]]

MOST_FAULTS = 1000
"""That are told of one flow."""

OF_WRITTEN: tuple[Callable[[FlowConfig], Iterator[Fault]], ...] = (
    structure.ids,
    structure.members,
    structure.inputs,
)
"""Rules of the flow as it is written; the others need a plan, which needs these."""
OF_GRAPH: tuple[Rule, ...] = (ways.ways, ways.loops, ways.ends)
"""Rules that follow edges: of no use where an edge leads nowhere."""
OF_PARTS: tuple[Rule, ...] = (
    kinds.kinds,
    names.taken,
    names.prompts,
    names.conditions,
    registries.registry_keys,
    roles.drafts,
    roles.judges,
    flow_tests.flow_tests,
)
OF_ORDER: tuple[Rule, ...] = (order.reading,)
"""Rules of what runs before what: of no use where edges make a circle."""


class FlowReport(Contract):
    """What validation found."""

    flow: str
    """The flow's name; empty where it has none."""
    faults: tuple[Fault, ...] = ()
    """Errors first."""
    worst_case: WorstCase | None = None
    """None where the flow cannot run, or nobody looked at the models."""

    @property
    def errors(self) -> tuple[Fault, ...]:
        """Why the flow cannot run."""
        return tuple(fault for fault in self.faults if fault.severity == "error")

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """What it may not have meant."""
        return tuple(fault for fault in self.faults if fault.severity == "warning")


def validate(
    flow: FlowConfig | Mapping[str, Any],
    catalogue: Catalogue,
    request: RunRequest | None = None,
) -> FlowReport:
    """Look for everything that is wrong with a flow, without running anything.

    Args:
        flow: The flow, or the JSON object that should be one.
        catalogue: What flows can be made of.
        request: What is going to be asked, for the worst case; None: a task of 500 tokens.
    """
    if isinstance(flow, FlowConfig):
        unsafe = tuple(reading.unsafe(_unchecked(flow)))
        if unsafe:
            return FlowReport(flow=flow.name, faults=unsafe)
    else:
        try:
            flow = read_flow(flow)
        except InvalidFlowError as error:
            faults = tuple(Fault.model_validate(fault) for fault in error.details["faults"])
            return FlowReport(flow=error.flow, faults=faults)
    found = _all(rule(flow) for rule in OF_WRITTEN)
    plan = _plan(flow, {} if request is None else request.inputs, found)
    if plan is None:
        return FlowReport(flow=flow.name, faults=tuple(found))
    subject = Subject(flow, plan, Course(plan), catalogue)
    dangling = _has(found, "unknown_node", "duplicate_node")
    found += _all(rule(subject) for rule in (*(() if dangling else OF_GRAPH), *OF_PARTS))
    if not dangling and not _has(found, "unbounded_loop"):
        found += _all(rule(subject) for rule in OF_ORDER)
    if not _has(found, "endless_subflow"):
        found += _all([_subflows(subject)])
    found.sort(key=lambda fault: fault.severity)
    is_sound = not any(fault.severity == "error" for fault in found)
    if not is_sound or catalogue.models is None:
        return FlowReport(flow=flow.name, faults=tuple(found))
    worst = worst_case(plan, catalogue, request)
    found += _all([limits.budget(subject, worst), limits.windows(subject, worst)])
    return FlowReport(flow=flow.name, faults=tuple(found), worst_case=worst)


def read_flow(content: Mapping[str, Any]) -> FlowConfig:
    """Read a flow from the JSON object that should be one.

    Raises:
        InvalidFlowError: It is none; every fault is named.
    """
    if not isinstance(content, Mapping):
        reason = "A flow is a JSON object."
        raise _invalid("", [Fault(code="wrong_value", reason=reason)])
    name = content.get("name")
    flow = name if isinstance(name, str) else ""
    unsafe = _all([reading.unsafe(content)])
    if unsafe:
        raise _invalid(flow, unsafe)
    try:
        return FlowConfig.model_validate(dict(content))
    except ValidationError as error:
        raise _invalid(flow, _all([reading.unreadable(content, error)])) from error


def check_flow(flow: FlowConfig, catalogue: Catalogue) -> None:
    """Refuse a flow that cannot run.

    Raises:
        InvalidFlowError: With every fault.
    """
    errors = validate(flow, catalogue).errors
    if errors:
        raise _invalid(flow.name, errors)


def _invalid(flow: str, faults: Iterable[Fault]) -> InvalidFlowError:
    listed = list(faults)
    return InvalidFlowError(flow, list(map(str, listed)), [f.model_dump() for f in listed])


def _all(parts: Iterable[Iterable[Fault]]) -> list[Fault]:
    found = list(islice(chain.from_iterable(parts), MOST_FAULTS + 1))
    if len(found) > MOST_FAULTS:
        reason = f"There are more faults than {MOST_FAULTS}."
        found[-1] = Fault(code="more_faults", reason=reason, fix="Mend these first.")
    return found


def _has(faults: Iterable[Fault], *codes: str) -> bool:
    return any(fault.code in codes for fault in faults)


def _unchecked(flow: FlowConfig) -> dict[str, Any]:
    """The parts of a flow that can be as deep as anybody likes, and its longest texts."""
    return {
        "nodes": [
            {"id": node.id, "config": node.config, "prompt_template": node.prompt_template}
            for node in flow.nodes
        ],
        "inputs": {name: {"default": config.default} for name, config in flow.inputs.items()},
        "tests": [{"inputs": test.inputs} for test in flow.tests],
    }


def _plan(flow: FlowConfig, given: Mapping[str, Any], faults: list[Fault]) -> FlowPlan | None:
    try:
        return plan_flow(flow, given)
    except AgentLabError as error:
        if not _has(faults, "unknown_member", "empty_group"):  # these are the reason
            code = "too_large" if isinstance(error, FlowTooLargeError) else "wrong_input"
            field = "nodes" if code == "too_large" else "inputs"
            faults.append(Fault(code=code, field=field, reason=error.message, fix=error.hint))
    # What the caller gave is wrong: the flow itself can be looked at all the same.
    return _plan(flow, {}, faults) if given else None


def _subflows(subject: Subject) -> Iterator[Fault]:
    """The flows that nodes run can run themselves."""
    flows = subject.catalogue.flows
    for node, inner, inputs in kinds.subflows(subject.plan, {}, subject.catalogue):
        try:
            errors = validate(plan_flow(flows[inner], inputs), subject.catalogue).errors
        except (KeyError, AgentLabError):
            continue  # said of the node already
        if errors:
            yield Fault(
                code="broken_subflow",
                node=subject.written(node.id),
                field="config.flow",
                reason=f"The flow `{inner}` cannot run: {errors[0]}",
                fix=f"`agent-lab flows validate {inner}` tells all.",
            )
