"""Who takes part in a vote or an exchange, and what each has said last."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agent_lab.contracts import ErrorInfo
from agent_lab.flows.flow_plan import FlowPlan
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
    latest = _paths(plan, answers, drawn)
    first: list[_Path | None] = [*_paths(plan, blind, drawn)]
    first += [None] * (len(latest) - len(first))
    return tuple(
        Member(_id(plan, before or last), tuple(i.path for i in (last, before) if i))
        for last, before in zip(latest, first, strict=False)
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


class _Path(NamedTuple):
    path: str
    named: str
    """The node or group that was named."""


def _paths(plan: FlowPlan, names: Sequence[str], drawn: Samples) -> list[_Path]:
    return [
        _Path(path, name)
        for name in names
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


def _id(plan: FlowPlan, first: _Path) -> str:
    """What a member is called: as in its group, else by the path where it spoke first."""
    node_id, mark, sample = first.path.partition("[")
    return plan.member_name(node_id, first.named) + mark + sample
