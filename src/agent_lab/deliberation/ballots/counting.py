"""Counts ballots: checks them, lets a method score them, and applies the rules for ties."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from agent_lab.deliberation.ballots.ballot import Ballot, Policy, Tally
from agent_lab.deliberation.ballots.exact import best, exact_share, rounded
from agent_lab.deliberation.ballots.method_kinds import METHODS, Method, Outcome
from agent_lab.deliberation.ballots.ties import break_tie
from agent_lab.deliberation.ballots.validity import (
    says_nothing,
    valid_ballots,
    without_recused,
)


def count(
    ballots: Sequence[Ballot], options: Sequence[str], eligible: Sequence[str], policy: Policy
) -> Tally:
    """Count ballots.

    Args:
        ballots: All that were cast; of a voter's, the last valid one counts.
        options: What there is to vote on. Their order decides nothing.
        eligible: Who may vote.
        policy: How.

    Raises:
        UnknownPluginError: There is no such method.
        ValueError: An option or a voter is named twice.
    """
    if len(set(options)) < len(options) or len(set(eligible)) < len(eligible):
        raise ValueError("An option or a voter is named twice.")
    method = METHODS.get(policy.method)
    cast = valid_ballots(ballots, options, eligible, policy, method)
    heard = [without_recused(ballot, options, eligible, policy) for ballot in cast.valid]
    counted = [ballot for ballot in heard if not says_nothing(ballot, options, method)]
    tally = Tally(
        method=policy.method,
        order=tuple(options),
        eligible=len(eligible),
        valid=len(counted),
        abstained=len(heard) - len(counted),
        recused=sum(len(ballot.recused) for ballot in heard if not ballot.abstain),
        invalid=cast.invalid,
        quorum_met=_quorum_met(len(heard), len(eligible), policy.quorum),
    )
    if not counted:
        return tally.model_copy(update={"reason": "no_votes" if tally.quorum_met else "no_quorum"})
    return _decided(tally, counted, options, policy, method)


def _quorum_met(heard: int, eligible: int, quorum: float) -> bool:
    return heard > eligible * exact_share(quorum) or 0 < eligible == heard


def _decided(
    tally: Tally,
    ballots: Sequence[Ballot],
    options: Sequence[str],
    policy: Policy,
    method: Method,
) -> Tally:
    """The tally with what a method makes of ballots that say something."""
    judged = [o for o in options if any(o not in ballot.recused for ballot in ballots)]
    outcome = method(ballots, judged, policy)
    tied = best(outcome.scores)
    found = {
        "scores": {option: rounded(score) for option, score in outcome.scores.items()},
        "order": _order(options, outcome.scores),
        "tied": tied,
        "margin": rounded(outcome.margin),
        "counts": outcome.counts,
    }
    return tally.model_copy(update={**found, **_ending(tally, outcome, tied, ballots, policy)})


def _ending(
    tally: Tally,
    outcome: Outcome,
    tied: tuple[str, ...],
    ballots: Sequence[Ballot],
    policy: Policy,
) -> dict[str, str]:
    """The winner, or why there is none."""
    if not tally.quorum_met:
        return {"reason": "no_quorum"}
    if not outcome.reached:
        return {"reason": "below_threshold"}
    if len(tied) == 1:
        return {"winner": tied[0]}
    tie_break = break_tie(tied, ballots, policy)
    if tie_break.by:
        return {"winner": tie_break.left[0], "tie_broken_by": tie_break.by}
    return {"reason": "tie", "asks": tie_break.asks}


def _order(options: Sequence[str], scores: Mapping[str, Fraction]) -> tuple[str, ...]:
    scored = sorted((o for o in options if o in scores), key=lambda o: scores[o], reverse=True)
    return (*scored, *(o for o in options if o not in scores))
