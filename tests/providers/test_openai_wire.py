"""An answer in the form of chat completions is the same, whole or in chunks."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.providers.base import Delta, TokenCounts
from agent_lab.providers.openai_wire import ChatAnswer

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 25},
}


def chunk(**delta: Any) -> dict[str, Any]:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}


def whole(finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}}
    return {"choices": [{**choice, "finish_reason": finish_reason}], "usage": USAGE}


def streamed(*chunks: dict[str, Any]) -> tuple[ChatAnswer, list[Delta]]:
    shown: list[Delta] = []
    answer = ChatAnswer(shown.append)
    for one in chunks:
        answer.take_chunk(one)
    answer.end()
    return answer, shown


def at_once(body: dict[str, Any]) -> tuple[ChatAnswer, list[Delta]]:
    shown: list[Delta] = []
    answer = ChatAnswer(shown.append)
    answer.take_whole(body)
    answer.end()
    return answer, shown


def test_a_stream_becomes_one_answer():
    answer, shown = streamed(
        chunk(role="assistant", content="", refusal=None),
        chunk(content="the "),
        chunk(content="draft"),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None},
        {"choices": [], "usage": USAGE},
    )
    assert (answer.text, answer.reasoning, answer.refusal) == ("the draft", "", "")
    assert answer.finish_reason == "stop"
    assert answer.tokens == TokenCounts(100, 60, 20, 30, 25)
    assert shown == [Delta("the "), Delta("draft")]


def test_an_answer_that_comes_at_once_is_the_same():
    answer, shown = at_once(whole(content="the draft", reasoning_content="hm"))
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("the draft", "hm", "stop")
    assert answer.tokens == TokenCounts(100, 60, 20, 30, 25)
    assert shown == [Delta("hm", reasoning=True), Delta("the draft")]


@pytest.mark.parametrize(
    ("delta", "came"),
    [
        ({"content": "a"}, True),
        ({"reasoning": "a"}, True),
        ({"reasoning_content": "a"}, True),
        ({"refusal": "No."}, True),
        ({"content": "<thin"}, True),
        ({"content": ""}, False),
        ({"content": None}, False),
        ({"role": "assistant"}, False),
        ({"tool_calls": None}, False),
        ({}, False),
    ],
)
def test_a_chunk_says_whether_a_piece_of_the_answer_came(delta: dict[str, Any], came: bool):
    assert ChatAnswer(lambda _: None).take_chunk(chunk(**delta)) is came


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": [{"index": 0}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [], "usage": USAGE},
    ],
)
def test_a_chunk_without_a_choice_is_no_piece(body: dict[str, Any]):
    assert not ChatAnswer(lambda _: None).take_chunk(body)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 3}, TokenCounts(prompt=9, completion=3)),
        ({"prompt_tokens": 9}, TokenCounts(prompt=9)),
        ({"prompt_tokens": 9, "completion_tokens": None}, TokenCounts(prompt=9)),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": None, "completion_tokens_details": None},
            TokenCounts(prompt=9),
        ),
        (
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": None}},
            TokenCounts(prompt=9),
        ),
        (
            {"completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 2}},
            TokenCounts(completion=3, reasoning=2),
        ),
        (None, None),
        ({}, None),
    ],
)
def test_what_the_host_counted_is_kept_and_what_it_did_not_is_unknown(
    usage: dict[str, Any] | None, tokens: TokenCounts | None
):
    for answer, _ in (
        streamed({"choices": [], "usage": usage}),
        at_once({**whole(content="a"), "usage": usage}),
    ):
        assert answer.tokens == tokens


def test_the_last_usage_counts_and_a_later_null_does_not_undo_it():
    running = {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 1}}
    answer, _ = streamed(running, {"choices": [], "usage": USAGE}, {**chunk(), "usage": None})
    assert answer.tokens == TokenCounts(100, 60, 20, 30, 25)


def test_a_finish_reason_is_not_undone_by_a_later_null():
    answer, _ = streamed(
        {"choices": [{"delta": {"content": "a"}, "finish_reason": "length"}]},
        {"choices": [{"delta": {}, "finish_reason": None}]},
    )
    assert answer.finish_reason == "length"


@pytest.mark.parametrize(("chunks", "body"), [([chunk(content="a")], whole(None, content="a"))])
def test_without_a_finish_reason_there_is_none(chunks: list[dict[str, Any]], body: dict[str, Any]):
    assert streamed(*chunks)[0].finish_reason == at_once(body)[0].finish_reason == ""


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"reasoning_content": "hm", "reasoning": "hm"},
        {"reasoning_content": "", "reasoning": "hm"},
        {"reasoning_content": None, "reasoning": "hm"},
    ],
)
def test_a_thought_under_both_names_is_thought_once(message: dict[str, Any]):
    for answer, shown in (
        streamed(chunk(**message), chunk(content="a")),
        at_once(whole(content="a", **message)),
    ):
        assert (answer.reasoning, answer.text) == ("hm", "a")
        assert shown == [Delta("hm", reasoning=True), Delta("a")]


def test_a_think_block_in_the_text_is_reasoning():
    for answer, _ in (
        streamed(chunk(content="<thi"), chunk(content="nk>hm</think>\n\na")),
        at_once(whole(content="<think>hm</think>\n\na")),
    ):
        assert (answer.reasoning, answer.text) == ("hm", "a")


def test_what_is_held_back_is_shown_at_the_end():
    answer, shown = streamed(chunk(content="<thin"))
    assert answer.text == "<thin"
    assert shown == [Delta("<thin")]


def test_a_refusal_is_no_text():
    for answer, shown in (
        streamed(chunk(refusal="I cannot "), chunk(refusal="help.")),
        at_once(whole(content=None, refusal="I cannot help.")),
    ):
        assert (answer.refusal, answer.text, shown) == ("I cannot help.", "", [])


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{"finish_reason": "stop"}]}])
def test_a_whole_answer_without_a_message_is_none(body: dict[str, Any]):
    with pytest.raises((KeyError, IndexError)):
        ChatAnswer(lambda _: None).take_whole(body)


PIECES = st.text(st.sampled_from("ab <>/think\n"), max_size=12)


@given(thought=PIECES, said=PIECES, cuts=st.lists(st.integers(0, 100), max_size=5))
def test_what_is_shown_joins_to_text_and_reasoning_as_if_it_came_at_once(
    thought: str, said: str, cuts: list[int]
):
    def pieces(text: str) -> list[str]:
        places = sorted([0, *(place % (len(text) + 1) for place in cuts), len(text)])
        return [text[start:stop] for start, stop in pairwise(places)]

    answer, shown = streamed(
        *(chunk(reasoning=piece) for piece in pieces(thought)),
        *(chunk(content=piece) for piece in pieces(said)),
    )
    assert "".join(d.text for d in shown if d.reasoning) == answer.reasoning
    assert "".join(d.text for d in shown if not d.reasoning) == answer.text
    same, _ = at_once(whole(content=said, reasoning=thought))
    assert (answer.text, answer.reasoning) == (same.text, same.reasoning)
