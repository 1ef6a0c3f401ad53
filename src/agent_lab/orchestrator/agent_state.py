"""What a run carries from node to node.

LangGraph drops a key that is not declared here, without a word; therefore nodes may return the
keys of `StateUpdate` only, and the graph builder refuses any other. Keys that several nodes write
have a reducer, so that parallel branches add to them instead of overwriting each other.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar, cast

from typing_extensions import TypedDict

from agent_lab.contracts import ErrorInfo, Language
from agent_lab.deliberation.ballots.ballot import Ballot
from agent_lab.deliberation.issues import Issue, Severity
from agent_lab.deliberation.trajectory import Flip
from agent_lab.deliberation.votes import Vote
from agent_lab.flows.conditions import Value
from agent_lab.flows.inputs import Scalar

STATE_VERSION = 3
T = TypeVar("T")
Ledger: TypeAlias = tuple[Issue, ...]
LedgerEntry: TypeAlias = Callable[[Ledger], Ledger]
"""What a node does to the ledger, whatever a node beside it has entered in the meantime."""


def merged(left: dict[str, T], right: dict[str, T]) -> dict[str, T]:
    """Reducer: the right side's keys are added to the left side's."""
    return {**left, **right}


def latest(left: T, right: T) -> T:
    """Reducer: what was written last holds."""
    return right


def added(left: tuple[T, ...], right: tuple[T, ...]) -> tuple[T, ...]:
    """Reducer: the right side comes behind the left side."""
    return (*left, *right)


def entered(left: Ledger, right: Ledger | LedgerEntry) -> Ledger:
    """Reducer: an entry is made in the ledger as it stands, so parallel critics lose nothing."""
    return right(left) if callable(right) else right


class CastBallot(NamedTuple):
    """What became of asking one voter."""

    ballot: Ballot | None
    """None: nothing that counts was said."""
    shown: tuple[str, ...]
    """The candidates in the order in which the voter saw them."""
    problem: str = ""
    """Why nothing counts."""


class AgentState(TypedDict):
    """The state of one run. A node gets all of it and returns only what it changed."""

    version: int
    request_id: str
    flow_type: str
    user_input: str
    """The task, as the user wrote it; no node changes it."""
    lang: Language
    head: str
    """The beginning that every role's first message shares."""
    inputs: dict[str, Scalar]
    """The flow's named inputs; no node changes them."""
    outputs: Annotated[dict[str, str], merged]
    """The last text of each node."""
    failures: Annotated[dict[str, ErrorInfo | None], merged]
    """Why a node's last turn gave no text; None after one that did."""
    visits: Annotated[dict[str, int], merged]
    """How often each node has run; a retry is no further visit."""
    models: Annotated[dict[str, str], merged]
    """The model that gave each node's last text."""
    degraded: Annotated[dict[str, str], merged]
    """What went wrong on the way to a node's last text all the same; empty: nothing."""
    values: Annotated[dict[str, Value], merged]
    """What nodes found out, as `<node>_<name>`: scores, counts, task types, composed texts."""
    task_type: Annotated[str, latest]
    """What kind of task it is, as a task analyzer says; empty: nobody has looked."""
    requirements: Annotated[str, latest]
    """What the task explicitly asks for, as lines."""
    demanding: Annotated[bool, latest]
    """Whether the machine is worth a look before the task is begun."""
    score: Annotated[float | None, latest]
    """What the last output validator found, from 0 to 1; None: nobody has judged."""
    accepted: Annotated[bool, latest]
    """Whether that was enough."""
    issues: Annotated[Ledger, entered]
    """The ledger of what critics found and refiners answered."""
    issue_floor: Annotated[Severity, latest]
    """Least severity that counts as open in conditions, as the last critic or refiner has it."""
    votes: Annotated[dict[str, tuple[Vote, ...]], merged]
    """By node that counts: its counts, one for each pass."""
    answers: Annotated[dict[str, str], merged]
    """By key of an answer that was counted: the last text that gave it."""
    ballots: Annotated[dict[str, CastBallot], merged]
    """By node that votes: its last ballot."""
    flips: Annotated[tuple[Flip, ...], added]
    """Changes of answers, in the order of the rounds."""
    history: Annotated[str, latest]
    """Earlier runs of the same owner, as prompts show them; empty: none, or nobody looked."""
    rounds: Annotated[dict[str, int], merged]
    """By loop: how many of its rounds are complete."""
    routes: Annotated[dict[str, tuple[str, ...] | None], merged]
    """Which nodes follow each node's last pass; None: it is going to run again."""
    stops: Annotated[dict[str, str], merged]
    """By loop that has ended, and by node whose stop rule has fired: why."""


class StateUpdate(TypedDict, total=False):
    """What a node may return."""

    outputs: dict[str, str]
    failures: dict[str, ErrorInfo | None]
    models: dict[str, str]
    degraded: dict[str, str]
    values: dict[str, Value]
    task_type: str
    requirements: str
    demanding: bool
    score: float | None
    accepted: bool
    issues: Ledger | LedgerEntry
    issue_floor: Severity
    votes: dict[str, tuple[Vote, ...]]
    answers: dict[str, str]
    ballots: dict[str, CastBallot]
    flips: tuple[Flip, ...]
    stops: dict[str, str]
    history: str


def failures_of(state: AgentState) -> dict[str, ErrorInfo]:
    """The nodes whose last turn gave no text, and why."""
    return {node_id: error for node_id, error in state["failures"].items() if error is not None}


def updated(state: AgentState, update: Mapping[str, Any]) -> AgentState:
    """The state as it will be once an update has been taken in."""
    fields: dict[str, Any] = dict(state)
    for key, value in update.items():
        if key == "issues":
            fields[key] = entered(fields[key], value)
        elif key == "flips":
            fields[key] = added(fields[key], value)
        else:
            fields[key] = merged(fields[key], value) if isinstance(value, dict) else value
    return cast(AgentState, fields)


def new_state(
    *,
    request_id: str,
    flow_type: str,
    user_input: str,
    lang: Language,
    head: str,
    inputs: Mapping[str, Scalar] | None = None,
) -> AgentState:
    """The state with which a run begins."""
    return AgentState(
        version=STATE_VERSION,
        request_id=request_id,
        flow_type=flow_type,
        user_input=user_input,
        lang=lang,
        head=head,
        inputs=dict(inputs or {}),
        outputs={},
        failures={},
        visits={},
        models={},
        degraded={},
        values={},
        task_type="",
        requirements="",
        demanding=False,
        score=None,
        accepted=False,
        issues=(),
        issue_floor="low",
        votes={},
        answers={},
        ballots={},
        flips=(),
        history="",
        rounds={},
        routes={},
        stops={},
    )
