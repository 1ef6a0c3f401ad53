"""Random ballots for each method."""

from random import Random
from typing import Any

from agent_lab.deliberation.ballots.ballot import Ballot, Payload
from agent_lab.deliberation.ballots.method_kinds import METHODS

NAMES = ("A", "B", "C", "D", "E")
NUMBERS = ("1", "3/2", "-0.5", "10", "9")
WEIGHTS = (0, 0.1, 0.2, 0.3, 1, 2.5)


def options_of(method: str, size: int) -> list[str]:
    """Options that the method takes."""
    return list((NUMBERS if METHODS.get(method).numeric else NAMES)[:size])


def electorate(
    random: Random, method: str, options: list[str], size: int, *, recused: float = 0
) -> list[Ballot]:
    """A valid ballot each, some of them abstentions; small numbers, so that ties are frequent."""
    return [_ballot(random, f"v{i}", method, options, recused) for i in range(size)]


def _ballot(random: Random, voter: str, method: str, options: list[str], recused: float) -> Ballot:
    out = tuple(option for option in options if random.random() < recused)
    if random.random() < 0.1:
        return Ballot(voter=voter, abstain=True, recused=out)
    payload = random.choice(METHODS.get(method).payloads)
    said: dict[str, Any] = {payload: _said(random, payload, options)}
    return Ballot(voter=voter, recused=out, weight=random.choice(WEIGHTS), **said)


def _said(random: Random, payload: Payload, options: list[str]) -> object:
    some = random.sample(options, random.randint(0, len(options)))
    match payload:
        case "choice":
            return random.choice(options)
        case "verdict":
            return random.choice([*options, ""])
        case "scores":
            return {option: random.randint(0, 3) for option in some}
        case "approved" | "ranking":
            return tuple(some)
