"""Stops when nobody can catch up with the leader any more."""

from typing_extensions import override

from agent_lab.deliberation.stop_rules.stop import STOP_RULES, Standing, Stop, StopRule


@STOP_RULES.register("unassailable_lead")
class UnassailableLeadRule(StopRule):
    """The leader has more votes than the one behind would have with all that remain.

    The winner is the one that all votes would give.
    """

    @override
    def __call__(self, standing: Standing) -> Stop | None:
        first, second = standing.two_highest()
        if standing.to_quorum or first <= second + standing.remaining:
            return None
        detail = f"{first} votes against {second}, {standing.remaining} to come"
        return Stop(reason="unassailable_lead", detail=detail)
