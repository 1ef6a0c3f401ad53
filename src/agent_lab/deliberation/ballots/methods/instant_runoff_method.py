"""Drop the option with the fewest first places, again and again.

W. R. Ware, Application of Mr. Hare's System of Voting to the Nomination of Overseers of Harvard
College, 1871.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from agent_lab.contracts import JsonObject
from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import lead, rounded
from agent_lab.deliberation.ballots.method_kinds import Outcome, averaged, method
from agent_lab.deliberation.ballots.ties import TieBreak, break_tie


@method(
    "instant_runoff",
    title={"en": "Instant runoff", "es": "Segunda vuelta instantánea"},
    description={
        "en": "Each voter ranks the options; the one that the fewest put first drops out, and its "
        "ballots pass to the next on them.",
        "es": "Cada votante ordena las opciones; cae la que menos ponen primera, y sus votos pasan "
        "a la siguiente de cada papeleta.",
    },
    payloads=("ranking",),
    monotone=False,
    condorcet=False,
)
def instant_runoff(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Count until what is left is level.

    An option's score is the number of counts that it survived; the margin is a share of the votes
    in the last count between several options.
    """
    left = tuple(options)
    counts: list[_Count] = []
    while not counts or counts[-1].dropped:
        counts.append(_count_once(ballots, left, policy))
        left = tuple(o for o in left if o not in counts[-1].dropped)
    scores = {o: Fraction(survived) for survived, count in enumerate(counts) for o in count.votes}
    votes = next((c.votes for c in reversed(counts) if len(c.votes) > 1), counts[0].votes)
    margin = lead(votes.values()) / (sum(votes.values()) or 1)
    return Outcome(scores, margin, tuple(count.row() for count in counts))


class _Count(NamedTuple):
    """One count."""

    votes: Mapping[str, Fraction]
    exhausted: int
    """Ballots that rank none of its options."""
    dropped: tuple[str, ...]
    """Empty: all are level."""
    tie_broken_by: str

    def row(self) -> JsonObject:
        """As it is logged."""
        return {
            "votes": {option: rounded(votes) for option, votes in self.votes.items()},
            "exhausted": self.exhausted,
            "dropped": list(self.dropped),
            "tie_broken_by": self.tie_broken_by,
        }


def _count_once(ballots: Sequence[Ballot], left: tuple[str, ...], policy: Policy) -> _Count:
    tops = [next((o for o in ballot.ranking or () if o in left), None) for ballot in ballots]
    firsts = Counter(tops)
    votes = averaged({option: Fraction(firsts[option]) for option in left}, ballots)
    drop = _drop(votes, ballots, policy)
    return _Count(votes, firsts[None], drop.left, drop.by)


def _drop(votes: Mapping[str, Fraction], ballots: Sequence[Ballot], policy: Policy) -> TieBreak:
    """The last option; several, where the tie rules do not tell them apart."""
    fewest = min(votes.values())
    last = tuple(option for option, those in votes.items() if those == fewest)
    if len(last) == len(votes):
        return TieBreak(())
    # Options without a vote have none to pass on: their order decides nothing.
    if len(last) == 1 or not fewest:
        return TieBreak(last)
    return break_tie(last, ballots, policy, worst=True)
