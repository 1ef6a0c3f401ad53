"""What a model thinks is told from what it says, however the text is cut."""

from itertools import groupby, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.providers.base import Delta
from agent_lab.providers.thinking import CLOSE, OPEN, ThinkSplitter


class Split(NamedTuple):
    """A whole text, told apart."""

    reasoning: str
    text: str


def deltas_of(pieces: list[str]) -> list[Delta]:
    splitter = ThinkSplitter()
    fed = [delta for piece in pieces for delta in splitter.feed(piece)]
    return [*fed, *splitter.end()]


def split(pieces: list[str]) -> Split:
    deltas = deltas_of(pieces)
    return Split(
        "".join(delta.text for delta in deltas if delta.reasoning),
        "".join(delta.text for delta in deltas if not delta.reasoning),
    )


def cut(text: str, cuts: list[int]) -> list[str]:
    places = sorted([0, *(place % (len(text) + 1) for place in cuts), len(text)])
    return [text[start:stop] for start, stop in pairwise(places)]


@pytest.mark.parametrize(
    ("whole", "told"),
    [
        ("", Split("", "")),
        ("Yes.", Split("", "Yes.")),
        ("<think>Is it?</think>Yes.", Split("Is it?", "Yes.")),
        ("<think>\nIs it?\n</think>\n\nYes.\n", Split("\nIs it?\n", "Yes.\n")),
        ("\n <think>Is it?</think> \n Yes.", Split("Is it?", "Yes.")),
        ("<think></think>Yes.", Split("", "Yes.")),
        ("<think>Is it?</think>", Split("Is it?", "")),
        ("<think>Is it?</think> \n", Split("Is it?", "")),
        ("<think>Is it?", Split("Is it?", "")),
        ("<think>Is it?</thin", Split("Is it?</thin", "")),
        ("<think>1 < 2 </ 3</think>Yes.", Split("1 < 2 </ 3", "Yes.")),
        ("<think>a<think>b</think>c</think>", Split("a<think>b", "c</think>")),
        ("<think>", Split("", "")),
        ("<thin", Split("", "<thin")),
        ("<thinking>Yes.", Split("", "<thinking>Yes.")),
        ("<", Split("", "<")),
        ("  ", Split("", "  ")),
        ("  Yes.", Split("", "  Yes.")),
        ("  <thin", Split("", "  <thin")),
        ("The tag <think>x</think> is one.", Split("", "The tag <think>x</think> is one.")),
        ("</think>Yes.", Split("", "</think>Yes.")),
        ("<think>a</think>b<think>c</think>", Split("a", "b<think>c</think>")),
        ("<THINK>a</THINK>b", Split("", "<THINK>a</THINK>b")),
    ],
)
def test_only_a_block_at_the_beginning_is_reasoning(whole: str, told: Split):
    assert split([whole]) == told
    assert split(list(whole)) == told


FRAGMENTS = [OPEN, CLOSE, "<", "</", "think", ">", "<think", "</think", " ", "\n", "a", "¿é?"]
TEXTS = st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join)


@given(whole=TEXTS, cuts=st.lists(st.integers(0, 100), max_size=8))
def test_any_cutting_gives_the_same_reasoning_and_text(whole: str, cuts: list[int]):
    assert split(cut(whole, cuts)) == split([whole])


@given(
    thought=TEXTS.filter(lambda text: CLOSE not in text),
    said=TEXTS,
    cuts=st.lists(st.integers(0, 100), max_size=8),
)
def test_what_was_thought_and_said_is_found_again(thought: str, said: str, cuts: list[int]):
    assert split(cut(f" {OPEN}{thought}{CLOSE}\n\n{said}", cuts)) == Split(thought, said.lstrip())


@given(whole=TEXTS, cuts=st.lists(st.integers(0, 100), max_size=8))
def test_no_delta_is_empty_and_reasoning_comes_first(whole: str, cuts: list[int]):
    deltas = deltas_of([piece for piece in cut(whole, cuts) if piece])
    assert all(delta.text for delta in deltas)
    assert [kind for kind, _ in groupby(d.reasoning for d in deltas)] in (
        [],
        [True],
        [False],
        [True, False],
    )


def test_text_is_shown_as_soon_as_it_is_clear_what_it_is():
    splitter = ThinkSplitter()
    shown = [
        list(splitter.feed(p)) for p in ("<th", "ink>Is ", "it?</", "think>", " \n", "Yes", ".")
    ]
    assert shown == [
        [],
        [Delta("Is ", reasoning=True)],
        [Delta("it?", reasoning=True)],
        [],
        [],
        [Delta("Yes")],
        [Delta(".")],
    ]
    assert list(splitter.end()) == []


@pytest.mark.parametrize("piece", ["Yes", " Yes", "<b>", "<thinking>", "</think>"])
def test_what_cannot_become_a_think_block_is_shown_at_once(piece: str):
    assert list(ThinkSplitter().feed(piece)) == [Delta(piece)]


def test_the_end_can_be_asked_for_twice():
    splitter = ThinkSplitter()
    assert list(splitter.feed("<thin")) == []
    assert list(splitter.end()) == [Delta("<thin")]
    assert list(splitter.end()) == []
