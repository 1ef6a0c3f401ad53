"""Calls at the same time cannot together spend more than their budget."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.errors import BudgetExceededError
from agent_lab.providers.resilience.budget import NOTHING, BudgetKeeper, Held

# Sixteenths of a dollar add up without rounding: what is expected can be compared exactly.
UNIT = 1 / 16


def keeper_of(cost_usd: float, *, allow_unpriced: bool = False) -> BudgetKeeper:
    return BudgetKeeper(cost_usd, allow_unpriced=allow_unpriced)


class Hold(NamedTuple):
    """A call that begins."""

    worst: int


class Settle(NamedTuple):
    """A call that ends: one of those that are open, for a share of its worst case."""

    which: int
    sixteenths: int


STEPS = st.lists(
    st.builds(Hold, st.integers(0, 40) | st.integers(0, 6))
    | st.builds(Settle, st.integers(0, 9), st.integers(0, 16)),
    max_size=40,
)


@given(budget=st.integers(0, 50), steps=STEPS)
def test_no_interleaving_of_calls_spends_more_than_the_budget(
    budget: int, steps: list[Hold | Settle]
):
    keeper = keeper_of(budget * UNIT)
    open_calls: list[Held] = []
    spent = 0.0
    for step in steps:
        if isinstance(step, Settle):
            if open_calls:
                held = open_calls.pop(step.which % len(open_calls))
                keeper.settle(held, held.usd * step.sixteenths / 16)
                spent += held.usd * step.sixteenths / 16
        elif step.worst * UNIT <= budget * UNIT - spent - sum(call.usd for call in open_calls):
            open_calls.append(keeper.hold("model", step.worst * UNIT))
            assert open_calls[-1].usd == step.worst * UNIT
        else:
            with pytest.raises(BudgetExceededError):
                keeper.hold("model", step.worst * UNIT)
        assert keeper.spent == spent
        assert spent + sum(call.usd for call in open_calls) <= budget * UNIT
    for held in open_calls:
        keeper.settle(held, 0.0)
    keeper.hold("model", budget * UNIT - spent)


def test_a_call_that_takes_all_that_is_left_is_made_and_the_next_is_not():
    keeper = keeper_of(1.0)
    keeper.hold("model", 0.75)
    keeper.hold("model", 0.25)
    keeper.hold("free", 0.0)
    with pytest.raises(BudgetExceededError, match="`model` could cost 0.000001 USD") as raised:
        keeper.hold("model", 1e-6)
    assert "of its budget of 1 USD, 0.000000 are left" in raised.value.message
    assert raised.value.details == {
        "limit": "cost_usd",
        "model": "model",
        "worst_usd": 1e-6,
        "left_usd": 0.0,
    }
    assert "max_tokens" in raised.value.hint


def test_a_refused_call_holds_nothing():
    keeper = keeper_of(1.0)
    with pytest.raises(BudgetExceededError):
        keeper.hold("model", 2.0)
    assert keeper.hold("model", 1.0).usd == 1.0


def test_what_a_call_did_not_cost_is_given_back():
    keeper = keeper_of(1.0)
    held = keeper.hold("model", 1.0)
    with pytest.raises(BudgetExceededError):
        keeper.hold("model", 0.5)
    keeper.settle(held, 0.25)
    assert keeper.spent == 0.25
    assert keeper.hold("model", 0.75).usd == 0.75


def test_a_call_that_cost_more_than_its_worst_case_leaves_less_but_never_a_negative_rest():
    keeper = keeper_of(1.0)
    keeper.settle(keeper.hold("model", 0.5), 1.5)
    assert keeper.spent == 1.5
    with pytest.raises(BudgetExceededError, match="0.000000 are left"):
        keeper.hold("model", 0.0)


def test_nothing_can_be_spent_of_nothing_but_what_is_free():
    keeper = keeper_of(0.0)
    assert keeper.hold("free", 0.0) == NOTHING
    with pytest.raises(BudgetExceededError):
        keeper.hold("model", 1e-9)


def test_an_unknown_price_is_refused_with_the_entry_that_would_name_it():
    with pytest.raises(BudgetExceededError, match="`mine` has no known price") as raised:
        keeper_of(1.0).hold("mine", None)
    assert '[models."mine"]' in raised.value.hint
    assert "allow_unpriced" in raised.value.hint
    assert raised.value.details == {"limit": "cost_usd", "model": "mine", "worst_usd": None}


def test_an_unknown_price_that_is_allowed_holds_nothing():
    keeper = keeper_of(1.0, allow_unpriced=True)
    assert keeper.hold("mine", None) == NOTHING
    assert keeper.hold("model", 1.0).usd == 1.0


def test_without_a_limit_of_money_an_unknown_price_is_nobodys_business():
    keeper = BudgetKeeper(calls=1)
    assert keeper.hold("mine", None) == NOTHING


def test_every_call_counts_also_one_that_fails():
    keeper = BudgetKeeper(calls=2)
    for _ in range(2):
        keeper.settle(keeper.hold("model", 0.0), 0.0)
    with pytest.raises(BudgetExceededError, match="all its calls") as raised:
        keeper.hold("model", 0.0)
    assert raised.value.details["limit"] == "calls"


def test_calls_at_the_same_time_hold_their_tokens_and_give_back_what_they_did_not_use():
    keeper = BudgetKeeper(tokens=100)
    held = keeper.hold("model", None, 60)
    with pytest.raises(BudgetExceededError, match="could take 60 tokens; of the run's 100, 40"):
        keeper.hold("model", None, 60)
    keeper.settle(held, 0.0, 20)
    keeper.hold("model", None, 80)
    with pytest.raises(BudgetExceededError) as raised:
        keeper.hold("model", None, 1)
    assert raised.value.details == {
        "limit": "tokens",
        "model": "model",
        "worst_tokens": 1,
        "left_tokens": 0,
    }


def test_no_call_is_made_once_the_time_is_over():
    over = False
    keeper = BudgetKeeper(expired=lambda: over)
    keeper.hold("model", None)
    over = True
    with pytest.raises(BudgetExceededError, match="time of the run is over") as raised:
        keeper.hold("model", None)
    assert raised.value.details["limit"] == "seconds"


def test_a_budget_within_another_keeps_both():
    run = BudgetKeeper(1.0, calls=3)
    flow = BudgetKeeper(0.5, calls=2, within=run, flow="review")
    flow.settle(flow.hold("model", 0.25), 0.25)
    assert (flow.spent, run.spent) == (0.25, 0.25)
    with pytest.raises(BudgetExceededError) as raised:
        flow.hold("model", 0.375)
    assert raised.value.details["flow"] == "review"
    flow.settle(flow.hold("model", 0.25), 0.0)
    with pytest.raises(BudgetExceededError, match="The flow `review` has made all its calls"):
        flow.hold("model", 0.0)
    run.hold("model", 0.75)
    with pytest.raises(BudgetExceededError, match="The run has made all its calls"):
        run.hold("model", 0.0)


def test_what_the_budget_around_refuses_the_inner_one_does_not_hold():
    run = BudgetKeeper(0.25)
    flow = BudgetKeeper(1.0, calls=1, within=run, flow="review")
    with pytest.raises(BudgetExceededError) as raised:
        flow.hold("model", 0.5)
    assert "flow" not in raised.value.details
    flow.hold("model", 0.25)
