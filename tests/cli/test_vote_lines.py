"""What people are told of counts, and of what a run is compared with."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.cli.vote_lines import MOST_LISTED, WIDTH, baseline_lines, vote_lines
from agent_lab.config import Settings
from agent_lab.contracts import JsonObject, RunRequest, Usage
from agent_lab.contracts.baseline import Baseline
from agent_lab.lab import build
from agent_lab.providers.local.scripted_provider import Script
from agent_lab.providers.provider_gateway import ProviderGateway

APPLES = "How many apples are 6 bags of 7 apples?"
SLOGAN = "Write a slogan for a bakery."
COUNTED, WRONG = "I count them.\nANSWER: 42", "6 × 7 = 41.\nANSWER: 41"
SUPPORTED = 'CHANGED "6 × 7 = 41": 6 × 7 is 42, as 36 and 6 more\nANSWER: 42'
FOLLOWS = 'CHANGED "ANSWER: 42": most others say 41\nANSWER: 41'


async def counts(
    settings: Settings, flow: str, script: Script, prompt: str = APPLES, **inputs: Any
) -> dict[str, list[str]]:
    """By node: the lines of its last count."""
    lab = build(settings, gateway=ProviderGateway.scripted(script, ("first",)))
    record = await lab.runs.run(RunRequest(flow=flow, input=prompt, inputs=inputs, seed=1))
    return {s.path: lines_of(s.vote, s.path) for s in record.steps if s.vote is not None}


def lines_of(vote: JsonObject, path: str = "vote") -> list[str]:
    return [line.text for line in vote_lines(path, vote)]


def vote_of(**fields: Any) -> JsonObject:
    """A count of three numbers."""
    tally = {
        "method": "plurality", "winner": "42", "scores": {"41": 1.0, "42": 2.0},
        "order": ["42", "41"], "tied": ["42"], "eligible": 3, "valid": 3, "quorum_met": True,
    }  # fmt: skip
    candidates = [
        {"id": "41", "display": "41", "members": ["c"]},
        {"id": "42", "display": "42", "members": ["a", "b"]},
    ]
    positions = {"a": "42", "b": "42", "c": "41"}
    tally |= fields.pop("tally", {})
    return {
        "kind": "number", "positions": positions, "candidates": candidates, "tally": tally, **fields
    }  # fmt: skip


def baseline_of(**fields: Any) -> str:
    known = {
        "flow": "self_consistency", "model": "first", "why_this_model": "the only model of the run",
        "output": "I count them.\nANSWER: 42", "winner": "42", "agrees": True, "samples": 3,
        "stop_reason": "completed",
        "usage": Usage(prompt_tokens=1000, completion_tokens=234),
        "run_usage": Usage(prompt_tokens=1000, completion_tokens=301),
    }  # fmt: skip
    return "\n".join(line.text for line in baseline_lines(Baseline(**{**known, **fields})))


async def test_a_blind_count_says_who_answered_what_and_who_was_not_read(settings: Settings):
    draws = [COUNTED, "Who knows?", COUNTED, WRONG, "There are 42 apples."]
    told = await counts(settings, "self_consistency", {"solver": draws}, stop="none")
    assert told["vote"] == [
        "⚖ vote · blind · plurality: 42 won with 3 of 4 votes (agreement 0.75) · unparsed 1",
        "  42 · 3 votes · solver[0], solver[2], solver[4]",
        "  41 · 1 vote · solver[3]",
        "  not counted (unreadable): solver[1]",
        "  guessed from the last number that stands there: solver[4]",
    ]


async def test_agreement_that_ends_the_deliberation_is_said(settings: Settings):
    script = {"debater_a": COUNTED, "debater_b": COUNTED, "debater_c": COUNTED}
    head, *_ = (await counts(settings, "debate", script))["gate"]
    assert head == (
        "⚖ gate · blind · plurality: 42 won with 3 of 3 votes (agreement 1.00) · stopped: agreement"
    )


async def test_a_change_with_a_reason_counts_and_one_without_does_not(settings: Settings):
    script = {
        "debater_a": [COUNTED, FOLLOWS],
        "debater_b": [WRONG, SUPPORTED],
        "debater_c": ["ANSWER: 43", "ANSWER: 43"],
    }
    told = (await counts(settings, "debate", script))["vote"]
    assert told[0].startswith("⚖ vote · round 1 · plurality: 42 won with 2 of 3 votes")
    assert told[1:3] == [
        "  42 · 2 votes · debater_a, debater_b",
        "  43 · 1 vote · debater_c",
    ]
    follows, supported = told[3:5]
    assert follows.startswith(
        "  debater_a: 42 → 41 · does not count: it does not say what was wrong"
    )
    assert supported.startswith('  debater_b: 41 → 42 · supported · "6 × 7 = 41": 6 × 7 is 42, as')


async def test_the_way_from_the_blind_count_to_the_decision_is_told(settings: Settings):
    script = {
        "debater_a": [COUNTED, "The others say 41, so I follow.\nANSWER: 41"],
        "debater_b": [COUNTED, FOLLOWS],
        "debater_c": [WRONG, WRONG],
    }
    told = (await counts(settings, "debate", script))["vote"]
    assert "  blind: 42 · the last answers alone: 41 · decided: 42" in told


async def test_ballots_on_texts_are_told_one_by_one(settings: Settings):
    script = {
        "model_a": ["Warm since six.", '{"reason": "short", "ranking": ["A", "B", "C"]}'],
        "model_b": ["Bread.", "Both are good.", "I like them."],
        "model_c": ["We bake.", '{"reason": "", "ranking": ["B", "C", "A"]}'],
    }
    told = (await counts(settings, "consensus", script, SLOGAN))["vote"]
    assert "blind · borda: " in told[0]
    assert sorted(line.partition(" · ")[0] for line in told[1:4]) == [
        "  model_a",
        "  model_b",
        "  model_c",
    ]
    assert all(" point" in line for line in told[1:4])
    [reasoned] = [line for line in told if line.startswith("  model_a votes: ")]
    ranked = reasoned.removeprefix("  model_a votes: ").removesuffix(" · short")
    assert sorted(ranked.split(" > ")) == ["model_a", "model_b", "model_c"]
    assert reasoned.endswith(" · short")
    assert "  not counted (unreadable): model_b" in told


@pytest.mark.parametrize(
    ("verdicts", "line"),
    [
        (("A", "B"), "  41 or 42: 41 in both orders"),
        (("B", "A"), "  41 or 42: 42 in both orders"),
        (
            ("A", "A"),
            "  41 or 42: the orders do not agree: 41 where 41 comes first, 42 where 42 comes first",
        ),
    ],
)
async def test_a_judges_comparisons_say_whether_both_orders_agree(
    settings: Settings, verdicts: tuple[str, str], line: str
):
    said = [f'{{"reason": "", "preference": "{one}"}}' for one in verdicts]
    script = {"model_a": COUNTED, "model_b": WRONG, "judge": said}
    told = await counts(settings, "consensus", script, models=["a", "b"])
    assert line in told["judge"]
    assert told["judge"][0].startswith("⚖ judge · judge: ")
    assert "blind" not in told["judge"][0]
    assert told["vote"][0].startswith(
        "⚖ vote · blind · plurality: no winner, a tie of 41, 42; asks for a judge"
    )


async def test_a_verdict_that_cannot_be_read_is_told(settings: Settings):
    script = {"model_a": COUNTED, "model_b": WRONG, "judge": "Both are fine."}
    told = (await counts(settings, "consensus", script, models=["a", "b"]))["judge"]
    assert "  41 or 42: nothing that can be read in both orders" in told
    assert "  not counted (unreadable): judge[0], judge[1]" in told


async def test_texts_that_equal_no_other_are_not_counted(settings: Settings):
    drafts = {"debater_a": "Bread.", "debater_b": "Warm.", "debater_c": "We bake."}
    script = {role: [text, text, "A > B > C"] for role, text in drafts.items()}
    told = (await counts(settings, "debate", script, SLOGAN))["gate"]
    assert told[0].endswith(": texts that equal no other, nothing to count")


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        ({"winner": None, "reason": "no_quorum"}, "no winner, too few have voted"),
        ({"winner": None, "reason": "below_threshold"}, "no winner, the first has too few"),
        ({"tie_broken_by": "seeded"}, "tie broken by seeded"),
        ({"method": "score", "scores": {"42": 1.5}}, "score: 42 won with 1.5 points"),
    ],
)
def test_the_head_says_what_came_of_it(tally: JsonObject, said: str):
    head, *_ = lines_of(vote_of(tally=tally))
    assert said in head


def test_a_text_is_named_by_its_author_and_its_beginning_told_once():
    candidates = [{"id": "a", "display": "Warm bread since six.", "members": ["a"]}]
    tally = {"method": "borda", "winner": "a", "order": ["a"], "scores": {"a": 3.0}}
    told = lines_of(vote_of(kind="free", candidates=candidates, tally=tally))
    assert told == [
        "⚖ vote · blind · borda: a won with 3 points",
        "  a · 3 points · Warm bread since six.",
    ]


def test_long_answers_leave_room_for_what_a_judge_says():
    first, second = "def f(): return 1 + 1", "def f(): return 2 + 2"
    candidates = [{"id": key, "display": key, "members": [key]} for key in (first, second)]
    ballots = [{"voter": "j[0]", "verdict": first}, {"voter": "j[1]", "verdict": second}]
    told = lines_of(
        vote_of(
            kind="code",
            candidates=candidates,
            ballots=ballots,
            shown={"j[0]": [first, second], "j[1]": [second, first]},
            tally={"method": "judge", "winner": first, "order": [], "scores": {first: 1.0}},
        )
    )
    assert told[-1].startswith(
        "  def f(): return… or def f(): return…: the orders do not agree: def f(): return… where "
    )


def test_what_was_counted_beside_the_flow_is_told_apart():
    assert lines_of(vote_of(), "@baseline.vote")[0].startswith("⚖ baseline.vote · blind")


def test_where_the_blind_count_holds_nobody_is_said_to_stand_for_an_option():
    # c could not be read in the blind round, which was a tie: the seed decided.
    positions = {"a": "41", "b": "42", "c": "42"}
    decision = {"round0": "41", "last_round": "42", "decision": "41", "positions": positions}
    blind = {"winner": "41", "scores": {"41": 1.0, "42": 1.0}, "order": ["41", "42"]}
    told = lines_of(vote_of(round=1, tally=blind, decision=decision))
    assert told[1:3] == ["  41 · 1 vote", "  42 · 1 vote"]


def test_many_candidates_are_cut():
    candidates = [{"id": str(n), "display": str(n), "members": [f"m{n}"]} for n in range(40)]
    told = lines_of(vote_of(candidates=candidates, tally={"order": []}))
    assert told[MOST_LISTED] == f"  {MOST_LISTED - 1} · m{MOST_LISTED - 1}"
    assert told[MOST_LISTED + 1] == f"  … and {40 - MOST_LISTED} more"


def test_a_flag_that_is_not_known_is_shown_as_it_is():
    told = lines_of(vote_of(flags=["judge_of_own_family", "some_day: a"]))
    assert told[-2].startswith("  the judge is of the family")
    assert told[-1] == "  some day: a"


@given(st.text(), st.text())
def test_nothing_that_models_wrote_drives_the_terminal_or_breaks_a_line(key: str, reason: str):
    flip = {"member": "a", "round": 1, "from_key": key, "to_key": None, "quote": reason}
    flip |= {"reason": reason, "why_not": "", "supported": True}
    decision = {"round0": key, "last_round": None, "decision": None, "flips": [flip]}
    ballots = [{"voter": "a", "ranking": [key], "reason": reason}]
    vote = vote_of(
        round=1,
        candidates=[{"id": key, "display": reason, "members": ["a"]}],
        tally={"order": [key], "winner": key, "scores": {key: 1.0}},
        ballots=ballots,
        decision=decision,
    )
    for line in lines_of(vote):
        assert len(line) <= WIDTH
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line)


def test_a_baseline_says_what_it_answers_and_what_it_took():
    assert baseline_of() == (
        "baseline · self_consistency on first (the only model of the run): answer 42 · "
        "same answer as the run\n"
        "  3 answers · 1,234 tokens (run: 1,301) · lift: unknown (needs an evaluation)"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"agrees": False}, "another answer than the run"),
        ({"agrees": None, "winner": "solver[2]"}, "answer I count them. ANSWER: 42"),
        ({"agrees": None}, "texts that cannot be compared by counting"),
        ({"stop_reason": "unassailable_lead"}, "stopped: unassailable_lead"),
        ({"output": "", "winner": None, "error": "It is gone."}, "failed: It is gone."),
    ],
)
def test_a_baseline_says_how_it_compares(fields: JsonObject, said: str):
    assert said in baseline_of(**fields)
