"""Options compared in pairs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import permutations

from agent_lab.deliberation.ballots.ballot import Ballot
from agent_lab.deliberation.ballots.exact import exact


def pair_votes(
    ballots: Sequence[Ballot], options: Sequence[str]
) -> dict[tuple[str, str], Fraction]:
    """By pair: the ballots that prefer the first, as if every ballot had a say on both.

    What a ranking leaves out is behind what it names. An option that is chosen or approved is
    preferred to one that is not.
    """
    prefer: Counter[tuple[str, str]] = Counter()
    compare: Counter[tuple[str, str]] = Counter()
    for ballot in ballots:
        merits = _merits(ballot, options)
        for pair in permutations(merits, 2):
            compare[pair] += 1
            prefer[pair] += merits[pair[0]] > merits[pair[1]]
    return {
        pair: Fraction(prefer[pair] * len(ballots), compare[pair] or 1)
        for pair in permutations(options, 2)
    }


def _merits(ballot: Ballot, options: Sequence[str]) -> Mapping[str, Fraction | int]:
    """How good a ballot finds the options of which it says something."""
    if ballot.scores is not None:
        return {o: exact(ballot.scores[o]) for o in options if o in ballot.scores}
    chosen = {ballot.choice, ballot.verdict, *(ballot.approved or ())}
    places = {o: -place for place, o in enumerate(ballot.ranking or (), start=-len(options))}
    return {o: places.get(o, int(o in chosen)) for o in options if o not in ballot.recused}
