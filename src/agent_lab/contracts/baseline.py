"""What a run is compared with, as its record has it."""

from pydantic import JsonValue

from agent_lab.contracts.base import Contract
from agent_lab.contracts.generation import Usage


class Baseline(Contract):
    """Votes of the run's best single member, for about as many tokens as the run took."""

    flow: str
    """The flow that voted."""
    model: str
    """The member; empty: the default model."""
    why_this_model: str = ""
    output: str = ""
    """A text that gives the answer that won."""
    winner: JsonValue = None
    """The answer that won, as people read it; where answers are texts, the draw that won."""
    agrees: bool | None = None
    """Whether that is the run's answer; null: that cannot be said, as of texts."""
    samples: int | None = None
    """Answers that were asked for."""
    stop_reason: str = ""
    """Why no further answer was drawn; `completed` where no rule stopped it."""
    degraded: tuple[str, ...] = ()
    """What went wrong on the way to an answer all the same."""
    error: str | None = None
    """Why there is no answer."""
    usage: Usage = Usage()
    """What the baseline took."""
    run_usage: Usage = Usage()
    """What the run took without it."""
    lift: float | None = None
    """By how much the run does better; null: one run cannot tell, evaluations do."""
