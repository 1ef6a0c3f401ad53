"""Stops when enough members have given the same answer for some rounds."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from typing_extensions import override

from agent_lab.deliberation.stop_rules.stop import STOP_RULES, Standing, Stop, StopRule


@STOP_RULES.register("agreement")
class AgreementRule(StopRule):
    """The same key has the share `theta` in each of the last rounds.

    The share is of all eligible members: one whose answer could not be read agrees with nobody.
    Keys are compared, never texts.
    """

    sees = "rounds"

    theta: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    """The least share; 0.5 means more than half."""
    r: Annotated[int, Field(ge=1)] = 1
    """For so many rounds, one after the other."""

    @override
    def __call__(self, standing: Standing) -> Stop | None:
        last = standing.rounds[-self.r :]
        if len(last) < self.r:
            return None
        agreed = {self._agreed(each.positions, standing.eligible) for each in last}
        key = agreed.pop()
        if key is None or agreed:
            return None
        votes = sum(given == key for given in last[-1].positions.values())
        return Stop(reason="agreement", detail=f"{votes} of {standing.eligible}, rounds: {self.r}")

    def _agreed(self, positions: Mapping[str, str | None], eligible: int) -> str | None:
        """The key with the share; None: there is none."""
        counted = Counter(key for key in positions.values() if key is not None)
        [(key, votes)] = counted.most_common(1) or [("", 0)]
        share = votes / eligible
        return key if share > 0.5 and share >= self.theta else None
