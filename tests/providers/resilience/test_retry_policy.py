"""What follows from an error is one row of data, and nobody waits longer than is of use."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab import errors
from agent_lab.errors import (
    AgentLabError,
    AllProvidersFailedError,
    BudgetExceededError,
    CircuitOpenError,
    ContentFilteredError,
    ContextLengthError,
    InvalidFlowError,
    InvalidRequestError,
    MissingKeyError,
    ModelNotServedError,
    OverloadedError,
    ProviderAuthError,
    ProviderError,
    ProviderOverloadedError,
    ProviderRateLimitError,
    ProviderRequestError,
    ProviderSpendCapError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RequestOverLimitError,
    ShuttingDownError,
    TruncatedAnswerError,
    UnknownNameError,
    WeightsMissingError,
)
from agent_lab.providers.resilience.retry_policy import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    Reaction,
    pause_before,
    reaction_to,
)

NOTHING = Reaction()


def classes(root: type[AgentLabError] = AgentLabError) -> Iterator[type[AgentLabError]]:
    yield root
    for cls in root.__subclasses__():
        if cls.__module__ == errors.__name__:
            yield from classes(cls)


def instance(cls: type[AgentLabError]) -> AgentLabError:
    if issubclass(cls, UnknownNameError):
        return cls("name", [])
    if issubclass(cls, InvalidFlowError):
        return cls("flow", ["a fault"])
    return cls("It failed.")


def late(phase: str) -> ProviderTimeoutError:
    return ProviderTimeoutError("Late.", details={"phase": phase})


EVERY_CLASS = sorted(set(classes()), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", EVERY_CLASS)
def test_every_error_has_a_reaction_that_makes_sense(cls: type[AgentLabError]):
    reaction = reaction_to(instance(cls))
    assert isinstance(reaction, Reaction)
    assert reaction.blames or not reaction.trips, "a breaker trips only by somebody's fault"
    assert not (reaction.alive and reaction.blames), "who works is not to blame"
    assert reaction.fallback != "never" or not reaction.retry, "what may pass here may pass there"
    assert not reaction.retry or cls.retryable, "callers are told that it may pass"


def test_an_error_of_somebody_elses_class_has_the_reaction_of_its_base():
    class OwnError(ProviderRateLimitError):
        pass

    assert reaction_to(OwnError("No.")) == reaction_to(ProviderRateLimitError("No."))


@pytest.mark.parametrize("says", [{}, {"retry_after": 5.0}, {"retry_advised": True}])
@pytest.mark.parametrize("cls", [ProviderAuthError, ProviderSpendCapError])
def test_a_refused_key_and_an_empty_account_open_the_breaker_and_another_provider_is_asked(
    cls: type[ProviderError], says: dict[str, Any]
):
    reaction = reaction_to(cls("No.", **says))
    assert reaction == Reaction(fallback="always", blames="provider", trips=True)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_wrong_request_is_asked_of_nobody_again_and_is_nobodys_fault(status: int):
    reaction = reaction_to(ProviderRequestError("No.", status_code=status))
    assert reaction == Reaction(alive=True)


@pytest.mark.parametrize(
    ("error", "fallback"),
    [
        (ContextLengthError("Long."), "larger_window"),
        (ContentFilteredError("No."), "if_configured"),
    ],
)
def test_what_another_model_might_take_is_asked_of_that_one_only(
    error: ProviderError, fallback: str
):
    reaction = reaction_to(error)
    assert (reaction.retry, reaction.fallback, reaction.blames) == (False, fallback, None)
    assert reaction.alive


def test_a_rate_limit_is_waited_for_and_no_breaker_counts_it():
    reaction = reaction_to(ProviderRateLimitError("Slow.", retry_after=3.0))
    assert reaction == Reaction(retry=True, fallback="always")


@pytest.mark.parametrize(
    ("error", "blames"),
    [
        (ProviderUnavailableError("Gone."), "provider"),
        (late("connect"), "provider"),
        (ProviderOverloadedError("Busy."), "model"),
    ],
)
def test_what_may_pass_is_tried_again_and_then_elsewhere(error: ProviderError, blames: str):
    assert reaction_to(error)[:4] == (True, "always", blames, False)
    assert not reaction_to(error).billed


@pytest.mark.parametrize(
    "error",
    [
        late("first_token"),
        late("between_tokens"),
        ProviderTimeoutError("Late."),
        ProviderError("Odd."),
        AllProvidersFailedError("All."),
    ],
)
def test_what_was_begun_is_paid_for_and_is_not_begun_again_here(error: ProviderError):
    assert reaction_to(error) == Reaction(fallback="always", blames="model", billed=True)


def test_an_answer_without_its_end_is_paid_for_and_nobodys_fault():
    expected = Reaction(fallback="always", alive=True, billed=True)
    assert reaction_to(TruncatedAnswerError("Cut.")) == expected


def test_when_the_whole_time_is_over_nothing_follows_but_the_bill():
    assert reaction_to(late("total")) == Reaction(billed=True)


def test_a_model_that_its_host_does_not_have_is_asked_for_elsewhere():
    reaction = reaction_to(ModelNotServedError("No."))
    assert reaction == Reaction(fallback="always", blames="model")


@pytest.mark.parametrize(
    "error",
    [
        CircuitOpenError("Open."),
        OverloadedError("Full."),
        RequestOverLimitError("Large."),
        MissingKeyError("No key."),
        WeightsMissingError("No weights."),
    ],
)
def test_what_stops_a_call_before_it_is_made_stops_no_fallback_and_blames_nobody(
    error: AgentLabError,
):
    assert reaction_to(error) == Reaction(fallback="always")


@pytest.mark.parametrize(
    "error",
    [
        BudgetExceededError("Dear."),
        InvalidRequestError("Empty."),
        ShuttingDownError("Ending."),
        AgentLabError("Odd."),
    ],
)
def test_after_everything_else_nothing_is_tried(error: AgentLabError):
    assert reaction_to(error) == NOTHING


@pytest.mark.parametrize(
    "cls", [ProviderUnavailableError, ProviderOverloadedError, ProviderRateLimitError]
)
def test_a_host_that_advises_against_it_is_not_asked_again(cls: type[ProviderError]):
    usual = reaction_to(cls("No."))
    assert reaction_to(cls("No.", retry_advised=True)) == usual
    assert reaction_to(cls("No.", retry_advised=False)) == usual._replace(retry=False)


def test_no_advice_makes_a_call_that_would_fail_again_be_made_again():
    assert not reaction_to(ProviderRequestError("No.", retry_advised=True)).retry


TRIES = st.integers(1, 10)
DRAWS = st.floats(0, 1)


@given(tries=TRIES, draw=DRAWS)
def test_a_pause_is_between_none_and_a_bound_that_doubles_up_to_the_longest(
    tries: int, draw: float
):
    pause = pause_before(tries, ProviderUnavailableError("Gone."), lambda: draw)
    assert 0 <= pause <= LONGEST_PAUSE_S
    assert pause <= FIRST_PAUSE_S * 2 ** (tries - 1)


def test_the_bounds_are_these():
    error = ProviderUnavailableError("Gone.")
    longest = [pause_before(tries, error, lambda: 1.0) for tries in range(1, 9)]
    assert longest == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert [pause_before(tries, error, lambda: 0.0) for tries in range(1, 9)] == [0.0] * 8


@given(tries=TRIES, draw=DRAWS, named=st.floats(0, 1e6))
def test_what_the_provider_names_is_the_least_and_the_jitter_only_lengthens_it(
    tries: int, draw: float, named: float
):
    error = ProviderRateLimitError("Slow.", retry_after=named)
    pause = pause_before(tries, error, lambda: draw)
    assert named <= pause <= max(named, LONGEST_PAUSE_S)
    assert pause in {named, pause_before(tries, ProviderRateLimitError("Slow."), lambda: draw)}


def test_only_providers_name_a_pause():
    error = CircuitOpenError("Open.", details={"retry_after": 50.0})
    assert pause_before(1, error, lambda: 1.0) == 0.5
