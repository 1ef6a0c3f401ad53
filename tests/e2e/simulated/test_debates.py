"""Simulated debaters through `debate`: those who copy, conform, verify, lie.

Each trial of the engine is compared with `tests.deliberation.simulated_members.debate`, whose
20,000 trials meet the reference numbers in `tests/deliberation/test_trajectory.py`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from agent_lab.deliberation.answers.reading import read_answer
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.providers.base import ProviderCall
from tests.deliberation.simulated_members import (
    RIGHT,
    WRONG,
    Member,
    Move,
    Trial,
    conformist,
    copier,
    debate,
    majority_of,
    panel,
    swayed,
    verifier,
)
from tests.e2e.simulated.trials import Engine, Ran, prompt_of, said, share_error
from tests.orchestrator.conftest import fences

FLOW = get_flow_config("debate")
IDS = ("a", "b", "c", "d", "e")
ROUNDS = 2
NUMBERS = {RIGHT: "42", WRONG: "41"}
KEYS = {number: key for key, number in NUMBERS.items()}
Kind = Callable[[float, int, int, int, Sequence[str]], Move]


class Debaters:
    """Simulated members who answer the flow's calls.

    The engine shows a debater the others' answers as a set, without their number or authors. Whom
    a simulated one listens to, and how many say something, it takes from a table of the trial, as
    people do who have talked outside. It quotes from what the prompt shows as its own last answer,
    and it takes over nothing that the prompt does not show.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._tables: dict[int, list[list[str]]] = {}
        """By trial: the answers of each member so far."""

    def answer(self, trial: int, call: ProviderCall) -> str:
        """What a member says in its next round."""
        table = self._tables.setdefault(trial, [[] for _ in self._members])
        own = IDS.index(call.role.removeprefix("debater_"))
        round_ = len(table[own])
        seen = [of[round_ - 1] for of in table] if round_ else []
        move = self._members[own](trial, own, round_, seen)
        table[own].append(move.key)
        number = NUMBERS[move.key]
        shown = _Shown.of(prompt_of(call))
        if not round_:
            assert shown == _Shown("", [])
            return said(number)
        assert sorted({*shown.others, _number(shown.own)}) == sorted({NUMBERS[k] for k in seen})
        return f"{_reason(shown.own, move)}{said(number)}"


class _Shown(NamedTuple):
    """What a prompt shows."""

    own: str
    """The debater's last answer."""
    others: list[str | None]
    """The numbers that others answer."""

    @classmethod
    def of(cls, prompt: str) -> "_Shown":
        own = [fence.text for fence in fences(prompt) if fence.kind == "own_output"]
        others = [fence.text for fence in fences(prompt) if fence.kind == "peer"]
        return cls("".join(own), [_number(text) for text in others])


def _number(text: str) -> str | None:
    return read_answer(text, "number").key


def _reason(own: str, move: Move) -> str:
    """Why a member says something else than in its own last text; empty: it says the same."""
    if _number(own) == NUMBERS[move.key]:
        return ""
    why = "the third row stands there twice" if move.supported else "most of the others do not"
    return f'CHANGED "{own.splitlines()[-2]}": {why}\n'


class Found(NamedTuple):
    """Who was elected in a trial."""

    round0: str | None
    last_round: str | None
    decision: str | None
    calls: int


def expected(trial: Trial, agreement: float) -> tuple[Found, int]:
    """What should come of a debate that ends once so many agree; and its last round."""
    positions = list(trial.keys(0))
    last = 0
    while last < ROUNDS and _modal_share(trial.keys(last)) < agreement:
        last += 1
        for member, move in enumerate(trial.rounds[last]):
            if move.supported and move.key != trial.keys(last - 1)[member]:
                positions[member] = move.key
    counted = (trial.keys(0), trial.keys(last), positions)
    calls = len(IDS) * (last + 1)
    return Found(*(majority_of(dict(enumerate(keys))) for keys in counted), calls), last


def _modal_share(keys: Sequence[str]) -> float:
    return max(keys.count(key) for key in NUMBERS) / len(keys)


def found_by(ran: Ran) -> Found:
    """What the engine has recorded."""
    gate, votes = ran.vote("gate"), ran.votes("vote")
    blind = gate.tally.winner
    decision = votes[-1].decision if votes else None
    elected = (decision.round0, decision.last_round, decision.decision) if decision else [blind] * 3
    assert elected[0] == blind
    winner = KEYS[ran.outcome.output.rpartition(" ")[2]]
    found = Found(*(key and KEYS[key] for key in elected), ran.calls)
    assert winner == found.decision
    return found


async def debated(
    kind: Kind, accuracy: float, trials: int, *, liars: int = 0, agreement: float = 1.0
) -> list[Found]:
    """Debates of the engine, each of them as the simulated one."""
    members = panel(kind, accuracy, liars=liars)
    engine = Engine(
        FLOW, Debaters(members).answer, debaters=list(IDS), rounds=ROUNDS, agreement=agreement
    )
    all_found = []
    for trial in range(trials):
        ran, simulated = await engine.run(trial), debate(members, trial, ROUNDS)
        should, last = expected(simulated, agreement)
        all_found.append(found_by(ran))
        assert all_found[-1] == should
        votes = (*ran.votes("gate"), *ran.votes("vote"))
        assert [[KEYS[k or ""] for k in vote.positions.values()] for vote in votes] == [
            list(simulated.keys(n)) for n in range(last + 1)
        ]
        assert _flips_of(ran) == _moves_of(simulated, last)
        agreed = _modal_share(simulated.keys(last)) >= agreement
        assert ran.outcome.stop_reason == ("agreement" if agreed else "max_rounds")
    return all_found


def _flips_of(ran: Ran) -> list[tuple[int, str, bool]]:
    """By round and member: the changes that were recorded, and whether they count."""
    votes = ran.votes("vote")
    flips = votes[-1].decision.flips if votes and votes[-1].decision else ()
    return [(flip.round, flip.member, flip.supported) for flip in flips]


def _moves_of(simulated: Trial, last: int) -> list[tuple[int, str, bool]]:
    return [
        (n, member, move.supported)
        for n in range(1, last + 1)
        for member, move, before in zip(
            IDS, simulated.rounds[n], simulated.keys(n - 1), strict=True
        )
        if move.key != before
    ]


def share(found: Sequence[Found], name: str) -> float:
    """Of the debates: in how many the right answer is elected."""
    return sum(getattr(each, name) == RIGHT for each in found) / len(found)


# The reference ends no debate early; where all agree, none of these members moves any more.


@pytest.mark.parametrize(
    ("kind", "accuracy", "liars", "first", "last"),
    [
        (copier, 0.75, 0, 0.898, 0.818),
        (copier, 0.6, 0, 0.683, 0.635),
        (conformist, 0.75, 0, 0.896, 0.896),
        (verifier, 0.45, 0, 0.409, 0.596),
        (verifier, 0.6, 0, 0.689, 0.773),
        (verifier, 0.75, 0, 0.891, 0.907),
        (copier, 0.75, 2, 0.417, 0.228),
        (verifier, 0.75, 2, 0.423, 0.367),
    ],
)
async def test_debates_of_the_engine_go_as_simulated_ones(
    kind: Kind, accuracy: float, liars: int, first: float, last: float
):
    trials = 60
    found = await debated(kind, accuracy, trials, liars=liars)
    assert share(found, "round0") == pytest.approx(first, abs=share_error(first, trials))
    assert share(found, "last_round") == pytest.approx(last, abs=share_error(last, trials))
    # Who copies or conforms gives no reason that counts, and who verifies gives one each time.
    held = "last_round" if kind is verifier else "round0"
    assert all(each.decision == getattr(each, held) for each in found)


async def test_two_liars_overturn_at_most_half_as_many_right_votes_as_in_a_plain_debate():
    found = await debated(swayed, 0.75, 150, liars=2)
    plain = sum((each.round0, each.last_round) == (RIGHT, WRONG) for each in found)
    ours = sum((each.round0, each.decision) == (RIGHT, WRONG) for each in found)
    assert plain > 10
    assert 0 < ours <= plain / 2


async def test_with_the_flows_own_threshold_four_of_five_cost_no_exchange():
    found = await debated(conformist, 0.75, 60, agreement=0.8)
    assert {each.calls for each in found} == {5, 10, 15}
