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
from tests.e2e.simulated.trials import FEW_AND_MANY, Engine, Ran, prompt_of, said, share_error
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
        assert {*shown.others, _number(shown.own)} == {NUMBERS[key] for key in seen}
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


class Elected(NamedTuple):
    """Which answer won a debate."""

    round0: str | None
    last_round: str | None
    decision: str | None


class Course(NamedTuple):
    """What a debate came to."""

    elected: Elected
    positions: list[list[str]]
    """By round and member: the answers."""
    flips: list[tuple[int, int, bool]]
    """Round and number of the member of each change, and whether it counts."""
    calls: int
    stop_reason: str


def expected(trial: Trial, agreement: float) -> Course:
    """What should come of a debate that ends once so many agree."""
    last = next((n for n in range(ROUNDS) if _is_agreed(trial.keys(n), agreement)), ROUNDS)
    held, flips = list(trial.keys(0)), []
    for n in range(1, last + 1):
        for member, (move, before) in enumerate(
            zip(trial.rounds[n], trial.keys(n - 1), strict=True)
        ):
            if move.key != before:
                flips.append((n, member, move.supported))
                held[member] = move.key if move.supported else held[member]
    return Course(
        Elected(_majority(trial.keys(0)), _majority(trial.keys(last)), _majority(held)),
        [list(trial.keys(n)) for n in range(last + 1)],
        flips,
        len(IDS) * (last + 1),
        "agreement" if _is_agreed(trial.keys(last), agreement) else "max_rounds",
    )


def _is_agreed(keys: Sequence[str], agreement: float) -> bool:
    return max(map(keys.count, NUMBERS)) >= agreement * len(keys)


def _majority(keys: Sequence[str]) -> str | None:
    return majority_of(dict(zip(IDS, keys, strict=True)))


def course_of(ran: Ran) -> Course:
    """What the engine has recorded."""
    [gate], votes = ran.votes("gate"), ran.votes("vote")
    decision = votes[-1].decision if votes else None
    flips = decision.flips if decision else ()
    blind = gate.tally.winner
    winners = (
        (decision.round0, decision.last_round, decision.decision) if decision else (blind,) * 3
    )
    elected = Elected(*(KEYS[winner or ""] for winner in winners))
    assert ran.outcome.output.endswith(said(NUMBERS[elected.decision or ""]))
    return Course(
        elected,
        [[KEYS[number or ""] for number in vote.positions.values()] for vote in (gate, *votes)],
        [(flip.round, gate.eligible.index(flip.member), flip.supported) for flip in flips],
        ran.calls,
        ran.outcome.stop_reason,
    )


async def debated(
    kind: Kind, accuracy: float, trials: int, *, liars: int = 0, agreement: float = 1.0
) -> list[Course]:
    """Debates of the engine, each of them as the simulated one."""
    members = panel(kind, accuracy, liars=liars)
    engine = Engine(
        FLOW, Debaters(members).answer, debaters=list(IDS), rounds=ROUNDS, agreement=agreement
    )
    found = []
    for trial in range(trials):
        found.append(course_of(await engine.run(trial)))
        assert found[-1] == expected(debate(members, trial, ROUNDS), agreement)
    return found


def assert_right_as_often(winners: Sequence[str | None], share: float) -> None:
    bound = share_error(share, len(winners))
    assert winners.count(RIGHT) / len(winners) == pytest.approx(share, abs=bound)


# The reference ends no debate early; where all agree, none of these members moves any more.


@pytest.mark.parametrize("trials", FEW_AND_MANY)
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
    kind: Kind, accuracy: float, liars: int, first: float, last: float, trials: int
):
    found = [each.elected for each in await debated(kind, accuracy, trials, liars=liars)]
    assert_right_as_often([each.round0 for each in found], first)
    assert_right_as_often([each.last_round for each in found], last)
    # Who copies or conforms gives no reason that counts, and who verifies gives one each time.
    held = [each.last_round if kind is verifier else each.round0 for each in found]
    assert [each.decision for each in found] == held


@pytest.mark.parametrize(
    ("trials", "at_most"), [(50, 1), pytest.param(400, 0.5, marks=pytest.mark.heavy)]
)
async def test_two_liars_overturn_fewer_right_votes_than_in_a_plain_debate(
    trials: int, at_most: float
):
    found = [each.elected for each in await debated(swayed, 0.75, trials, liars=2)]
    plain = sum((each.round0, each.last_round) == (RIGHT, WRONG) for each in found)
    ours = sum((each.round0, each.decision) == (RIGHT, WRONG) for each in found)
    assert 0 < ours < plain
    assert ours <= at_most * plain


async def test_with_the_flows_own_threshold_four_of_five_cost_no_exchange():
    found = await debated(conformist, 0.75, 40, agreement=0.8)
    assert {(each.calls, each.stop_reason) for each in found} >= {(5, "agreement")}
    assert all(max(map(each.positions[0].count, NUMBERS)) == 3 for each in found if each.calls > 5)
