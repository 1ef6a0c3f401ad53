"""What every count promises, whatever is cast."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_lab.deliberation.ballots.ballot import Ballot, Policy, Tally
from agent_lab.deliberation.ballots.counting import count
from agent_lab.deliberation.ballots.method_kinds import METHODS
from tests.deliberation.ballots.electorates import electorate, options_of
from tests.deliberation.ballots.profiles import cast, ranked, tally_of, voters

METHOD_NAMES = sorted(METHODS.names())
MONOTONE = [name for name in METHOD_NAMES if METHODS.get(name).monotone]
every_method = pytest.mark.parametrize("method", METHOD_NAMES)
sizes = st.integers(0, 8)
randoms = st.integers(0, 2**32).map(Random)  # noqa: S311 - it makes no secret
quick = settings(max_examples=60)
recusals = st.sampled_from([0, 0.2])


def level(ballots: list[Ballot], options: list[str], method: str, **policy: Any) -> Tally:
    """A count that leaves ties alone, and so does nothing by name or seed."""
    return count(
        ballots, options, voters(9), Policy(method=method, quorum=0, ties=("none",), **policy)
    )


@every_method
@quick
@given(random=randoms, size=sizes, recused=recusals)
def test_voters_are_equal(method: str, random: Random, size: int, recused: float):
    options = options_of(method, 4)
    ballots = electorate(random, method, options, size, recused=recused)
    names = random.sample(voters(9), size)
    swapped = [
        ballot.model_copy(update={"voter": name})
        for ballot, name in zip(ballots, names, strict=True)
    ]
    before, after = level(ballots, options, method), level(swapped, options, method)
    told = {"tied", "winner", "scores", "margin", "order", "valid", "abstained", "recused"}
    assert before.model_dump(include=told) == after.model_dump(include=told)


@every_method
@quick
@given(random=randoms, size=sizes, recused=recusals)
def test_options_are_equal(method: str, random: Random, size: int, recused: float):
    options = options_of(method, 4)
    # Numbers are what they are; only their order is changed.
    renamed = list(options) if METHODS.get(method).numeric else random.sample(options, 4)
    names = {"": "", **dict(zip(options, renamed, strict=True))}
    ballots = electorate(random, method, options, size, recused=recused)
    order = random.sample(options, 4)
    before = level(ballots, options, method)
    after = level([_renamed(b, names) for b in ballots], [names[o] for o in order], method)
    assert {names[o] for o in before.tied} == set(after.tied)
    assert {names[o]: score for o, score in before.scores.items()} == after.scores
    assert before.margin == after.margin


def _renamed(ballot: Ballot, names: dict[str, str]) -> Ballot:
    said = ballot.model_dump(exclude_unset=True)
    for field in ("approved", "ranking", "recused"):
        if field in said:
            said[field] = tuple(names[o] for o in said[field])
    for field in ("choice", "verdict"):
        if field in said:
            said[field] = names[said[field]]
    if "scores" in said:
        said["scores"] = {names[o]: score for o, score in said["scores"].items()}
    return Ballot(**said)


@every_method
@quick
@given(random=randoms, size=sizes, seed=st.integers(0, 99))
def test_the_order_of_options_and_ballots_decides_nothing(
    method: str, random: Random, size: int, seed: int
):
    options = options_of(method, 4)
    ballots = electorate(random, method, options, size)
    policy = Policy(method=method, quorum=0, seed=seed)
    before = count(ballots, options, voters(8), policy)
    others, mixed = random.sample(options, 4), random.sample(ballots, size)
    after = count(mixed, others, random.sample(voters(8), 8), policy)
    assert before.winner == after.winner
    assert before.scores == after.scores
    assert before.invalid == after.invalid
    assert [set(row.get("dropped", ())) for row in before.counts] == [
        set(row.get("dropped", ())) for row in after.counts
    ] or method != "instant_runoff"


@every_method
@quick
@given(random=randoms, size=sizes, recused=recusals)
def test_tallies_add_up(method: str, random: Random, size: int, recused: float):
    options = options_of(method, 4)
    ballots = electorate(random, method, options, size, recused=recused)
    tally = count(ballots, options, voters(8), Policy(method=method, quorum=0, seed=size))
    assert tally.valid + tally.abstained + len(tally.invalid) == 8
    assert set(tally.order) == set(options)
    assert (tally.winner is None) == bool(tally.reason)
    assert tally.winner is None or tally.winner in tally.tied
    assert bool(tally.tie_broken_by) == (tally.winner is not None and len(tally.tied) > 1)
    assert tally.order[: len(tally.tied)] == tally.tied
    assert (tally.margin > 0) == (len(tally.tied) == 1 and tally.scores[tally.tied[0]] != 0)
    assert Tally.model_validate_json(tally.model_dump_json()) == tally


@every_method
@quick
@given(random=randoms, size=sizes)
def test_abstentions_change_no_score(method: str, random: Random, size: int):
    options = options_of(method, 4)
    ballots = electorate(random, method, options, size)
    silent = [Ballot(voter=name, abstain=True) for name in voters(9)[size:]]
    before, after = level(ballots, options, method), level(ballots + silent, options, method)
    told = {"tied", "winner", "scores", "margin", "valid", "counts"}
    assert before.model_dump(include=told) == after.model_dump(include=told)
    assert after.abstained == before.abstained + len(silent)


@every_method
@quick
@given(random=randoms, size=sizes)
def test_ballots_that_a_voter_casts_before_its_last_change_nothing(
    method: str, random: Random, size: int
):
    options = options_of(method, 4)
    ballots = electorate(random, method, options, size)
    earlier = electorate(random, method, options, size)
    stale = [b.model_copy(update={"round": 1}) for b in electorate(random, method, options, size)]
    assert level(ballots, options, method) == level(earlier + ballots + stale, options, method)


@pytest.mark.parametrize("method", MONOTONE)
@settings(max_examples=60)
@given(random=randoms, size=st.integers(1, 8))
def test_support_never_hurts_a_winner(method: str, random: Random, size: int):
    options = options_of(method, 4)
    ballots = electorate(random, method, options, size)
    before = level(ballots, options, method)
    index = random.randrange(size)
    for winner in before.tied:
        raised = list(ballots)
        raised[index] = _raised(ballots[index], winner)
        after = level(raised, options, method)
        assert winner in after.tied
        assert len(before.tied) > 1 or after.tied == (winner,)
        assert before.reason or not after.reason


def _raised(ballot: Ballot, option: str) -> Ballot:
    """The ballot with more support for an option, and as much as before for the others."""
    if ballot.choice is not None:
        return ballot.model_copy(update={"choice": option})
    if ballot.verdict is not None:
        return ballot.model_copy(update={"verdict": option})
    if ballot.approved is not None:
        return ballot.model_copy(update={"approved": (*{*ballot.approved, option},)})
    if not ballot.ranking:
        return ballot
    place = ballot.ranking.index(option) if option in ballot.ranking else len(ballot.ranking)
    others = [o for o in ballot.ranking if o != option]
    higher = max(place - 1, 0)
    return ballot.model_copy(update={"ranking": (*others[:higher], option, *others[higher:])})


@settings(max_examples=150)
@given(random=randoms, size=st.integers(1, 9))
def test_schulze_elects_whoever_beats_each_of_the_others(random: Random, size: int):
    options = options_of("schulze", 4)
    ballots = electorate(random, "schulze", options, size)
    rankings = [b.ranking for b in ballots if b.ranking]

    def beats(one: str, other: str) -> bool:
        places = [[(r.index(o) if o in r else 9) for o in (one, other)] for r in rankings]
        return sum(a < b for a, b in places) > sum(b < a for a, b in places)

    for option in options:
        if all(beats(option, other) for other in options if other != option):
            assert level(ballots, options, "schulze").tied == (option,)


def test_borda_does_not_always_elect_whoever_beats_each_of_the_others():
    ballots = ranked("3 ABC, 2 BCA")
    assert tally_of(ballots, "ABC", "borda").winner == "B"
    assert tally_of(ballots, "ABC", "schulze").winner == "A"


THIRDS: dict[str, dict[str, Any]] = {
    "plurality": {"choice": "ABC"},
    "weighted": {"choice": "ABC"},
    "judge": {"verdict": "ABC"},
    "approval": {"approved": "ABC"},
    "score": {"scores": [{"A": 1, "B": 0}, {"B": 1, "C": 0}, {"C": 1, "A": 0}]},
    "borda": {"ranking": ["ABC", "BCA", "CAB"]},
    "schulze": {"ranking": ["ABC", "BCA", "CAB"]},
    "instant_runoff": {"ranking": ["ABC", "BCA", "CAB"]},
    "threshold": {"approved": ["ABC", "ABC", "CAB"]},
    "unanimity": {"approved": ["ABC", "ABC", "CAB"]},
    "median": {"choice": ["3", "6/2", "3.0"]},
}


@every_method
def test_no_method_prefers_the_option_that_stands_first(method: str):
    ((payload, said),) = THIRDS[method].items()
    ballots = cast(*({payload: one} for one in said))
    options = said if method == "median" else list("ABC")
    won: Counter[str | None] = Counter()
    for seed in range(300):
        tally = tally_of(ballots, options, method, seed=seed)
        assert tally.tied == tuple(options)
        won[tally.winner] += 1
    # 100 each are expected; 40 off is nearly five standard deviations.
    assert all(60 <= won[option] <= 140 for option in options)
    assert sum(won.values()) == sum(won[option] for option in options)
