import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.deliberation.flips import (
    ISSUE_DOES_NOT_COUNT,
    LONGEST_LINE,
    MOST_REASONS,
    NO_PLACE,
    NOT_CONFIRMED,
    NOT_IN_OLD_TEXT,
    SAYS_NOTHING,
    FlipPolicy,
    Statement,
    is_only_reasons,
    read_flip,
    without_reasons,
)
from agent_lab.deliberation.issues import LONGEST_PART, Issue, IssueStatus
from agent_lab.deliberation.trajectory import Flip

OLD_TEXT = """First 6*7 = 44.
Then I add 1, since the list starts at one.
ANSWER: 45"""
OLD = Statement(OLD_TEXT, "45")


def flip(text: str, *ledger: Issue, key: str = "43", policy: FlipPolicy = "reason") -> Flip:
    found = read_flip("a", OLD, Statement(text, key), round=1, ledger=ledger, policy=policy)
    assert found is not None
    return found


def issue(status: IssueStatus = "open", **fields: str) -> Issue:
    words = {"id": "C1", "claim": "6*7 is 42", "quote": "6*7 = 44", **fields}
    return Issue.model_validate({**words, "severity": "high", "status": status})


# What is a flip


@pytest.mark.parametrize(("old", "new"), [("45", "45"), (None, "43"), ("45", None), (None, None)])
def test_there_is_no_flip_without_two_different_readable_keys(old: str | None, new: str | None):
    text = 'CHANGED "6*7 = 44": 6*7 is 42'
    assert read_flip("a", Statement(OLD_TEXT, old), Statement(text, new), round=1) is None


def test_a_flip_says_who_went_where_when_and_why():
    assert flip('I see it.\nCHANGED "6*7 = 44": 6*7 is 42\nANSWER: 43') == Flip(
        member="a",
        round=1,
        from_key="45",
        to_key="43",
        quote="6*7 = 44",
        reason="6*7 is 42",
        supported=True,
    )


# Located reasons


@pytest.mark.parametrize(
    "line",
    [
        'CHANGED "6*7 = 44": that product is 42',
        'changed "6*7 = 44": 6*7 is 42',
        '**CHANGED** "6*7 = 44" – it is 42',
        '- **CHANGED:** "6*7 = 44": it is 42',
        "1. CHANGED `6*7 = 44` - it is 42",
        "CHANGED: '6*7 = 44' is not a multiple of seven",
        "CHANGED “6*7  =  44”: it is 42",
        "CHANGE «6*7 = 44»: it is 42",
        'I changed my answer because "6*7 = 44" is not a multiple of seven',
        'I have changed: "6*7 = 44" is odd by two',
        'CHANGED "6*7 = 44":\nthat product is 42',
        "CAMBIO «6*7 = 44»: el producto es 42",
        "**CAMBIO**: “first 6*7 … 44”: el producto es 42",
        'He cambiado "6*7 = 44": el producto es 42',
        'CHANGED "6*7 = 42" is true, so "6*7 = 44" miscounts',
        'CHANGED "since the list starts at one": it starts at zero',
    ],
)
def test_a_located_reason_counts_in_whatever_form(line: str):
    found = flip(f"Let me see.\n\n{line}\nANSWER: 43")
    assert (found.supported, found.why_not) == (True, "")
    assert found.quote
    assert found.reason


@pytest.mark.parametrize(
    ("text", "why_not"),
    [
        ("ANSWER: 43", NO_PLACE),
        ("CHANGED: I made a mistake in the product", NO_PLACE),
        ('The words "6*7 = 44" are wrong: it is 42', NO_PLACE),
        ('```\nCHANGED "6*7 = 44": it is 42\n```', NO_PLACE),
        ('CHANGED "6*7 = 45": it is 42', NOT_IN_OLD_TEXT),
        ('CHANGED "quoted words of the old text": what is wrong with them', NOT_IN_OLD_TEXT),
        ('CHANGED "": the product is 42', NOT_IN_OLD_TEXT),
        ('CHANGED "4": the product is 42', NOT_IN_OLD_TEXT),
        ('CHANGED "…": the product is 42', NOT_IN_OLD_TEXT),
        ('CHANGED "6*7 = 44"', SAYS_NOTHING),
        ('CHANGED "6*7 = 44": it is wrong', SAYS_NOTHING),
        ('CHANGED "ANSWER: 45": it should be 43, not 45', SAYS_NOTHING),
        ("CAMBIO «ANSWER: 45»: la respuesta correcta es 43", SAYS_NOTHING),
    ],
)
def test_what_names_no_place_or_no_fault_does_not_count(text: str, why_not: str):
    found = flip(text)
    assert (found.supported, found.why_not) == (False, why_not)


@pytest.mark.parametrize(
    "claim",
    [
        "the others say 43",
        "most peers got 43",
        "the majority is right",
        "everyone else answers 43, so I agree",
        "4 of 5 say 43",
        "3/4 agree on 43",
        "three of the other agents' answers differ",
        "it should be 43, as the consensus is more convincing",
        "all the other models computed 43",
        "la mayoría dice 43",
        "los demás coinciden en 43",
        "todos mis compañeros obtuvieron 43, así que cambio",
        "es 43 según el resto",
    ],
)
def test_that_others_agree_never_counts(claim: str):
    found = flip(f'CHANGED "6*7 = 44": {claim}\nANSWER: 43')
    assert (found.supported, found.why_not, found.reason) == (False, SAYS_NOTHING, claim)


@pytest.mark.parametrize(
    "claim",
    [
        "as the others say, 6*7 is 42",
        "a peer points out that the product is even less",
        "los demás tienen razón: el producto es menor",
    ],
)
def test_a_reason_that_was_learnt_from_others_counts(claim: str):
    assert flip(f'CHANGED "6*7 = 44": {claim}').supported


def test_a_quote_of_the_answer_alone_counts_if_the_claim_says_why():
    assert flip('CHANGED "ANSWER: 45": nothing is to be added to the product').supported
    assert not flip('CHANGED "ANSWER: 45": the answer is 43').supported


def test_the_first_reason_that_counts_is_taken_among_several():
    lines = ['CHANGED "nowhere": it is 42', 'CHANGED "add 1": nothing is to be added']
    assert flip("\n".join(lines)).quote == "add 1"
    assert flip(lines[0]).quote == "nowhere"


# Issues of the ledger


@pytest.mark.parametrize(
    "line", ["CHANGED C1", "CHANGED (C1): yes", "CAMBIO por C1", "CHANGED c01"]
)
@pytest.mark.parametrize("status", ["open", "fixed", "declined"])
def test_an_issue_about_its_earlier_text_counts(line: str, status: IssueStatus):
    found = flip(line, issue(id="C2", quote="add 1"), issue(status))
    assert (found.supported, found.why_not) == (True, "")
    assert (found.issue, found.quote, found.reason) == ("C1", "6*7 = 44", "6*7 is 42")


@pytest.mark.parametrize(
    ("entry", "why_not"),
    [
        (issue("dismissed"), ISSUE_DOES_NOT_COUNT),
        (issue("void"), ISSUE_DOES_NOT_COUNT),
        (issue(id="C2"), ISSUE_DOES_NOT_COUNT),
        (issue(quote=""), NOT_IN_OLD_TEXT),
        (issue(quote="words of another draft"), NOT_IN_OLD_TEXT),
        (issue(claim="everyone else says 43"), SAYS_NOTHING),
    ],
)
def test_an_issue_that_is_settled_elsewhere_or_about_others_does_not_count(
    entry: Issue, why_not: str
):
    found = flip("CHANGED C1: it is right", entry)
    assert (found.supported, found.issue, found.why_not) == (False, "C1", why_not)


def test_an_issue_that_does_not_count_leaves_room_for_a_quote():
    found = flip('CHANGED C1 "6*7 = 44": it is 42', issue("dismissed"))
    assert (found.supported, found.issue, found.quote) == (True, "", "6*7 = 44")


# Evidence


def test_under_evidence_only_what_a_tool_confirmed_counts():
    text = 'CHANGED "6*7 = 44": 6*7 is 42'
    assert flip(text, policy="evidence").why_not == NOT_CONFIRMED
    assert flip("CHANGED C1", issue(), policy="evidence").why_not == NOT_CONFIRMED


@pytest.mark.parametrize("policy", ["reason", "evidence"])
@pytest.mark.parametrize("text", ["ANSWER: 43", 'CHANGED "6*7 = 44": the others say 43'])
def test_evidence_counts_under_either_policy(policy: FlipPolicy, text: str):
    seen = {"tool": "calculator", "result": "42"}
    new = Statement(text, "43")
    found = read_flip("a", OLD, new, round=2, evidence=seen, policy=policy)
    assert found is not None
    assert (found.supported, found.why_not, found.evidence) == (True, "", seen)


# From hostile hands


@given(st.text(alphabet='CHANGEDC1 "«»“”`:\n.…*6=47'))
def test_whatever_a_model_writes_a_flip_counts_or_says_why_not(text: str):
    found = flip(text, issue())
    assert found.supported == (not found.why_not)


def test_only_so_many_reasons_are_read_and_kept_short():
    lines = ['CHANGED "nowhere": no'] * MOST_REASONS + ['CHANGED "add 1": nothing is added']
    assert not flip("\n".join(lines)).supported
    long = "word " * LONGEST_LINE
    assert len(flip(f'CHANGED "add 1": {long}').reason) <= LONGEST_PART


MEGABYTE = 1_000_000
UNMEASURABLE_S = 1.0


@pytest.mark.parametrize(
    "unit",
    ['"', "'", "«“", "*", "- ", "CHANGED ", 'CHANGED "', 'CHANGED "a" ', 'CHANGED "ab… "\n']
    + [
        "CHANGED\n",
        "CHANGED C1 ",
        "C1 ",
        "I ",
        "he ",
        "1. ",
        "\n",
        "```\n",
        "ﷺ",
        "\ud800",
        "…",
        "a ",
    ],
)
def test_a_hostile_megabyte_is_read_in_linear_time(unit: str):
    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        old, new = Statement(text, "45"), Statement(f'CHANGED "a{text}\n{text}', "43")
        start = time.process_time()
        read_flip("a", old, new, round=1, ledger=(issue(),))
        return time.process_time() - start

    assert cost(MEGABYTE) < 8 * cost(MEGABYTE // 4) + UNMEASURABLE_S


@pytest.mark.parametrize(
    "line",
    [
        'CHANGED "ANSWER: 45": the others answer otherwise',
        'CHANGED "6*7 = 44": the others convince me',
        'CAMBIO "6*7 = 44": los demás me convencen',
        'CAMBIO "6*7 = 44": los otros lo ven de otra manera',
        'CHANGED "quoted words": The word "ANSWER" is incorrect. It should be "43".',
    ],
)
def test_what_small_models_write_in_place_of_a_reason_moves_nobody(line: str):
    assert not flip(line).supported


def test_an_answer_is_shown_without_the_lines_that_gave_its_reasons():
    assert without_reasons('CHANGED "44": 6*7 is 42\n42 + 1 = 43\nANSWER: 43') == (
        "42 + 1 = 43\nANSWER: 43"
    )
    assert without_reasons('CHANGED "44": ANSWER: 43') == 'CHANGED "44": ANSWER: 43'
    assert is_only_reasons('CHANGED "44": ANSWER: 43')
    assert not is_only_reasons('CHANGED "44": 6*7 is 42\nANSWER: 43')
    assert not is_only_reasons("")
    assert without_reasons("No reason.\nANSWER: 43") == "No reason.\nANSWER: 43"
