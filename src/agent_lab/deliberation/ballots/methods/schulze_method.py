"""Strongest paths of wins in pairs.

M. Schulze, A new monotonic, clone-independent, reversal symmetric, and Condorcet-consistent
single-winner election method, Social Choice and Welfare 36, 2011; strength is winning votes.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations, permutations

from agent_lab.contracts import JsonObject
from agent_lab.deliberation.ballots.ballot import Ballot, Policy
from agent_lab.deliberation.ballots.exact import best, rounded
from agent_lab.deliberation.ballots.method_kinds import Outcome, method
from agent_lab.deliberation.ballots.pairwise import pair_votes

_Pairs = Mapping[tuple[str, str], Fraction]


@method(
    "schulze",
    title={"en": "Schulze method", "es": "Método de Schulze"},
    description={
        "en": "Each voter ranks the options; they are compared in pairs, also by way of others. "
        "An option that beats each of the others wins.",
        "es": "Cada votante ordena las opciones; se comparan por parejas, también a través de "
        "otras. Gana la opción que vence a cada una de las demás.",
    },
    payloads=("ranking",),
    monotone=True,
    condorcet=True,
)
def schulze(ballots: Sequence[Ballot], options: Sequence[str], policy: Policy) -> Outcome:
    """Compare strongest paths.

    An option's score is the number of others that do not beat it; the margin is by how much the
    winner's closest path is stronger than the one back, as a share of the ballots.
    """
    votes = pair_votes(ballots, options)
    paths = _strongest_paths(votes, options)
    scores = {
        one: Fraction(sum(paths[one, o] >= paths[o, one] for o in options if o != one))
        for one in options
    }
    first = best(scores)[0]
    wins = [paths[first, o] - paths[o, first] for o in options if o != first]
    margin = min(wins, default=Fraction(len(ballots))) / len(ballots)
    return Outcome(scores, margin, tuple(_row(p, votes, paths) for p in combinations(options, 2)))


def _strongest_paths(votes: _Pairs, options: Sequence[str]) -> dict[tuple[str, str], Fraction]:
    """By pair: the strength of the best path; a path is as strong as its weakest win."""
    paths = {(a, b): won if won > votes[b, a] else Fraction(0) for (a, b), won in votes.items()}
    for through, start, end in permutations(options, 3):
        detour = min(paths[start, through], paths[through, end])
        paths[start, end] = max(paths[start, end], detour)
    return paths


def _row(pair: tuple[str, str], votes: _Pairs, paths: _Pairs) -> JsonObject:
    both = (pair, pair[::-1])
    return {
        "pair": list(pair),
        "votes": [rounded(votes[one]) for one in both],
        "paths": [rounded(paths[one]) for one in both],
    }
