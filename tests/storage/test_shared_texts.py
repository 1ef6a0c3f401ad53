"""Texts that are kept once come back exactly as they were, and take less room."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_lab.storage.shared_texts import WORTH_SHARING, Parts, join_text, split_text

LONG = st.text(min_size=WORTH_SHARING, max_size=90)
KNOWN = st.dictionaries(
    st.text(max_size=6), st.one_of(st.text(max_size=60), LONG, st.just("ab" * 40)), max_size=6
)


@st.composite
def prompts(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A text that may hold known texts, whole or cut, one after another or one inside another."""
    known = draw(KNOWN)
    pieces = [st.text(max_size=30)]
    if known:
        whole = st.sampled_from(sorted(known.values()))
        pieces += [whole, st.builds(lambda text, end: text[:end], whole, st.integers(0, 90))]
    text = "".join(draw(st.lists(st.one_of(pieces), max_size=8)))
    if draw(st.booleans()):
        known["whole"] = text
    return text, known


def named(parts: Parts) -> list[str]:
    return [part["of"] for part in parts if not isinstance(part, str)]


@settings(deadline=None)
@given(prompts())
def test_what_is_joined_is_what_was_split(prompt: tuple[str, dict[str, str]]):
    text, known = prompt
    parts = split_text(text, known)
    assert join_text(parts, known) == text
    assert join_text(orjson.loads(orjson.dumps(parts)), known) == text


@settings(deadline=None)
@given(prompts(), KNOWN)
def test_only_the_texts_that_are_named_are_needed_to_join(
    prompt: tuple[str, dict[str, str]], later: dict[str, str]
):
    text, known = prompt
    parts = split_text(text, known)
    needed = {name: known[name] for name in named(parts)}
    assert join_text(parts, {**later, **needed}) == text


@settings(deadline=None)
@given(prompts())
def test_no_text_that_is_worth_it_is_kept_twice(prompt: tuple[str, dict[str, str]]):
    text, known = prompt
    left = [part for part in split_text(text, known) if isinstance(part, str)]
    worth = [shared for shared in known.values() if len(shared) >= WORTH_SHARING]
    assert not any(shared in part for shared in worth for part in left)
    assert "" not in left or not text


@settings(deadline=None)
@given(st.lists(LONG, min_size=1, max_size=5), st.text(max_size=40))
def test_a_prompt_of_known_texts_takes_fewer_bytes(texts: list[str], between: str):
    known = {f"creator:{number}:0": text for number, text in enumerate(texts)}
    prompt = between.join(texts)
    kept = orjson.dumps(split_text(prompt, known))
    plain = orjson.dumps([prompt])
    assert named(split_text(prompt, known))
    assert len(kept) < len(plain)


def test_a_debate_keeps_each_answer_once():
    answers = {
        f"creator:{n}:0": f"The answer of round {n}: " + "words and more " * 60 for n in "012"
    }
    prompt = "The task.\n" + "\n\n".join(answers.values()) + "\nNow write the final answer."
    parts = split_text(prompt, answers)

    assert named(parts) == list(answers)
    assert len(orjson.dumps(parts)) < 200 < len(prompt)


def test_of_two_texts_one_of_which_holds_the_other_the_longer_one_is_named():
    inner = "This sentence is long enough to be worth a reference."
    outer = f"Before. {inner} After."
    parts = split_text(f"{outer} And again: {inner}", {"inner": inner, "outer": outer})
    assert parts == [{"of": "outer"}, " And again: ", {"of": "inner"}]


@pytest.mark.parametrize("text", ["", "short", "x" * (WORTH_SHARING - 1)])
def test_short_texts_stand_for_themselves(text: str):
    parts = split_text(text, {"same": text})
    assert named(parts) == []
    assert join_text(parts, {}) == text
