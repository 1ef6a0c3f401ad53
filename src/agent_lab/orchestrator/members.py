"""Who takes part in a vote or an exchange, and what each has said last."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agent_lab.contracts import ErrorInfo
from agent_lab.flows.flow_plan import FlowPlan, member_node
from agent_lab.orchestrator.agent_state import AgentState, failures_of

Samples = Mapping[str, int]
"""By node that draws several answers: how many draws it has asked for."""


class Member(NamedTuple):
    """One who answers: a node, a member of a group through several nodes, or a draw."""

    id: str
    """The same in every node through which it speaks."""
    paths: tuple[str, ...]
    """Where its texts are, the latest version first."""


class Said(NamedTuple):
    """What a member has said last."""

    member: Member
    text: str | None
    """None: nothing."""
    before: str | None = None
    """What it had said before that, in an earlier node."""
    failure: ErrorInfo | None = None
    """Why its latest turn gave no text; `text` is then an older one."""


def members_of(
    plan: FlowPlan, answers: Sequence[str], blind: Sequence[str], drawn: Samples
) -> tuple[Member, ...]:
    """The members whose answers are meant.

    Args:
        plan: The flow.
        answers: The nodes or groups that write the answers.
        blind: Those where the same members, in the same order, have answered before.
        drawn: By node that draws several answers: how many.
    """
    latest = [path for name in answers for path in _paths(plan, name, drawn)]
    first = [path for name in blind for path in _paths(plan, name, drawn)]
    ids = [_id(plan, name, path) for name in answers for path in _paths(plan, name, drawn)]
    earlier = [(path,) for path in first] + [()] * (len(latest) - len(first))
    return tuple(
        Member(i, (path, *before)) for i, path, before in zip(ids, latest, earlier, strict=False)
    )


def said_by(members: Iterable[Member], state: AgentState) -> tuple[Said, ...]:
    """What each of some members has said last."""
    failures, outputs = failures_of(state), state["outputs"]
    found = []
    for member in members:
        texts = [outputs[path] for path in member.paths if path in outputs]
        # A node that has not been asked yet has not failed, nor has it an output.
        failed = (failures[p] for p in member.paths[:1] if p in failures)
        newest, older = (*texts, None, None)[:2]
        found.append(Said(member, newest, older, next(failed, None)))
    return tuple(found)


def _paths(plan: FlowPlan, name: str, drawn: Samples) -> list[str]:
    return [
        path
        for node_id in plan.members_of(name)
        for path in (
            [sample_path(node_id, i) for i in range(drawn[node_id])]
            if node_id in drawn
            else [node_id]
        )
    ]


def sample_path(node_id: str, sample: int) -> str:
    """The path of one draw of a node that draws several."""
    return f"{node_id}[{sample}]"


def _id(plan: FlowPlan, name: str, path: str) -> str:
    """What a member is called: as its group knows it, else by its path."""
    suffix = member_node("", name)
    return path.removesuffix(suffix) if name in plan.groups else path
