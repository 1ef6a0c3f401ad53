"""Shares of the cast ballots."""

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

from agent_lab.deliberation.ballots.ballot import Ballot
from agent_lab.deliberation.ballots.exact import lead
from agent_lab.deliberation.ballots.method_kinds import Outcome


def by_shares(
    ballots: Sequence[Ballot], options: Sequence[str], enough: Callable[[Fraction], bool]
) -> Outcome:
    """Score options by their share of the ballots that have a say on them.

    Args:
        ballots: Choices or approvals. Here an approval of all or none says as much as any other.
        options: What there is.
        enough: Whether a share is enough to win; none at all never is.
    """
    supported = Counter(
        option for ballot in ballots for option in ballot.approved or (ballot.choice,)
    )
    scores = {
        option: Fraction(supported[option], sum(option not in b.recused for b in ballots))
        for option in options
    }
    largest = max(scores.values())
    return Outcome(scores, lead(scores.values()), reached=largest > 0 and enough(largest))
