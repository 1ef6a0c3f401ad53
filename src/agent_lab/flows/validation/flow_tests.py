"""Rules of a flow's own tests: they speak of nodes and roles that there are."""

import re
from collections.abc import Iterator
from contextlib import suppress

from agent_lab.errors import AgentLabError
from agent_lab.flows.catalogue import Catalogue
from agent_lab.flows.flow_plan import FlowPlan, plan_flow
from agent_lab.flows.flow_tests import FlowTest
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.flows.validation.faults import Fault, Subject, near
from agent_lab.flows.validation.kinds import subflows

# `refiner#2`: its second turn; `validator[0]`: the turn of its first check; `voter.repair`: what it
# was asked once more; `flow[1].solver`: the second pass of a flow.
_TURN = re.compile(r"\[\d+\]|\.repair(?![a-z_.])|#.*")


def flow_tests(subject: Subject) -> Iterator[Fault]:
    """Every test can be run, and looks at what there is."""
    names: set[str] = set()
    if isinstance(subject.flow, FlowPlan):  # the flow itself was looked at before it was planned
        return
    for index, test in enumerate(subject.flow.tests):
        field = f"tests[{index}]"
        if test.name in names:
            reason = f"Two tests are called `{test.name}`; names must differ."
            fix = "Give one of them another name."
            yield Fault(code="duplicate_test", field=field, reason=reason, fix=fix)
        names.add(test.name)
        try:
            plan = plan_flow(subject.flow, test.inputs)
        except AgentLabError as error:
            reason, fix = error.message, error.hint
            yield Fault(code="wrong_input", field=f"{field}.inputs", reason=reason, fix=fix)
            continue
        yield from _names(subject.catalogue, plan, test, field)


def _names(catalogue: Catalogue, plan: FlowPlan, test: FlowTest, field: str) -> Iterator[Fault]:
    paths, roles = _speakers(plan, catalogue)
    path = [
        name
        for step in test.expect.path or ()
        for name in ((step,) if isinstance(step, str) else step)
    ]
    prompts = [_TURN.sub("", name) for name in test.expect.prompts]
    nodes = {node.id for node in plan.nodes}  # a flow within is one step of the path
    wanted = (("expect.path", path, nodes), ("expect.prompts", prompts, paths))
    for part, names, known in wanted:
        for name in dict.fromkeys(names):
            if name not in known:
                reason = f"The test `{test.name}` looks at `{name}`, which is no node."
                fix = near(name, known)
                yield Fault(code="unknown_node", field=f"{field}.{part}", reason=reason, fix=fix)
    for role in test.script:
        if role not in roles:
            reason = f"The test `{test.name}` has turns of `{role}`, which is no role."
            fix = near(role, roles)
            yield Fault(code="unknown_role", field=f"{field}.script", reason=reason, fix=fix)


def _speakers(
    plan: FlowPlan, catalogue: Catalogue, within: tuple[str, ...] = ()
) -> tuple[set[str], set[str]]:
    """The paths of all nodes, and all roles; with those of the flows that nodes run."""
    nodes = {node.id for node in plan.nodes}
    roles = {*plan.roles(), *(node.speaker for node in plan.nodes if _judges(node, catalogue))}
    for node, inner, inputs in subflows(plan, {}, catalogue):
        if inner in within or inner not in catalogue.flows:
            continue
        with suppress(AgentLabError):  # what is wrong with its inputs is said of the node
            inner_plan = plan_flow(catalogue.flows[inner], inputs)
            inner_nodes, inner_roles = _speakers(inner_plan, catalogue, (*within, inner))
            nodes |= {f"{node.id}.{path}" for path in inner_nodes}
            roles |= inner_roles
    return nodes, roles


def _judges(node: NodeConfig, catalogue: Catalogue) -> bool:
    """Whether models are asked beside the node's own turn."""
    kind = catalogue.kinds.get(node.type)
    options = kind.options_or_none(node.config) if kind else None
    return options is not None and bool(options.judges())
