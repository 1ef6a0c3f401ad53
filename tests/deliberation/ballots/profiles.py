"""Ballots as tests write them."""

from collections.abc import Iterable, Mapping
from typing import Any

from agent_lab.deliberation.ballots.ballot import Ballot, Policy, Tally
from agent_lab.deliberation.ballots.counting import count


def voters(number: int) -> list[str]:
    """Names."""
    return [f"v{index}" for index in range(number)]


def cast(*payloads: Mapping[str, Any]) -> list[Ballot]:
    """A ballot each; `AB` is short for the options A and B."""
    return [
        Ballot(voter=f"v{index}", **{name: _several(name, said) for name, said in fields.items()})
        for index, fields in enumerate(payloads)
    ]


def _several(name: str, said: Any) -> Any:
    return tuple(said) if name in {"approved", "ranking", "recused"} else said


def chosen(choices: Iterable[str]) -> list[Ballot]:
    """A choice each."""
    return cast(*({"choice": choice} for choice in choices))


def ranked(profile: str) -> list[Ballot]:
    """`3 BCDA, 2 CDAB`: three voters rank B first, and so on."""
    rankings = []
    for group in profile.split(", "):
        size, ranking = group.split()
        rankings += [{"ranking": ranking}] * int(size)
    return cast(*rankings)


def tally_of(ballots: list[Ballot], options: Iterable[str], method: str, **policy: Any) -> Tally:
    """Count where everybody who votes is eligible, and nobody else."""
    eligible = list(dict.fromkeys(ballot.voter for ballot in ballots))
    return count(ballots, list(options), eligible, Policy(method=method, **policy))
