"""A call is the request's wish within the bounds of model, host and strategy; the rest is said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import GenerationRequest, Message
from agent_lab.errors import InvalidRequestError
from agent_lab.providers.call_builder import (
    BuiltCall,
    build_call,
    estimated_tokens,
    refused_params,
    seconds_left,
)
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry
from agent_lab.providers.registries.strategy_registry import Limits, Sampling, Strategy

STRATEGY = Strategy(
    name="plain",
    sampling=Sampling(temperature=0.7, top_p=0.9, top_k=40),
    limits=Limits(max_tokens=500, timeout_s=60),
)
OWN = {"temperature": 0.7, "top_p": 0.9, "top_k": 40, "max_tokens": 500}
SCHEMA = {"type": "object"}


def built(
    request: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    host_refuses: tuple[str, ...] = (),
    configured: int | None = None,
    *,
    streamed: bool = True,
) -> BuiltCall:
    fields = {"key": "model", "provider": "host", "context_window": 100_000, **(model or {})}
    entry = ModelEntry.model_validate(fields)
    host = ProviderEntry(name="host", api="openai", unsupported_params=host_refuses)
    return build_call(
        GenerationRequest.parse({"prompt": "hi", **(request or {})}),
        entry,
        refused_params(entry, host),
        STRATEGY,
        configured,
        streamed=streamed,
    )


def sent(call: BuiltCall) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in call.call.messages]


def test_without_a_wish_the_strategy_decides():
    call = built()
    assert call.call.params == OWN
    assert (call.dropped, call.max_tokens) == ((), 500)


def test_the_requests_wishes_go_before_the_strategys():
    wishes = {"temperature": 0.0, "top_p": 0.5, "top_k": 0, "max_tokens": 7, "seed": 0}
    assert built(wishes).call.params == wishes


def test_stop_texts_are_sent_as_a_list_and_only_where_there_are_any():
    assert built({"stop": ["END", "\n"]}).call.params["stop"] == ["END", "\n"]
    assert "stop" not in built({"stop": []}).call.params


@pytest.mark.parametrize(
    ("model", "host", "dropped"),
    [
        ((), (), ()),
        (("temperature",), (), ("temperature",)),
        ((), ("top_k",), ("top_k",)),
        (("temperature", "top_p"), ("top_k",), ("temperature", "top_k", "top_p")),
        (("top_k",), ("top_k",), ("top_k",)),
        (("seed", "stop"), ("logit_bias",), ()),
    ],
)
def test_what_the_model_or_its_host_does_not_take_is_dropped_and_listed(
    model: tuple[str, ...], host: tuple[str, ...], dropped: tuple[str, ...]
):
    call = built(model={"unsupported_params": model}, host_refuses=host)
    assert call.dropped == dropped
    assert set(call.call.params) == set(OWN) - set(dropped)


def test_what_was_asked_for_is_dropped_too():
    request = {"seed": 3, "stop": ["END"], "temperature": 0.1}
    call = built(request, {"unsupported_params": ["seed", "stop", "temperature"]})
    assert call.dropped == ("seed", "stop", "temperature")


def test_a_bound_that_is_not_sent_is_still_reckoned_with():
    call = built(host_refuses=("max_tokens",))
    assert ("max_tokens" in call.call.params, call.max_tokens) == (False, 500)


@pytest.mark.parametrize("capabilities", [("chat",), ("chat", "json_schema")])
def test_a_schema_is_sent_only_to_a_model_that_can_be_held_to_it(capabilities: tuple[str, ...]):
    call = built({"response_schema": SCHEMA}, {"capabilities": capabilities})
    can = "json_schema" in capabilities
    assert call.call.params.get("response_schema") == (SCHEMA if can else None)
    assert call.dropped == (() if can else ("response_schema",))


def test_a_missing_capability_that_nobody_asks_for_is_not_listed():
    assert built(model={"capabilities": ["chat"]}).dropped == ()


def test_tools_are_listed_as_dropped_after_the_parameters():
    call = built({"context": {"tools": [{"name": "t"}]}}, {"unsupported_params": ["top_p"]})
    assert call.dropped == ("top_p", "tools")


@pytest.mark.parametrize(
    ("wish", "configured", "longest"),
    [(7, 99, 7), (None, 99, 99), (None, None, 500), (7, None, 7)],
)
def test_the_longest_answer_is_the_requests_else_the_configured_else_the_strategys(
    wish: int | None, configured: int | None, longest: int
):
    call = built({"max_tokens": wish}, configured=configured)
    assert call.max_tokens == call.call.params["max_tokens"] == longest


@pytest.mark.parametrize(
    ("wish", "allowance", "most", "constraint", "longest"),
    [
        (100, 0, None, None, 100),
        (100, 50, None, None, 150),
        (100, 50, 120, None, 120),
        (100, 0, 100, None, 100),
        (100, 0, 99, None, 99),
        (100, 50, None, 60, 60),
        (100, 50, None, 140, 140),
        (100, 50, 120, 60, 60),
        (100, 50, 60, 120, 60),
        (100, 0, None, 1000, 100),
        (None, 50, None, None, 550),
    ],
)
def test_thinking_is_allowed_for_but_never_beyond_the_models_or_the_constraints_bound(
    wish: int | None, allowance: int, most: int | None, constraint: int | None, longest: int
):
    call = built(
        {"max_tokens": wish, "constraints": {"max_tokens": constraint}},
        {"reasoning_allowance": allowance, "max_output_tokens": most},
    )
    assert call.max_tokens == call.call.params["max_tokens"] == longest


def test_messages_are_sent_as_they_are():
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": " "}]
    assert sent(built({"prompt": "", "messages": messages})) == [
        ("system", "be brief"),
        ("user", " "),
    ]


def test_system_history_and_prompt_become_messages_in_this_order():
    context = {"system": "be brief", "history": [{"role": "assistant", "content": "before"}]}
    assert sent(built({"context": context})) == [
        ("system", "be brief"),
        ("assistant", "before"),
        ("user", "hi"),
    ]
    assert sent(built({"context": {"system": ""}})) == [("user", "hi")]


@pytest.mark.parametrize("prompt", ["", " ", "\n\t"])
def test_an_empty_prompt_is_refused(prompt: str):
    with pytest.raises(InvalidRequestError, match="`prompt` is empty"):
        built({"prompt": prompt, "context": {"system": "be brief"}})


@pytest.mark.parametrize("streamed", [True, False])
def test_the_provider_is_told_who_asks_and_whether_somebody_reads_along(streamed: bool):
    call = built({"role": "critic"}, streamed=streamed).call
    assert (call.model.key, call.role, call.streamed) == ("model", "critic", streamed)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a" * 35, 10),
        ("é" * 35, 20),
        ("猫" * 35, 30),
        ("🐈" * 35, 40),
        ("a" * 7000, 2000),
    ],
)
def test_tokens_are_estimated_by_bytes_so_that_other_scripts_take_more(text: str, tokens: int):
    assert estimated_tokens([Message(role="user", content=text)]) == tokens


@given(texts=st.lists(st.text(), max_size=5))
def test_the_estimate_is_of_all_messages_together(texts: list[str]):
    messages = [Message(role="user", content=text) for text in texts]
    whole = [Message(role="user", content="".join(texts))]
    assert estimated_tokens(messages) == estimated_tokens(whole)


def test_the_estimate_of_a_call_counts_everything_that_is_sent():
    context = {"system": "s" * 35, "history": [{"role": "user", "content": "h" * 35}]}
    assert built({"prompt": "p" * 35, "context": context}).prompt_tokens == 30


@pytest.mark.parametrize(
    ("latency", "deadline", "seconds"),
    [
        (None, None, 60.0),
        (5.0, None, 5.0),
        (90.0, None, 60.0),
        (None, 1010.0, 10.0),
        (None, 1090.0, 60.0),
        (5.0, 1010.0, 5.0),
        (20.0, 1010.0, 10.0),
        (None, 1000.0, 0.0),
        (None, 900.0, 0.0),
    ],
)
def test_a_call_may_take_the_least_of_strategy_latency_and_deadline_but_never_less_than_none(
    latency: float | None, deadline: float | None, seconds: float
):
    request = GenerationRequest.parse(
        {"prompt": "hi", "deadline": deadline, "constraints": {"latency_budget_s": latency}}
    )
    assert seconds_left(request, STRATEGY, now=1000.0) == seconds
