"""Which models may answer: constraints, where the text may go, what a fallback must do."""

from typing import Literal

import pytest

from agent_lab.contracts import Constraints, GenerationRequest
from agent_lab.errors import InvalidRequestError
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.selection import excluded_by, refuse, stays_here, unfit_instead

SCHEMA = {"type": "object"}


def entry(key: str = "other", **fields: object) -> ModelEntry:
    return ModelEntry.model_validate(
        {"key": key, "provider": "local", "context_window": 1000, **fields}
    )


def unfit(
    fallback: ModelEntry,
    asked: ModelEntry | None = None,
    *,
    is_local: bool = True,
    must_stay: bool = False,
    **request: object,
) -> str:
    return unfit_instead(
        fallback,
        asked or entry("asked"),
        GenerationRequest.parse({"prompt": "hi", **request}),
        is_local=is_local,
        must_stay=must_stay,
    )


@pytest.mark.parametrize(
    ("constraints", "reason"),
    [
        ({}, ""),
        ({"vram_gb": 8}, ""),
        ({"vram_gb": 7.9}, "it needs 8 GB, more than the 7.9 allowed"),
        ({"distinct_from": ["model"]}, "it may not be chosen (distinct_from)"),
        ({"distinct_from": ["mode", "models"]}, ""),
        ({"max_tokens": 1, "cost_budget_usd": 0, "latency_budget_s": 1}, ""),
    ],
)
def test_a_model_is_excluded_by_its_memory_and_by_its_name(
    constraints: dict[str, object], reason: str
):
    model = entry("model", min_vram_gb=8)
    assert excluded_by(Constraints.model_validate(constraints), model) == reason


def test_a_model_that_needs_no_memory_here_fits_in_any():
    assert excluded_by(Constraints(vram_gb=0.1), entry(provider="openai")) == ""


@pytest.mark.parametrize(
    ("policy", "asked_is_local", "default_is_local", "stays"),
    [
        ("local", True, True, True),
        ("local", False, True, True),
        ("local", True, False, True),
        ("local", False, False, True),
        ("any", True, True, False),
        ("any", False, False, False),
        (None, True, True, True),
        (None, False, True, False),
        (None, True, False, False),
        (None, False, False, False),
    ],
)
def test_text_stays_here_as_the_request_says_else_unless_something_remote_was_named(
    policy: Literal["local", "any"] | None,
    asked_is_local: bool,
    default_is_local: bool,
    stays: bool,
):
    request = GenerationRequest(prompt="hi", data_policy=policy)
    answer = stays_here(request, asked_is_local=asked_is_local, default_is_local=default_is_local)
    assert answer is stays


def test_a_model_does_not_stand_in_for_itself():
    assert unfit(entry("asked")) == "it is the one that was asked"


@pytest.mark.parametrize(
    ("is_local", "must_stay", "fits"),
    [(True, True, True), (True, False, True), (False, False, True), (False, True, False)],
)
def test_text_that_must_stay_goes_to_no_remote_fallback(
    is_local: bool, must_stay: bool, fits: bool
):
    reason = unfit(entry(), is_local=is_local, must_stay=must_stay)
    assert ("may not leave" not in reason) is fits
    assert (reason == "") is fits


@pytest.mark.parametrize(
    ("asked", "fallback", "schema", "fits"),
    [
        (("json_schema",), ("json_schema",), SCHEMA, True),
        (("json_schema",), ("chat",), SCHEMA, False),
        (("json_schema",), ("chat",), None, True),
        (("chat",), ("chat",), SCHEMA, True),
        (("chat",), ("json_schema",), SCHEMA, True),
    ],
)
def test_an_answer_that_is_held_to_a_schema_is_held_to_it_by_the_fallback_too(
    asked: tuple[str, ...], fallback: tuple[str, ...], schema: dict[str, str] | None, fits: bool
):
    reason = unfit(
        entry(capabilities=fallback), entry("asked", capabilities=asked), response_schema=schema
    )
    assert reason == ("" if fits else "it cannot be held to a schema")


def test_a_fallback_keeps_the_constraints():
    assert "8 GB" in unfit(entry(min_vram_gb=8), constraints={"vram_gb": 4})
    assert "distinct_from" in unfit(entry(), constraints={"distinct_from": ["other"]})
    assert unfit(entry(), constraints={"distinct_from": ["asked"]}) == ""


def test_a_model_is_refused_with_its_reason_only():
    refuse(entry(), "")
    with pytest.raises(InvalidRequestError, match=r"^`other` cannot answer: it is too large\.$"):
        refuse(entry(), "it is too large")
