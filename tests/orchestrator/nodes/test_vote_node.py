"""Counts: who is heard, what decides between level answers, what is recorded, when it ends."""

from typing import Any

import pytest

from agent_lab.deliberation.ballots.ballot import Ballot, options_sha
from agent_lab.deliberation.trajectory import Flip
from agent_lab.deliberation.votes import Vote
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.graph_configs import get_flow_config
from agent_lab.orchestrator.agent_state import AgentState, CastBallot, updated
from tests.orchestrator.conftest import lost, planned, ran, spoke, staged
from tests.orchestrator.councils import (
    NUMBER,
    SLOGAN,
    VOTING,
    answering,
    council,
    counted,
    drafted,
    ranking,
    said_in,
)

# ------------------------------------------------------------------ answers as ballots


async def test_equal_answers_are_one_vote_each_and_the_commonest_wins():
    vote, update = await counted(council(), drafted(a=42, b="It is 42.0\nANSWER: 42.0", c=41))
    assert vote.tally.scores == {"42": 2, "41": 1}
    assert vote.tally.winner == "42"
    assert update["outputs"]["vote"] == "It is 42.0\nANSWER: 42.0"
    assert update["values"] == {
        "vote_winner": "42",
        "vote_decided": True,
        "vote_settled": False,
        "vote_agreement": 2 / 3,
        "vote_margin": pytest.approx(1 / 3),
        "vote_valid": 3,
        "vote_eligible": 3,
        "vote_unparsed": 0,
        "vote_method": "plurality",
    }


async def test_what_is_counted_asks_nobody():
    stage = staged({})
    await counted(council(), drafted(a=42, b=42, c=41), stage=stage)
    assert stage.turns == []


async def test_near_equal_texts_with_other_answers_are_two_answers():
    text = "Let us count the apples of all the bags, one after the other, with care.\nANSWER: "
    vote, _ = await counted(council(), drafted(a=f"{text}40", b=f"{text}41", c=f"{text}41"))
    assert vote.tally.scores == {"40": 1, "41": 2}


async def test_an_answer_that_cannot_be_read_is_invalid_and_says_why():
    vote, update = await counted(council(), drafted(a=42, b="I do not know.", c=42))
    assert vote.positions == {"a": "42", "b": None, "c": "42"}
    assert vote.tally.invalid == {"b": "unreadable"}
    assert (vote.tally.valid, vote.tally.eligible) == (2, 3)
    assert update["values"]["vote_unparsed"] == 1
    assert vote.agreement is not None
    assert (vote.agreement.modal_share, vote.agreement.unparsed_share) == (1.0, 1 / 3)


async def test_a_member_that_failed_is_absent():
    vote, _ = await counted(council(), drafted(a=42, b=None, c=42))
    assert vote.tally.invalid == {"b": "absent"}
    assert "b" not in vote.positions
    assert vote.eligible == ("a", "b", "c")


async def test_a_guessed_number_counts_and_is_flagged():
    vote, _ = await counted(council(), drafted(a="6 bags of 7 make 42 apples", b=41, c=42))
    assert vote.tally.winner == "42"
    assert vote.parsed_by["a"] == "last_number"
    assert vote.flags == ("last_number: a",)


async def test_answers_that_count_as_choices_of_the_task_are_read_by_its_labels():
    task = "Which is a mammal?\nA) shark\nB) whale\nC) trout"
    vote, update = await counted(council(), drafted(task, a="A", b="B) whale", c="ANSWER: B"))
    assert vote.kind == "choice"
    assert update["values"]["vote_winner"] == "B"


# ------------------------------------------------------------------ quorum


@pytest.mark.parametrize(
    ("members", "heard", "quorum", "met"),
    [
        (2, 1, 0.5, False),
        (2, 2, 0.5, True),
        (3, 1, 0.5, False),
        (3, 2, 0.5, True),
        (4, 2, 0.5, False),
        (4, 3, 0.5, True),
        (3, 2, 0.6667, False),
        (3, 3, 0.6667, True),
        (3, 1, 0.0, True),
        (3, 2, 1.0, False),
        (3, 3, 1.0, True),
    ],
)
@pytest.mark.parametrize("how", ["failed", "unread"])
async def test_more_than_the_quorum_must_have_given_an_answer_that_counts(
    members: int, heard: int, quorum: float, met: bool, how: str
):
    ids = "abcd"[:members]
    silent: Any = None if how == "failed" else "I do not know."
    answers = {i: 42 if n < heard else silent for n, i in enumerate(ids)}
    vote, update = await counted(council(ids, vote={"quorum": quorum}), drafted(**answers))
    assert vote.tally.quorum_met is met
    assert vote.tally.winner == ("42" if met else None)
    assert update["values"]["vote_decided"] is met
    failure = update["failures"]["vote"]
    assert (failure is None) is met
    assert update["stops"]["vote"] == ("" if met else "no_quorum")
    if failure is not None:
        assert failure.code == "no_quorum"
        assert f"Of {members} that could vote, {heard} gave" in failure.message
        assert "outputs" not in update


async def test_where_every_member_failed_there_is_nothing_to_count_and_no_other_failure():
    vote, update = await counted(council(), drafted(a=None, b=None, c=None))
    failure = update["failures"]["vote"]
    assert failure is not None
    assert failure.code == "not_asked"
    assert vote.tally.invalid == {"a": "absent", "b": "absent", "c": "absent"}
    assert update["stops"]["vote"] == "no_quorum"


async def test_a_count_that_succeeds_after_one_that_failed_is_no_failure_any_more():
    plan = council()
    state = drafted(a=42, b=None, c=None)
    _, update = await counted(plan, state)
    state = updated(state, update)
    _, update = await counted(plan, said_in(state, "drafter", b=42, c=42))
    assert update["failures"] == {"vote": None}
    assert update["stops"] == {"vote": ""}
    assert len(update["votes"]["vote"]) == 2


# ------------------------------------------------------------------ methods


@pytest.mark.parametrize(("weight", "winner"), [(1, "41"), (1.9, "41"), (2.5, "42")])
async def test_weights_are_those_of_the_members_that_are_named(weight: float, winner: str):
    plan = council(vote={"method": "weighted", "weights": {"a": weight}})
    vote, _ = await counted(plan, drafted(a=42, b=41, c=41))
    assert vote.tally.winner == winner
    assert {b.voter: b.weight for b in vote.ballots} == {"a": weight, "b": 1.0, "c": 1.0}


@pytest.mark.parametrize(
    ("threshold", "winner"), [(0.5, "42"), (0.6667, "42"), (0.67, None), (1.0, None)]
)
async def test_a_threshold_is_a_share_of_the_answers_that_count(
    threshold: float, winner: str | None
):
    plan = council(vote={"method": "threshold", "threshold": threshold})
    vote, update = await counted(plan, drafted(a=42, b=42, c=41))
    assert vote.tally.winner == winner
    assert vote.tally.reason == ("" if winner else "below_threshold")
    assert update["failures"]["vote"] is None  # that nobody has won is no failure


async def test_half_is_no_threshold_reached():
    plan = council("ab", vote={"method": "threshold"})
    vote, _ = await counted(plan, drafted(a=42, b=41))
    assert vote.tally.winner is None


async def test_unanimity_takes_every_answer_that_counts():
    plan = council(vote={"method": "unanimity"})
    assert (await counted(plan, drafted(a=42, b=42, c=42)))[0].tally.winner == "42"
    assert (await counted(plan, drafted(a=42, b=42, c=41)))[0].tally.winner is None
    assert (await counted(plan, drafted(a=42, b=42, c=None)))[0].tally.winner == "42"


async def test_the_median_of_numbers_is_no_plurality():
    plan = council("abcde", vote={"method": "median"})
    vote, _ = await counted(plan, drafted(a=1, b=1, c=40, d=41, e=1000))
    assert vote.tally.winner == "40"


async def test_a_median_of_words_counts_nothing():
    plan = council(vote={"method": "median", "answer": "label"})
    vote, update = await counted(plan, drafted(a="ANSWER: red", b="ANSWER: blue", c="ANSWER: red"))
    assert vote.tally.winner is None
    assert set(vote.tally.invalid.values()) == {"not_a_number"}
    failure = update["failures"]["vote"]
    assert failure is not None
    assert failure.code == "no_quorum"


# ------------------------------------------------------------------ ties


async def test_a_tie_of_blind_answers_is_drawn_and_each_can_win():
    plan, winners = council("ab"), set()
    for seed in range(20):
        vote, _ = await counted(plan, drafted(a=42, b=41), seed=seed)
        again, _ = await counted(plan, drafted(a=41, b=42), seed=seed)
        assert vote.tally.tie_broken_by == "seeded"
        assert vote.tally.tied == ("41", "42")
        # Whose answer it is decides nothing.
        assert again.tally.winner == vote.tally.winner
        winners.add(vote.tally.winner)
    assert winners == {"41", "42"}


@pytest.mark.parametrize("rules", [["judge"], ["none"], ["round0", "none"], ["head_to_head"]])
async def test_a_tie_that_nobody_may_decide_stays_and_is_no_failure(rules: list[str]):
    vote, update = await counted(council("ab", vote={"ties": rules}), drafted(a=42, b=41))
    assert vote.tally.winner is None
    assert vote.tally.reason == "tie"
    assert vote.tally.tied == ("41", "42")
    assert vote.tally.asks == ("judge" if rules == ["judge"] else "")
    assert update["failures"]["vote"] is None
    assert update["values"]["vote_decided"] is False
    assert "outputs" not in update


AFTER: dict[str, Any] = {"answers": ["exchange"], "blind": ["drafter"], "first": "gate"}


async def exchanged(
    ids: str, before: dict[str, object], after: dict[str, object], *flips: Flip, **config: Any
) -> tuple[Vote, AgentState]:
    """The count after a blind one and an exchange."""
    plan = council(ids, vote={**AFTER, **config})
    state = drafted(**before)
    _, update = await counted(plan, state, "gate")
    state = updated(state, update)
    state = updated(said_in(state, "exchange", **after), {"flips": flips})
    vote, update = await counted(plan, state)
    return vote, updated(state, update)


def flip(member: str, before: object, after: object, *, supported: bool, round: int = 1) -> Flip:
    return Flip(
        member=member,
        round=round,
        from_key=str(before),
        to_key=str(after),
        supported=supported,
        why_not="" if supported else "others agree",
    )


async def test_a_tie_after_an_exchange_goes_to_the_answer_that_led_blindly():
    before: dict[str, object] = {"a": 42, "b": 42, "c": 42, "d": 41}
    after: dict[str, object] = {**before, "a": 41}
    vote, _ = await exchanged("abcd", before, after, flip("a", 42, 41, supported=True))
    assert vote.tally.tied == ("41", "42")
    assert (vote.tally.winner, vote.tally.tie_broken_by) == ("42", "round0")


async def test_only_changes_with_a_reason_move_the_blind_count():
    before: dict[str, object] = {"a": 42, "b": 42, "c": 41}
    after: dict[str, object] = {"a": 41, "b": 41, "c": 41}
    changes = (flip("a", 42, 41, supported=False), flip("b", 42, 41, supported=False))
    vote, state = await exchanged("abc", before, after, *changes)
    assert vote.decision is not None
    assert (vote.decision.round0, vote.decision.last_round) == ("42", "41")
    assert vote.decision.decision == vote.tally.winner == "42"
    # What stands for the answer is a text that gives it, though its authors have left it.
    assert state["outputs"]["vote"] == answering(42)
    changes = (flip("a", 42, 41, supported=True), flip("b", 42, 41, supported=False))
    vote, state = await exchanged("abc", before, after, *changes)
    assert vote.tally.winner == "41"
    assert vote.tally.scores == {"41": 2, "42": 1}
    assert state["outputs"]["vote"] == answering(41)


async def test_every_change_is_recorded_also_those_that_do_not_count():
    changes = (flip("a", 42, 41, supported=False), flip("b", 42, 43, supported=True))
    vote, _ = await exchanged(
        "abc", {"a": 42, "b": 42, "c": 41}, {"a": 41, "b": 43, "c": 41}, *changes
    )
    assert vote.decision is not None
    assert vote.decision.flips == changes
    assert (vote.round, vote.positions) == (1, {"a": "41", "b": "43", "c": "41"})


async def test_a_member_that_fails_in_the_exchange_keeps_its_blind_answer_and_is_flagged():
    vote, _ = await exchanged("abc", {"a": 42, "b": 42, "c": 41}, {"a": 42, "b": None, "c": 41})
    assert vote.tally.winner == "42"
    assert vote.tally.scores == {"41": 1, "42": 2}
    assert vote.positions == {"a": "42", "c": "41"}
    assert vote.flags == ("earlier_answer: b",)


async def test_nodes_without_a_group_are_the_same_members_before_and_after():
    nodes = [{"id": i, "prompt_template": "Speak."} for i in ("x", "y", "z")]
    later = [
        {
            "id": f"{i}2",
            "type": "exchange",
            "prompt_template": "{peers}",
            "config": {"answers": ["x2", "y2", "z2"], "blind": ["x", "y", "z"]},
        }
        for i in "xyz"
    ]
    plan = planned(
        *nodes,
        {"id": "gate", "type": "vote", "config": {"answers": ["x", "y", "z"]}},
        *later,
        {
            "id": "vote",
            "type": "vote",
            "config": {
                "answers": ["x2", "y2", "z2"],
                "blind": ["x", "y", "z"],
                "first": "gate",
            },
        },
    )
    state = drafted()
    state = spoke(state, x=answering(42), y=answering(42), z=answering(41))
    _, update = await counted(plan, state, "gate")
    state = spoke(updated(state, update), x2=answering(41), y2=answering(42), z2=answering(41))
    vote, _ = await counted(plan, updated(state, {"flips": (flip("x", 42, 41, supported=True),)}))
    assert vote.eligible == ("x", "y", "z")
    assert vote.tally.scores == {"41": 2, "42": 1}
    assert vote.tally.winner == "41"


# ------------------------------------------------------------------ ballots on texts


def ballots(state: AgentState, **rankings: str) -> AgentState:
    """The state in which members have ranked the candidates `a`, `b` …"""
    candidates = sorted(rankings)
    sha = options_sha(candidates)
    cast = {
        f"{voter}_ballot": CastBallot(
            Ballot(voter="", round=0, options_sha=sha, ranking=tuple(order)), tuple(candidates)
        )
        for voter, order in rankings.items()
    }
    return updated(state, {"ballots": cast})


def texts(ids: str) -> AgentState:
    return drafted(SLOGAN, **{i: f"slogan {i}" for i in ids})


async def test_texts_are_counted_by_the_members_ballots():
    vote, update = await counted(council(), ballots(texts("abc"), a="bca", b="bac", c="cba"))
    assert vote.tally.method == "borda"
    assert vote.tally.scores == {"a": 1, "b": 5, "c": 3}
    assert update["outputs"]["vote"] == update["values"]["vote_winner"] == "slogan b"
    assert [b.voter for b in vote.ballots] == ["a", "b", "c"]
    assert vote.shown == dict.fromkeys("abc", ("a", "b", "c"))
    assert (vote.agreement, update["values"]["vote_unparsed"]) == (None, 0)


async def test_with_five_voters_nobody_has_a_say_on_its_own_text():
    orders = {i: i + "abcde".replace(i, "") for i in "abcde"}
    five, _ = await counted(council("abcde"), ballots(texts("abcde"), **orders))
    assert five.tally.recused == 5
    four = {i: i + "abcd".replace(i, "") for i in "abcd"}
    vote, _ = await counted(council("abcd"), ballots(texts("abcd"), **four))
    assert vote.tally.recused == 0


@pytest.mark.parametrize(("own_vote", "recused"), [("exclude", 3), ("count", 0), ("auto", 0)])
async def test_own_votes_count_as_the_flow_says(own_vote: str, recused: int):
    plan = council(vote={"own_vote": own_vote})
    vote, _ = await counted(plan, ballots(texts("abc"), a="abc", b="bac", c="cab"))
    assert vote.tally.recused == recused


@pytest.mark.parametrize("reason", ["unreadable", "repeated_option", "unknown_option"])
async def test_a_ballot_that_does_not_count_is_invalid_with_its_reason(reason: str):
    state = ballots(texts("abc"), a="abc", b="abc", c="cab")
    state = updated(state, {"ballots": {"c_ballot": CastBallot(None, ("a", "b", "c"), reason)}})
    vote, _ = await counted(council(), state)
    assert vote.tally.invalid == {"c": reason}
    assert vote.tally.valid == 2
    assert vote.tally.winner == "a"


async def test_a_voter_that_failed_is_absent_whatever_it_said_before():
    state = lost(ballots(texts("abc"), a="abc", b="abc", c="cab"), "c_ballot")
    vote, _ = await counted(council(), state)
    assert vote.tally.invalid == {"c": "absent"}
    assert [b.voter for b in vote.ballots] == ["a", "b"]


async def test_a_ballot_on_other_candidates_is_stale():
    # One of the texts that were ranked is no candidate any more.
    state = lost(ballots(texts("abc"), a="abc", b="abc", c="cab"), "b_drafter")
    vote, _ = await counted(council(), state)
    assert set(vote.tally.invalid.values()) == {"stale_options"}
    assert vote.tally.winner is None


async def test_abstentions_are_heard_and_leave_every_denominator():
    abstaining = Ballot(voter="", abstain=True)
    state = ballots(texts("abc"), a="abc", b="abc", c="cab")
    cast = {f"{i}_ballot": CastBallot(abstaining, ("a", "b", "c")) for i in "bc"}
    vote, _ = await counted(council(), updated(state, {"ballots": cast}))
    assert (vote.tally.valid, vote.tally.abstained) == (1, 2)
    assert vote.tally.quorum_met
    assert vote.tally.winner == "a"


async def test_texts_that_nobody_ranks_are_not_counted_and_that_is_no_failure():
    plan = council(vote={"ballots": []})
    vote, update = await counted(plan, texts("abc"))
    assert vote.tally.reason == "no_votes"
    assert vote.eligible == ()
    assert update["failures"] == {"vote": None}
    assert update["stops"] == {"vote": ""}
    assert update["values"]["vote_settled"] is False
    assert "outputs" not in update


async def test_a_method_of_rankings_counts_ballots_on_keyed_answers_too():
    plan = council(vote={"method": "borda"})
    state = drafted(a=42, b=41, c=42)
    sha = options_sha(["41", "42"])
    cast = {
        f"{i}_ballot": CastBallot(
            Ballot(voter="", options_sha=sha, ranking=("41", "42")), ("41", "42")
        )
        for i in "abc"
    }
    vote, update = await counted(plan, updated(state, {"ballots": cast}))
    assert vote.tally.winner == "41"
    assert update["outputs"]["vote"] == answering(41)
    assert vote.agreement is not None


# ------------------------------------------------------------------ stop rules


async def test_agreement_settles_only_where_the_flow_asks_for_it():
    state = drafted(a=42, b=42, c=42)
    _, update = await counted(council(), state)
    assert (update["stops"]["vote"], update["values"]["vote_settled"]) == ("", False)
    plan = council(vote={"settled_by": ["agreement"]})
    vote, update = await counted(plan, state)
    assert (update["stops"]["vote"], update["values"]["vote_settled"]) == ("agreement", True)
    assert vote.stops == ("agreement",)


@pytest.mark.parametrize(("share", "settled"), [(0.5, True), (0.66, True), (0.7, False)])
async def test_agreement_is_a_share_of_all_members(share: float, settled: bool):
    plan = council(vote={"settled_by": ["agreement"], "agreement": share})
    _, update = await counted(plan, drafted(a=42, b=42, c=None))
    assert update["values"]["vote_settled"] is settled


async def test_without_a_quorum_nothing_else_is_said():
    # All who were heard agree, yet they are too few.
    plan = council("abcd", vote={"settled_by": ["agreement"], "agreement": 0.5})
    vote, update = await counted(plan, drafted(a=42, b=42, c=None, d=None))
    assert vote.stops == ("no_quorum",)
    assert update["values"]["vote_settled"] is False


async def test_texts_never_agree():
    plan = council(vote={"settled_by": ["agreement"]})
    state = drafted(SLOGAN, a="the same", b="the same", c="the same")
    vote, _ = await counted(plan, ballots(state, a="abc", b="abc", c="abc"))
    assert vote.stops == ()


# ------------------------------------------------------------------ the record


def speaks(call: Any) -> str:
    """Somebody disagrees, in texts and in ballots."""
    schema = call.params.get("response_schema") or {"properties": {}}
    if "ranking" in schema["properties"]:
        return ranking("B", "A")
    if "preference" in schema["properties"]:
        return '{"reason": "", "preference": "A"}'
    return answering(41 if call.role.endswith("_b") else 42)


@pytest.mark.parametrize("task", [NUMBER, SLOGAN])
@pytest.mark.parametrize("name", VOTING)
async def test_what_a_step_records_is_the_whole_vote(name: str, task: str):
    stage = staged(speaks, request={"input": task})
    outcome = await ran(get_flow_config(name), stage)
    assert outcome.state is not None
    recorded: dict[str, list[Vote]] = {}
    for step in stage.log.steps:
        if step.vote is not None:
            recorded.setdefault(step.path, []).append(Vote.model_validate(step.vote))
    assert {node: tuple(votes) for node, votes in recorded.items()} == outcome.state["votes"]
    assert recorded


@pytest.mark.parametrize("problem", ["unreadable", "repeated_option", "wrong_form", "off_scale"])
async def test_why_nothing_counts_survives_the_record(problem: str):
    state = ballots(texts("abc"), a="abc", b="abc", c="cab")
    state = updated(state, {"ballots": {"c_ballot": CastBallot(None, ("a", "b", "c"), problem)}})
    vote, _ = await counted(council(), state)
    recorded = vote.model_dump(mode="json", exclude_defaults=True)
    assert Vote.model_validate(recorded) == vote


async def test_the_record_of_a_debate_has_ballots_positions_flips_and_who_was_absent():
    said: dict[str, Any] = {
        "debater_a": ["6 x 7 = 41.\nANSWER: 41", 'CHANGED "6 x 7 = 41": 36 + 6\nANSWER: 42'],
        "debater_b": [answering(42), ProviderUnavailableError("gone")],
        "debater_c": [answering(43), "no idea"],
    }
    stage = staged(said, request={"input": NUMBER})
    await ran(get_flow_config("debate"), stage)
    [vote] = [Vote.model_validate(s.vote) for s in stage.log.steps if s.path == "vote" and s.vote]
    assert vote.positions == {"debater_a": "42", "debater_c": None}
    assert [(b.voter, b.choice) for b in vote.ballots] == [("debater_a", "42")]
    assert vote.decision is not None
    [change] = vote.decision.flips
    assert (change.member, change.from_key, change.to_key, change.supported) == (
        "debater_a",
        "41",
        "42",
        True,
    )
    assert vote.decision.positions == {"debater_a": "42", "debater_b": "42", "debater_c": "43"}
    assert vote.tally.winner == "42"
    assert vote.flags == ("earlier_answer: debater_b",)
