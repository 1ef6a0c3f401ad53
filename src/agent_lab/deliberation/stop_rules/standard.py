"""Which rule votes have where nobody names one, and how many voters to ask at once."""

from agent_lab.deliberation.stop_rules.posterior_rule import PosteriorRule
from agent_lab.deliberation.stop_rules.stop import Rule, Standing, StopRule
from agent_lab.deliberation.stop_rules.unassailable_lead_rule import UnassailableLeadRule

MOST_FOR_CERTAINTY = 7
"""The most voters of whom so many are asked that the winner is certain."""


def default_rule(eligible: int) -> StopRule:
    """The rule for so many voters: a certain winner where they are few, else a likely one."""
    return UnassailableLeadRule() if eligible <= MOST_FOR_CERTAINTY else PosteriorRule()


def draws_until_possible(rule: Rule, standing: Standing) -> int:
    """How many voters can be asked at once without asking one more than one by one.

    No rule of this package fires sooner than when all further votes go to the leader. So it cannot
    fire within the wave, only at its end.

    Returns:
        The fewest further votes after which the rule can fire, at least 1; where it cannot, all
        that remain.
    """
    waves = range(1, standing.remaining)
    possible = (draws for draws in waves if rule(_all_for_the_leader(standing, draws)))
    return next(possible, standing.remaining)


def _all_for_the_leader(standing: Standing, draws: int) -> Standing:
    """Where it would stand after so many more votes for the leader; before any, for some key."""
    leader = max(standing.votes, key=standing.votes.__getitem__, default="")
    return standing._replace(
        votes={**standing.votes, leader: standing.votes.get(leader, 0) + draws},
        remaining=standing.remaining - draws,
        to_quorum=max(standing.to_quorum - draws, 0),
    )
