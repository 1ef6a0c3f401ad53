"""Stops when the leader is likely enough to be the more frequent of the two highest.

Aggarwal, Madaan, Yang, Mausam, "Let's Sample Step by Step: Adaptive-Consistency for Efficient
Reasoning and Coding with LLMs", 2023: the share of the leader among its own votes and those of the
one behind has, from a uniform prior, a beta distribution.
"""

from fractions import Fraction
from itertools import accumulate
from typing import Annotated

from pydantic import Field
from typing_extensions import override

from agent_lab.deliberation.stop_rules.stop import STOP_RULES, Standing, Stop, StopRule


def chance_of_lead(first: int, second: int) -> Fraction:
    """P(Beta(first + 1, second + 1) > 1/2), exactly.

    It is the chance of at most `first` heads in `first + second + 1` throws of a fair coin.
    """
    throws = first + second + 1
    ways = accumulate(range(first), lambda way, k: way * (throws - k) // (k + 1), initial=1)
    return Fraction(sum(ways), 2**throws)


@STOP_RULES.register("posterior")
class PosteriorRule(StopRule):
    """The leader is the more frequent of the two highest with enough confidence.

    The winner may be another than the one that all votes would give.
    """

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    @override
    def __call__(self, standing: Standing) -> Stop | None:
        first, second = standing.two_highest()
        chance = chance_of_lead(first, second)
        # 0.95 is meant as written, not as the binary number next to it.
        if standing.to_quorum or chance < Fraction(str(self.confidence)):
            return None
        detail = f"{first} votes against {second}: {float(chance):.4f}"
        return Stop(reason="posterior", detail=detail)
