"""A host's error is what its code says, else what its words say, else what its status says."""

import re
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from agent_lab.errors import (
    ContentFilteredError,
    ContextLengthError,
    ModelNotServedError,
    ProviderAuthError,
    ProviderError,
    ProviderOverloadedError,
    ProviderRateLimitError,
    ProviderRequestError,
    ProviderSpendCapError,
    ProviderUnavailableError,
)
from agent_lab.observability.redaction import MASK, Redactor
from agent_lab.providers.remote.wire_errors import LONGEST_REASON, Asked, Refusal, classify

ASKED = Asked("host", "small", "HOST_API_KEY")
SECRET = "abc-of-the-tests-1234"
BAD_REQUEST = "invalid_request_error"


def error_of(
    status: int | None, body: Any, headers: Mapping[str, str] | None = None
) -> ProviderError:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return classify(Refusal(status, headers or {}, raw), ASKED, Redactor([SECRET]))


def openai(message: str = "", kind: str = BAD_REQUEST, code: object = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str = "", code: str | None = None) -> dict[str, Any]:
    details = {"details": {"error_code": code}} if code else {}
    return {"type": "error", "error": {"type": kind, "message": message, **details}}


@pytest.mark.parametrize(
    ("status", "body", "cls"),
    [
        (401, openai("Incorrect API key", code="invalid_api_key"), ProviderAuthError),
        (429, openai("Slow", "requests", "rate_limit_exceeded"), ProviderRateLimitError),
        (429, openai("Slow", "tokens", "rate_limit_exceeded"), ProviderRateLimitError),
        (429, openai("Quota", "insufficient_quota", "insufficient_quota"), ProviderSpendCapError),
        (429, openai("Off", code="billing_not_active"), ProviderSpendCapError),
        (400, openai("Long", code="context_length_exceeded"), ContextLengthError),
        (400, openai("Bad", code="content_filter"), ContentFilteredError),
        (400, openai("Bad", code="unsupported_value"), ProviderRequestError),
        (403, openai("No", code="model_not_found"), ModelNotServedError),
        (503, openai("Busy", "server_error", "server_overloaded"), ProviderOverloadedError),
        (503, openai("Busy", "server_error", "slow_down"), ProviderOverloadedError),
        (500, openai("Broken", "server_error"), ProviderUnavailableError),
        (401, anthropic("authentication_error"), ProviderAuthError),
        (403, anthropic("permission_error"), ProviderAuthError),
        (402, anthropic("billing_error"), ProviderSpendCapError),
        (404, anthropic("not_found_error"), ModelNotServedError),
        (413, anthropic("request_too_large"), ProviderRequestError),
        (429, anthropic("rate_limit_error"), ProviderRateLimitError),
        (500, anthropic("api_error"), ProviderUnavailableError),
        (504, anthropic("timeout_error"), ProviderUnavailableError),
        (529, anthropic("overloaded_error"), ProviderOverloadedError),
        (400, openai("Long", "exceed_context_size_error", 400), ContextLengthError),
        (429, openai("X", code="INSUFFICIENT_QUOTA"), ProviderSpendCapError),
    ],
)
def test_a_code_says_what_is_wrong(status: int, body: Any, cls: type[ProviderError]):
    assert type(error_of(status, body)) is cls


@pytest.mark.parametrize("status", [400, 402, 403, 429, 500])
@pytest.mark.parametrize(
    "body",
    [
        openai("Rate limit", "rate_limit_error", "insufficient_quota"),
        openai("Rate limit", "insufficient_quota", "credit_balance_exhausted"),
        anthropic("rate_limit_error", "Rate limit", "enforced_spend_limit_reached"),
    ],
)
def test_an_empty_account_is_one_whatever_the_status_and_the_wait_that_is_named(
    status: int, body: Any
):
    error = error_of(status, body, {"retry-after": "5"})
    assert type(error) is ProviderSpendCapError
    assert error.retry_after == 5.0


def test_the_most_precise_code_goes_before_the_others():
    error = error_of(429, anthropic("rate_limit_error", "", "enforced_spend_limit_reached"))
    assert error.details["codes"] == ["enforced_spend_limit_reached", "rate_limit_error"]


@pytest.mark.parametrize(
    ("status", "message", "cls"),
    [
        (400, "prompt is too long: 210000 tokens > 200000 maximum", ContextLengthError),
        (400, "input length and `max_tokens` exceed context limit: 9 + 9 > 8", ContextLengthError),
        (400, "This model's maximum context length is 4096 tokens.", ContextLengthError),
        (400, "the request exceeds the available context size", ContextLengthError),
        (400, "The input token count (12) exceeds the maximum number", ContextLengthError),
        (413, "Too many input tokens", ContextLengthError),
        (400, "Your credit balance is too low to access the API.", ProviderSpendCapError),
        (400, "You have reached your specified API usage limits.", ProviderSpendCapError),
        (400, "Output blocked by content filtering policy", ContentFilteredError),
        (400, "your prompt was flagged as potentially violating our", ContentFilteredError),
        (400, "Incorrect API key provided: no***ne.", ProviderAuthError),
        (400, "API key not valid. Please pass a valid API key.", ProviderAuthError),
        (404, "The model `small` does not exist.", ModelNotServedError),
        (400, 'model "small" not found, try pulling it first', ModelNotServedError),
        (400, "Model Not Exist", ModelNotServedError),
        (400, "temperature: Extra inputs are not permitted", ProviderRequestError),
        (400, "messages: too short", ProviderRequestError),
        (None, "prompt is too long", ContextLengthError),
        (None, "Something broke", ProviderUnavailableError),
        (429, "Too many tokens per minute; context length 4096", ProviderRateLimitError),
        (500, "model runner: not found", ProviderUnavailableError),
    ],
)
def test_words_decide_where_a_refused_request_has_no_code(
    status: int | None, message: str, cls: type[ProviderError]
):
    assert type(error_of(status, openai(message))) is cls


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (301, ProviderUnavailableError),
        (400, ProviderRequestError),
        (401, ProviderAuthError),
        (402, ProviderSpendCapError),
        (403, ProviderAuthError),
        (404, ModelNotServedError),
        (405, ProviderRequestError),
        (408, ProviderUnavailableError),
        (409, ProviderOverloadedError),
        (413, ProviderRequestError),
        (415, ProviderRequestError),
        (422, ProviderRequestError),
        (425, ProviderOverloadedError),
        (429, ProviderRateLimitError),
        (500, ProviderUnavailableError),
        (502, ProviderUnavailableError),
        (503, ProviderUnavailableError),
        (504, ProviderUnavailableError),
        (520, ProviderUnavailableError),
        (529, ProviderOverloadedError),
    ],
)
def test_a_status_decides_where_nothing_else_does(status: int, cls: type[ProviderError]):
    for body in (b"", b"<html>", b"null", b"{}", b"\xff", openai("", "api_error")):
        error = error_of(status, body)
        assert type(error) is cls
        assert error.status_code == status


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (openai("Broken"), "Broken"),
        (anthropic("api_error", "Broken"), "Broken"),
        ({"error": "Broken"}, "Broken"),
        ({"code": "Client specified an invalid argument", "error": "Broken"}, "Broken"),
        ({"detail": "Broken"}, "Broken"),
        ({"detail": [{"loc": ["body"], "msg": "Broken"}]}, '{"detail":[{"loc":["body"],"msg"'),
        ({"object": "error", "message": "Broken", "code": 500}, "Broken"),
        ({"error": None, "message": "Broken"}, "Broken"),
        ({"error": {"message": ["Broken"]}}, '{"error":{"message":["Broken"]}}'),
        ([{"error": {"code": 500, "message": "Broken", "status": "INTERNAL"}}], "Broken"),
        ([1, 2], "[1,2]"),
        (b"Broken\n", "Broken"),
        (b"Broken.", "Broken"),
        (b"\xffBroken", "\N{REPLACEMENT CHARACTER}Broken"),
        (b"", "no reason given"),
        (b" \n", "no reason given"),
        ({}, "no reason given"),
        ({"error": {}}, "no reason given"),
        (openai(""), "no reason given"),
    ],
)
def test_every_hosts_form_of_an_error_has_its_words_repeated(body: Any, words: str):
    assert f"`host` refused the call of `small` (500: {words}" in error_of(500, body).message


@pytest.mark.parametrize(
    ("error", "cls", "status"),
    [
        ({"message": "Slow", "code": 429}, ProviderRateLimitError, 429),
        ({"message": "Bad", "type": "BadRequestError", "code": 400}, ProviderRequestError, 400),
        ({"message": "Broken", "type": "server_error", "code": 503}, ProviderUnavailableError, 503),
        ({"message": "Busy", "type": "overloaded_error"}, ProviderOverloadedError, None),
        ({"message": "Odd", "code": 1302}, ProviderUnavailableError, None),
        ({"message": "Odd", "code": True}, ProviderUnavailableError, None),
        ("Broken", ProviderUnavailableError, None),
    ],
)
def test_inside_a_stream_a_number_may_stand_for_the_status(
    error: object, cls: type[ProviderError], status: int | None
):
    said = error_of(None, {"error": error})
    assert type(said) is cls
    assert said.status_code == status
    assert (f"({status}: " in said.message) is (status is not None)


def test_an_answers_own_status_goes_before_a_number_in_its_body():
    error = error_of(401, openai("No", code=500))
    assert (type(error), error.status_code) == (ProviderAuthError, 401)


def test_long_reasons_are_cut():
    error = error_of(500, openai("x" * 10_000))
    assert "x" * LONGEST_REASON + ")." in error.message
    assert "x" * (LONGEST_REASON + 1) not in error.message


def test_a_body_that_is_nested_deeply_is_no_trouble():
    assert isinstance(error_of(400, b"[" * 1023 + b"]" * 1023), ProviderRequestError)
    nested = b'{"error":{"message":' + b"[" * 1000 + b"]" * 1000 + b"}}"
    assert isinstance(error_of(400, nested), ProviderRequestError)


@pytest.mark.parametrize(
    "body",
    [
        openai(f"No key {SECRET} here"),
        openai("No", SECRET, f"bad_{SECRET}"),
        openai("x" * (LONGEST_REASON - 5) + SECRET),
        {"error": {"message": [SECRET]}},
        {"error": SECRET},
        SECRET.encode(),
    ],
)
def test_our_key_is_taken_out_of_codes_and_words(body: Any):
    error = error_of(500, body)
    shown = repr((error.message, error.hint, error.details))
    assert SECRET[:6] not in shown
    assert MASK[:5] in shown


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "Set HOST_API_KEY in the environment"),
        (402, "Add credit"),
        (404, "agent-lab models show small"),
        (400, ""),
        (500, ""),
    ],
)
def test_the_hint_is_the_way_out_and_names_the_variable_of_the_key(status: int, hint: str):
    found = error_of(status, b"").hint
    assert found.startswith(hint)
    assert bool(found) is bool(hint)


def test_without_a_variable_the_hint_still_says_that_a_key_is_needed():
    asked = Asked("host", "small", "")
    assert "Set its key in" in classify(Refusal(401, {}, b""), asked, str).hint


@pytest.mark.parametrize(
    ("value", "advice"),
    [("true", True), ("false", False), ("FALSE", False), ("no", None), ("", None), (None, None)],
)
def test_the_hosts_own_advice_on_asking_again_is_kept(value: str | None, advice: bool | None):
    headers = CIMultiDict({} if value is None else {"X-Should-Retry": value})
    assert error_of(500, b"", headers).retry_advised is advice


def test_the_error_says_who_was_asked_and_how_long_to_wait():
    error = error_of(429, openai("Slow"), {"retry-after-ms": "250"})
    assert (error.provider, error.model, error.retry_after) == ("host", "small", 0.25)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "code", "type", "details", "error_code", "detail"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(
    status=st.none() | st.integers(300, 599),
    body=st.binary(max_size=40) | JSON.map(orjson.dumps),
)
def test_whatever_a_host_says_is_one_of_our_errors(status: int | None, body: bytes):
    error = error_of(status, body)
    assert re.match(r"`host` refused the call of `small` \(", error.message)
    assert status is None or error.status_code == status
