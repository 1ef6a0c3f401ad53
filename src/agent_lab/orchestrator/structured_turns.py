"""Turns whose answer has a form: held to a schema where the model can be, asked once more if not.

What cannot be read even then is invalid: nobody guesses what was meant.
"""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from agent_lab.contracts import ErrorInfo, JsonObject, Message, Turn
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.orchestrator.prompts import fenced, messages_of
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.turns import take_turn

MOST_TURNS = 2
"""Of one structured answer: it is asked for, and once more where it cannot be read."""
REPAIR = "repair"
"""How a part was read that was asked for again; the last part of such a turn's path, too."""
UNREADABLE = "unreadable"
"""Why a text counts for nothing."""
Part = TypeVar("Part")


class Form(NamedTuple, Generic[Part]):
    """The form that an answer must have."""

    schema: JsonObject
    repair_schema: JsonObject
    """Of that part alone which is asked for again."""
    repair: str
    """How it is asked for."""
    read: Callable[[str, bool], Part | None]
    """Reads a text; the flag: the model was held to the schema. None: it cannot be read."""
    problem: Callable[[Part], str] = lambda part: ""
    """Why a part that was read does not count; empty: it does."""


class Heard(NamedTuple, Generic[Part]):
    """What came of a structured turn."""

    turn: Turn
    """The first one; the repair call has a turn of its own."""
    part: Part | None
    """None: nothing that counts."""
    repaired: bool = False
    """Whether it is the answer to the repair call."""
    problem: str = ""
    """Why nothing counts, where something was said."""

    @property
    def error(self) -> ErrorInfo | None:
        """Why nothing was said."""
        return self.turn.error


async def ask(
    config: NodeConfig,
    plan: FlowPlan,
    state: AgentState,
    run: RunContext,
    messages: tuple[Message, ...],
    form: Form[Part],
    *,
    path: str = "",
) -> Heard[Part]:
    """Ask for an answer of some form; where it cannot be read, for that part once more.

    Args:
        config: Who speaks.
        plan: The flow.
        state: The run so far.
        run: The run's surroundings.
        messages: What is sent.
        form: What the answer must look like.
        path: The turn's path, where it is not the node's id.
    """
    path = path or config.id
    turn = await take_turn(config, plan, state, run, messages, path=path, schema=form.schema)
    if turn.error is not None:
        return Heard(turn, None)
    first = _read(form, turn)
    if first.part is not None:
        return Heard(turn, first.part)
    own = f"{fenced('own_output', turn.text, run)}\n\n{form.repair}"
    again = await take_turn(
        config,
        plan,
        state,
        run,
        messages_of(plan, state, own),
        path=f"{path}.{REPAIR}",
        schema=form.repair_schema,
    )
    if again.error is not None:
        return first
    second = _read(form, again)
    return second._replace(turn=turn, repaired=second.part is not None)


def _read(form: Form[Part], turn: Turn) -> Heard[Part]:
    """The part of a turn that counts, or why none does."""
    part = form.read(turn.text, "response_schema" not in turn.dropped_params)
    if part is None:
        return Heard(turn, None, problem=UNREADABLE)
    problem = form.problem(part)
    return Heard(turn, None if problem else part, problem=problem)
