"""What a run can take at the most: each rule of the sum, and that no run ever takes more."""

import asyncio
from collections.abc import Sequence
from itertools import cycle
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agent_lab.contracts import Attachment, JsonObject, Language, RunRequest, Turn
from agent_lab.flows.catalogue import StrategyFacts
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import FLOW_CONFIGS, get_flow_config
from agent_lab.flows.worst_case import NodeCost, WorstCase, worst_case
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.run_recorder import Collector
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.conftest import FIXED_SECRET
from tests.flows.catalogues import (
    STRATEGIES,
    Json,
    catalogue,
    flow,
    group,
    judge,
    loop,
    model,
    named,
    node,
    planned,
    subflow,
    validator,
)

TASK = 500
"""Tokens of the task where nobody said what it is."""
PLAIN = 100
"""Tokens of an answer where nobody says how long it may be."""


def worst(content: Json, inputs: Json | None = None, /, **fields: Any) -> WorstCase:
    return worst_case(planned(content, **(inputs or {})), catalogue(**fields))


def asked(content: Json, found: Json | None = None, /, **request: Any) -> WorstCase:
    wish = RunRequest.parse({"flow": "mine", "input": "A task.", **request})
    return worst_case(planned(content), catalogue(**(found or {})), wish)


def share(case: WorstCase, node_id: str) -> NodeCost:
    (cost,) = [cost for cost in case.nodes if cost.node == node_id]
    return cost


def integer(default: int, **fields: Any) -> Json:
    return {"n": {"type": "integer", "default": default, **fields}}


# --- calls --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "inputs", "calls"),
    [
        (flow("a"), {}, 1),
        (flow("a", "b", "c", edges="a-b, b-c"), {}, 3),
        (flow("a", "b", "c", edges="a?-b, a-c"), {}, 3),
        (flow("a", "b", edges="a-b", loops=[loop("b", "b", 5)]), {}, 6),
        (flow("a", loops=[loop("a", "a", {"input": "n"})], inputs=integer(3)), {}, 3),
        (flow("a", loops=[loop("a", "a", {"input": "n"})], inputs=integer(3)), {"n": 7}, 7),
        (
            flow(
                *"abcd",
                edges="a-b, b-c, c-d",
                loops=[loop("a", "d", 2), loop("b", "c", 3) | {"id": "inner"}],
            ),
            {},
            2 * (1 + 3 * 2 + 1),
        ),
        (flow(group("e", "x", "y", "z"), "b", edges="e-b"), {}, 4),
        (flow(group("e", *(f"m{i}" for i in range(100))), "b", edges="e-b"), {}, 101),
        (
            flow("a", group("e", "x", "y"), "b", edges="a-e, e-b", loops=[loop("a", "b", 4)]),
            {},
            4 * 4,
        ),
        (flow("a", validator("v", "a"), edges="a-v"), {}, 1),
        (flow("a", validator("v", "a", judge(), judge("gamma")), edges="a-v"), {}, 1 + 2 * 2),
        (flow("a", {"id": "s", "type": "splitter"}, edges="a-s"), {}, 1),
        (flow("a", {"id": "s", "type": "summary", "config": {"answer": "a"}}, edges="a-s"), {}, 1),
        (
            flow(
                "a",
                node("s", "{a_output}", type="summary", config={"answer": "a"}),
                edges="a-s",
            ),
            {},
            2,
        ),
        (flow(node("a", "a prompt that is never sent", type="task_analyzer")), {}, 0),
        (flow("a", subflow("f", "challenge", rounds=3), edges="a-f"), {}, 1 + 1 + 2 * 3),
    ],
)
def test_each_node_calls_as_often_as_it_can_run(content: Json, inputs: Json, calls: int):
    case = worst(content, inputs)
    assert case.calls == calls
    assert sum(cost.calls for cost in case.nodes) == calls


@pytest.mark.parametrize("retries", [0, 1, 2, 10])
def test_a_bound_of_n_retries_means_one_call_more_than_that(retries: int):
    retried = loop("a", "v", {"input": "n"}, counts="retry")
    content = flow("a", validator("v", "a"), edges="a-v", loops=[retried], inputs=integer(retries))
    assert worst(content).calls == retries + 1
    linear = plan_flow(get_flow_config("linear"), {"retries": retries})
    assert worst_case(linear, catalogue()).calls == retries + 2


def test_judges_are_asked_again_in_every_retry():
    content = flow(
        "a",
        validator("v", "a", judge(), judge()),
        edges="a-v",
        loops=[loop("a", "v", {"input": "n"}, counts="retry")],
        inputs=integer(2),
    )
    # A judge that cannot be read is asked once more.
    assert worst(content).calls == 3 * (1 + 2 * 2)


def drawing(samples: int) -> Json:
    return node("s", type="samples", config={"samples": samples})


def voting(kind: str, *answers: str, **config: Any) -> Json:
    return node("v", "{candidates}", type=kind, config={"answers": [*answers], **config})


@pytest.mark.parametrize(
    ("content", "inputs", "calls"),
    [
        (flow(drawing(1)), {}, 1),
        (flow(drawing(99)), {}, 99),
        (flow(drawing(5), loops=[loop("s", "s", 3)]), {}, 15),
        (
            flow(node("s", type="samples", config={"samples": {"input": "n"}}), inputs=integer(5)),
            {"n": 7},
            7,
        ),
        # A ballot and its repair call.
        (flow(drawing(5), voting("ballot", "s"), edges="s-v"), {}, 5 + 2),
        (flow(group("e", "x", "y"), voting("ballot", "e"), edges="e-v"), {}, 2 + 2),
        # Counting asks nobody.
        (flow(drawing(5), {**voting("vote", "s"), "prompt_template": ""}, edges="s-v"), {}, 5),
        # A judge: each pair in both orders, and each verdict once more; of many, some are drawn.
        (flow("a", voting("judge", "a"), edges="a-v"), {}, 1 + 1),
        (flow(drawing(2), voting("judge", "s"), edges="s-v"), {}, 2 + 1 * 2 * 2),
        (flow(drawing(3), voting("judge", "s"), edges="s-v"), {}, 3 + 3 * 2 * 2),
        (flow(drawing(9), voting("judge", "s"), edges="s-v"), {}, 9 + 6 * 2 * 2),
        (flow(drawing(9), voting("judge", "s", most=8), edges="s-v"), {}, 9 + 28 * 2 * 2),
        (flow(drawing(9), voting("judge", "s", most=2), edges="s-v"), {}, 9 + 1 * 2 * 2),
        # Windows of six, of which three are what earlier ones made.
        (flow(drawing(6), voting("aggregate", "s"), edges="s-v"), {}, 6 + 1),
        (flow(drawing(7), voting("aggregate", "s"), edges="s-v"), {}, 7 + 2),
        (flow(drawing(10), voting("aggregate", "s"), edges="s-v"), {}, 10 + 3),
        (flow(drawing(10), voting("aggregate", "s", window=2, kept=1), edges="s-v"), {}, 10 + 9),
        (flow(drawing(10), voting("aggregate", "s", window=2, kept=9), edges="s-v"), {}, 10 + 9),
        # An exchange is one turn.
        (
            flow(
                group("e", "x", "y"),
                node(
                    "o",
                    "{peers}",
                    type="exchange",
                    group={"members": {"x": {}, "y": {}}},
                    config={"answers": ["o"], "blind": ["e"]},
                ),
                edges="e-o",
                loops=[loop("o", "o", 1)],
            ),
            {},
            4,
        ),
    ],
)
def test_nodes_that_vote_call_as_often_as_their_options_say(
    content: Json, inputs: Json, calls: int
):
    assert worst(content, inputs).calls == calls


def test_what_stands_side_by_side_counts_once_for_each_draw():
    one, nine = (
        share(worst(flow(drawing(n), voting("ballot", "s"), edges="s-v")), "v").longest_prompt
        for n in (1, 9)
    )
    assert nine - one >= 8 * PLAIN


def test_flows_within_flows_call_as_often_as_the_node_that_runs_them():
    inner = named("inner", flow("x", "y", edges="x-y", loops=[loop("y", "y", 3)]))
    middle = named("middle", flow(subflow("deep", "inner"), loops=[loop("deep", "deep", 5)]))
    content = flow("a", subflow("f", "middle"), edges="a-f", loops=[loop("f", "f", 2)])
    case = worst(content, flows={"inner": inner, "middle": middle})
    assert [(cost.node, cost.calls) for cost in case.nodes] == [
        ("a", 1),
        ("f.deep.x", 10),
        ("f.deep.y", 30),
    ]


# --- tokens of answers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "fields", "found", "tokens"),
    [
        ({"max_tokens": 7}, {"max_tokens": 8, "strategy": "greedy"}, {"max_tokens": 9}, 7),
        ({}, {"max_tokens": 8, "strategy": "greedy"}, {"max_tokens": 9}, 8),
        ({}, {"strategy": "greedy"}, {"max_tokens": 9}, 9),
        ({}, {"strategy": "greedy"}, {}, 200),
        ({"strategy": "plain"}, {"strategy": "greedy"}, {}, 100),
        ({}, {}, {"default_strategy": "greedy"}, 200),
        ({}, {}, {}, 100),
    ],
)
def test_an_answer_is_as_long_as_request_node_settings_and_strategy_say_in_this_order(
    wish: Json, fields: Json, found: Json, tokens: int
):
    case = asked(flow({"id": "a", **fields}), found, **wish)
    assert case.completion_tokens == tokens


def test_what_a_model_thinks_counts_beside_its_answer():
    models = {"alpha": model(thinks=1_000, usd=0.5), "beta": model(usd=0.5)}
    case = worst(flow("a", {"id": "b", "model": "beta"}, edges="a-b"), models=models)
    assert share(case, "a").completion_tokens == PLAIN + 1_000
    assert share(case, "b").completion_tokens == PLAIN
    assert share(case, "a").cost_usd == 0.5 * (TASK + PLAIN + 1_000)


def test_a_judge_writes_a_verdict_and_no_more():
    checks = judge(), judge("gamma")
    case = worst(flow({"id": "a", "max_tokens": 7}, validator("v", "a", *checks), edges="a-v"))
    assert [cost.completion_tokens for cost in case.nodes] == [7, 2 * 120, 2 * 120]
    longer = validator("v", "a", *checks) | {"max_tokens": 50}
    case = worst(flow({"id": "a", "max_tokens": 7}, longer, edges="a-v"), max_tokens=9)
    assert [cost.completion_tokens for cost in case.nodes] == [7, 2 * 50, 2 * 50]
    wished = asked(flow("a", validator("v", "a", judge()), edges="a-v"), max_tokens=3)
    assert [cost.completion_tokens for cost in wished.nodes] == [3, 2 * 3]


# --- tokens of prompts --------------------------------------------------------------------------


def read(prompt: Any, *, writes: int = 1_000, **fields: Any) -> int:
    """Tokens of the prompt of a node that follows one that may write so many."""
    content = flow({"id": "a", "max_tokens": writes}, node("b", prompt, **fields), edges="a-b")
    return share(worst(content), "b").prompt_tokens


def test_a_prompt_holds_the_task_its_own_words_and_the_texts_that_it_asks_for():
    assert read("") == TASK
    assert read("x" * 350) == TASK + 100
    assert read({"en": "x", "es": "x" * 350}) == TASK + 100
    assert read("ñ" * 175) == TASK + 100
    assert read("{a_output}") > TASK + 1_000
    assert read("{a_output}", writes=2_000) > read("{a_output}") + 1_000
    assert read("{previous_output}") == pytest.approx(read("{a_output}"), abs=5)


def test_what_a_prompt_asks_for_twice_counts_twice():
    once = read("{a_output}") - TASK
    assert read("{a_output} {a_output}") >= TASK + 2 * (once - 4)
    assert read("{user_input}") >= 2 * TASK


def test_what_a_prompt_does_not_ask_for_counts_nothing():
    assert read("x", writes=1) == read("x", writes=100_000)


def test_values_count_as_what_they_say():
    assert read("{lens}", values={"lens": {"en": "x", "es": "x" * 3_500}}) >= TASK + 1_000
    content = flow(node("a", "{n}"), inputs={"n": {"type": "string", "default": "x" * 3_500}})
    assert worst(content).prompt_tokens >= TASK + 1_000
    assert worst(content, {"n": "x"}).prompt_tokens < TASK + 10


def test_the_texts_of_a_group_count_all():
    content = flow(
        node("e", max_tokens=100, group={"members": {f"m{i}": {} for i in range(100)}}),
        node("b", "{e_outputs}"),
        edges="e-b",
    )
    few = {
        **content,
        "nodes": [node("e", max_tokens=100, group={"members": {"x": {}}}), content["nodes"][1]],
    }
    assert share(worst(content), "b").prompt_tokens >= TASK + 100 * 100
    assert share(worst(few), "b").prompt_tokens < TASK + 250


def test_a_system_prompt_counts_in_every_call():
    case = worst(flow("a", "b", edges="a-b", system_prompt={"en": "x" * 350, "es": "x"}))
    assert case.prompt_tokens == 2 * (TASK + 100)


def test_the_task_and_what_is_attached_count_as_they_are():
    short = asked(flow("a")).prompt_tokens
    assert short < 50
    assert asked(flow("a"), input="x" * 3_500).prompt_tokens >= 1_000
    attached = asked(flow("a"), attachments=[Attachment(name="y" * 350, text="x" * 3_500)])
    assert attached.prompt_tokens >= short + 1_100


def test_a_name_without_end_counts_too():
    # The marks around a text hold the id of its node twice.
    content = flow(
        node("a" * 700, ""), node("b", f"{{{'a' * 700}_output}}"), edges=f"{'a' * 700}-b"
    )
    assert share(worst(content), "b").prompt_tokens >= TASK + PLAIN + 400


def test_prompts_of_a_debate_do_not_grow_with_its_rounds_but_for_what_was_settled():
    short, long = (
        worst_case(plan_flow(get_flow_config("challenge"), {"rounds": rounds}), catalogue())
        for rounds in (1, 50)
    )
    assert share(long, "creator").prompt_tokens == share(short, "creator").prompt_tokens
    draft = {"drafts": ["refiner", "creator"]}
    content = flow(
        "creator",
        node("challenger", "{draft}", type="critique", config=draft),
        node("refiner", "{draft}", type="refine", config=draft),
        edges="creator-challenger, challenger-refiner",
        loops=[loop("challenger", "refiner", {"input": "n"})],
        inputs=integer(1),
    )
    one, fifty = worst(content), worst(content, {"n": 50})
    assert one.longest_prompt == fifty.longest_prompt
    assert fifty.prompt_tokens == TASK + 50 * (one.prompt_tokens - TASK)
    content["nodes"][1]["prompt_template"] = "{draft} {settled_issues}"
    assert worst(content, {"n": 50}).longest_prompt > worst(content).longest_prompt


@pytest.mark.parametrize("name", ["history", "requirements", "open_issues", "own_last", "round"])
def test_every_name_of_a_prompt_has_a_size(name: str):
    assert read(f"{{{name}}}") > TASK


def test_history_counts_as_much_as_its_reader_shows():
    def reader(**config: Any) -> Json:
        return flow(
            {"id": "h", "type": "history_reader", "config": config},
            node("b", "{history}"),
            edges="h-b",
        )

    most = worst(reader(limit=20, characters=20_000)).prompt_tokens
    assert most >= TASK + 20 * 2 * 20_000 / 3.5
    assert worst(reader()).prompt_tokens >= TASK + 3 * 2 * 600 / 3.5


def test_the_feedback_of_a_validator_holds_the_answer_its_reasons_and_its_messages():
    message = "x" * 3_500
    checks = {"check": "regex", "pattern": "a", "message": message}, judge()
    content = flow(
        {"id": "a", "max_tokens": 1_000},
        validator("v", "a", *checks) | {"max_tokens": 500},
        node("b", "{v_feedback}"),
        edges="a-v, v-b",
    )
    assert share(worst(content), "b").prompt_tokens >= TASK + 1_000 + 1_000 + 500


def test_parts_of_a_text_are_together_as_long_as_the_text():
    content = flow(
        {"id": "a", "max_tokens": 5_000},
        {"id": "s", "type": "splitter", "config": {"text": "a"}},
        node("b", "{s_part_1}"),
        edges="a-s, s-b",
    )
    assert share(worst(content), "b").prompt_tokens >= TASK + 5_000


def test_a_text_that_is_handed_on_is_as_long_as_it_was():
    content = flow(
        {"id": "a", "max_tokens": 5_000},
        {"id": "s", "type": "summary", "config": {"answer": "a"}},
        {"id": "t", "type": "splitter", "config": {"text": "s"}},
        node("b", "{t_output}"),
        edges="a-s, s-t, t-b",
    )
    assert share(worst(content), "b").prompt_tokens >= TASK + 5_000


def test_the_text_of_a_flow_within_is_as_long_as_its_answer():
    inner = named("inner", flow("x", {"id": "y", "max_tokens": 5_000}, edges="x-y"))
    content = flow(subflow("f", "inner"), node("b", "{f_output}"), edges="f-b")
    assert share(worst(content, flows={"inner": inner}), "b").prompt_tokens >= TASK + 5_000


def test_the_task_of_a_flow_within_is_its_nodes_prompt_where_there_is_one():
    inner = named("inner", flow("x"))
    told = subflow("f", "inner") | {"prompt_template": "{a_output}"}
    content = flow({"id": "a", "max_tokens": 5_000}, told, edges="a-f")
    assert share(worst(content, flows={"inner": inner}), "f.x").prompt_tokens >= TASK + 5_000
    plain = flow({"id": "a", "max_tokens": 5_000}, subflow("f", "inner"), edges="a-f")
    assert share(worst(plain, flows={"inner": inner}), "f.x").prompt_tokens == TASK


def test_the_longest_answer_that_there_can_be_takes_no_memory():
    told = subflow("f", "single") | {"prompt_template": "{a_output}"}
    content = flow({"id": "a", "max_tokens": 2**31 - 1}, told, edges="a-f")
    assert worst(content).longest_prompt > 2**31


def test_a_judge_reads_the_answer_and_its_question():
    checks = judge(question="x" * 3_500)
    content = flow({"id": "a", "max_tokens": 1_000}, validator("v", "a", checks), edges="a-v")
    assert share(worst(content), "v").prompt_tokens >= TASK + 2_000


def test_the_sum_is_that_of_the_nodes_and_the_longest_prompt_that_of_one_call():
    content = flow("a", node("b", "{a_output}"), edges="a-b", loops=[loop("b", "b", 10)])
    case = worst(content)
    assert case.prompt_tokens == sum(cost.prompt_tokens for cost in case.nodes)
    assert case.completion_tokens == sum(cost.completion_tokens for cost in case.nodes)
    assert case.tokens == case.prompt_tokens + case.completion_tokens
    assert case.longest_prompt * 10 == share(case, "b").prompt_tokens
    assert share(case, "a").longest_prompt == TASK


# --- money --------------------------------------------------------------------------------------


def test_what_is_known_of_prices_is_added_up():
    models = {"alpha": model(usd=0.01), "beta": model(usd=0.1)}
    content = flow("a", {"id": "b", "model": "beta"}, edges="a-b", loops=[loop("b", "b", 3)])
    case = worst(content, models=models)
    each = TASK + PLAIN
    assert case.cost_usd == pytest.approx(each * (0.01 + 3 * 0.1))
    assert [cost.cost_usd for cost in case.nodes] == pytest.approx([each * 0.01, each * 0.3])
    assert case.unpriced == ()


def test_what_runs_here_costs_nothing():
    assert worst(flow("a", "b", edges="a-b")).cost_usd == 0.0


def test_one_unknown_price_makes_the_sum_unknown_and_is_named():
    models = {"alpha": model(usd=0.01), "beta": model(usd=None), "gamma": model(usd=None)}
    content = flow(
        {"id": "a", "model": "gamma"},
        {"id": "b", "model": "beta"},
        "c",
        {"id": "d", "model": "beta"},
        edges="a-b, b-c, c-d",
    )
    case = worst(content, models=models)
    assert case.cost_usd is None
    assert case.unpriced == ("beta", "gamma")
    assert share(case, "c").cost_usd == pytest.approx((TASK + PLAIN) * 0.01)


@pytest.mark.parametrize(
    ("fallback", "cost"), [(0.0, 0.01), (0.01, 0.01), (1.0, 1.0)], ids=["cheaper", "same", "dearer"]
)
def test_of_a_model_and_its_fallbacks_the_dearest_counts(fallback: float, cost: float):
    models = {"alpha": model(usd=0.01), "beta": model(usd=fallback)}
    strategies = {"plain": StrategyFacts(PLAIN, ("beta",))}
    case = worst(flow("a"), models=models, strategies=strategies)
    assert case.cost_usd == pytest.approx((TASK + PLAIN) * cost)


def test_a_fallback_whose_price_is_unknown_is_named():
    models = {"alpha": model(usd=0.01), "beta": model(usd=None)}
    strategies = {"plain": StrategyFacts(PLAIN, ("beta", "nobody"))}
    case = worst(flow("a"), models=models, strategies=strategies)
    assert case.cost_usd is None
    assert case.unpriced == ("beta", "nobody")


def test_a_fallback_that_thinks_longer_counts_by_what_it_thinks():
    models = {"alpha": model(usd=0.01), "beta": model(usd=0.01, thinks=900)}
    strategies = {"plain": StrategyFacts(PLAIN, ("beta",))}
    case = worst(flow("a"), models=models, strategies=strategies)
    assert case.completion_tokens == PLAIN + 900
    assert case.cost_usd == pytest.approx((TASK + PLAIN + 900) * 0.01)


def test_where_nobody_would_answer_the_cost_is_unknown_and_no_model_is_to_blame():
    case = worst(flow("a"), models={}, default_model=None)
    assert (case.calls, case.cost_usd, case.unpriced) == (1, None, ())
    assert case.nodes[0].model is None


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, ["alpha", "beta", "gamma", "beta", "alpha"]),
        ({"model": "gamma"}, ["gamma", "beta", "gamma", "beta", "gamma"]),
        ({"models": {"b": "alpha"}}, ["alpha", "alpha", "gamma", "beta", "alpha"]),
        ({"models": {"f": "gamma"}}, ["alpha", "beta", "gamma", "beta", "gamma"]),
        ({"models": {"f.solver": "beta"}}, ["alpha", "beta", "gamma", "beta", "beta"]),
    ],
)
def test_each_call_is_billed_to_the_model_that_answers_it(wish: Json, expected: list[str]):
    inner = named("inner", flow("solver"))
    content = flow(
        "a",
        {"id": "b", "model": "beta"},
        validator("v", "a", judge("gamma"), judge("beta")),
        subflow("f", "inner"),
        edges="a-b, b-v, v-f",
    )
    case = asked(content, {"flows": {"inner": inner}}, **wish)
    assert [cost.model for cost in case.nodes] == expected


# --- the promise itself -------------------------------------------------------------------------

VERDICT = 120
"""Tokens that a judge may write."""
LANGUAGES: list[Language] = ["en", "es"]
LEADS = ["[high] ", "[low] ", "low: ", "- ", ""]
CHECKS: dict[str, JsonObject] = {
    "words": {"check": "length", "max_words": 1},
    "json": {
        "check": "json",
        "schema": {"required": [f"a_long_name_of_property_{i}" for i in range(9)]},
    },
    "none": {"check": "length", "min_words": 0},
    "regex": {"check": "regex", "pattern": "never", "message": {"en": "x" * 2_000, "es": "x"}},
    "judge": {"check": "judge", "question": "Is it right? " * 30},
}
BUILDER = GraphBuilder()


def words(count: int) -> str:
    """So many words of three letters: each counts as a token."""
    return " ".join(["abc"] * count)


@st.composite
def tasks(draw: st.DrawFn) -> str:
    parts = st.sampled_from(
        [
            "Write a function in Python. ",
            "At most 100 words, as a table, in JSON, with an example. ",
            "Explica las mareas en tres frases. ",
            "x" * 500 + " ",
            "{user_input} ",
        ]
    )
    return "".join(draw(st.lists(parts, min_size=1, max_size=4)))


class Drawn(NamedTuple):
    """A run of a shipped flow: what is asked, and how its roles answer."""

    request: RunRequest
    lang: Language
    answers: dict[str, list[tuple[str, int]]]
    """By role: of each answer how its lines begin, and how many words it has."""


VOTING = {
    "self_consistency": ("samples", 9),
    "consensus": ("models", 5),
    "debate": ("debaters", 5),
    "mixture_of_agents": ("proposers", 9),
}
"""By flow that votes: the input that says who takes part, and how many are drawn at the most."""
KINDS = ("auto", "free", "number", "choice", "label", "boolean", "json", "code")
METHODS = ("auto", "plurality", "approval", "score", "borda", "schulze", "threshold", "unanimity")


@st.composite
def voting_inputs(draw: st.DrawFn, name: str) -> Json:
    """Any inputs of a flow that votes."""
    members, most = VOTING[name]
    count = draw(st.integers(2, most))
    inputs: Json = {members: count if members == "samples" else list("abcdefghi"[:count])}
    inputs["answer"] = draw(st.sampled_from(KINDS))
    if name in ("self_consistency", "consensus"):
        inputs["method"] = draw(st.sampled_from(METHODS))
    if name == "self_consistency":
        inputs["stop"] = draw(st.sampled_from(["auto", "none"]))
        inputs["tokens"] = draw(st.sampled_from([0, 1_000]))
    if name == "consensus":
        inputs["ties"] = draw(st.sampled_from([["judge"], ["head_to_head", "judge"], ["seeded"]]))
    if name == "debate":
        inputs["rounds"] = draw(st.integers(1, 3))
        inputs["intensity"] = draw(st.integers(0, 10))
    if name == "mixture_of_agents":
        inputs["layers"] = draw(st.integers(1, 3))
    return inputs


@st.composite
def runs(draw: st.DrawFn) -> Drawn:
    """Any run whose answers are at the most as long as they may be."""
    name = draw(st.sampled_from(list(FLOW_CONFIGS)))
    inputs: Json = {}
    if name == "challenge":
        inputs["rounds"] = draw(st.integers(1, 4))
        inputs["floor"] = draw(st.sampled_from(["high", "medium", "low"]))
    if name == "linear":
        inputs["retries"] = draw(st.integers(0, 3))
        inputs["read_history"] = draw(st.booleans())
        kinds = draw(st.lists(st.sampled_from(sorted(CHECKS)), min_size=1, max_size=4))
        inputs["checks"] = [CHECKS[kind] for kind in kinds]
    if name in VOTING:
        inputs |= draw(voting_inputs(name))
    if name == "multi_perspective":
        own = {"id": "own", "name": "n" * 60, "values": {"lens": "l" * 400}}
        known = ["security", "usability", "performance", "cost", "privacy", own]
        inputs["experts"] = draw(st.lists(st.sampled_from(known), min_size=1, unique_by=str))
    most = draw(st.none() | st.integers(1, 400) | st.just(3_000))
    request = RunRequest(flow=name, input=draw(tasks()), inputs=inputs, max_tokens=most)
    nodes = plan_flow(FLOW_CONFIGS[name], inputs).nodes
    limits: dict[str, int] = {"output_validator": VERDICT}
    for each in (n for n in nodes if n.is_role):
        assert each.max_tokens is not None  # every shipped role says how much it may write
        limits[each.speaker] = max(each.max_tokens, limits.get(each.speaker, 0))
    answers = {}
    for role, limit in limits.items():
        longest = most or limit
        lengths = st.integers(1, longest) | st.just(longest)
        answers[role] = draw(st.lists(st.tuples(st.sampled_from(LEADS), lengths), min_size=1))
    return Drawn(request, draw(st.sampled_from(LANGUAGES)), answers)


FORMS = {
    "choice": "VOTE: A",
    "approved": "APPROVED: A, B",
    "ranking": "RANKING: B > A",
    "scores": "SCORES: A=1, B=2",
    "preference": "PREFERENCE: A",
}
"""By what a schema asks for: a ballot in few words."""


def reply(call: ProviderCall, lead: str, length: int) -> str:
    """An answer of so many words, as far as they fit; of a voter, now and then a ballot."""
    length = min(length, call.params["max_tokens"])
    schema = call.params.get("response_schema") or {"properties": {}}
    asked = [FORMS[name] for name in schema["properties"] if name in FORMS]
    if asked and lead and length > 10:
        return words(length - 5) + f"\n{asked[0]}"
    if lead and length > 20 and call.role.startswith(("solver", "model", "debater", "proposer")):
        return words(length - 8) + f'\nCHANGED "abc": {len(lead)}\nANSWER: {len(lead)}'
    return answer(call.role, lead, length)


def answer(role: str, lead: str, length: int) -> str:
    """An answer of so many words."""
    issue = f'{lead}"abc": abc abc'
    if role == "challenger" and lead and length >= len(issue.split()):
        return "\n".join([issue] * (length // len(issue.split())))
    if role == "refiner" and length > 20:
        return words(length - 8) + "\nC1 fixed: abc abc\nC2 declined: abc abc"
    if role == "output_validator" and length > 20:
        points = 9 if lead else 1
        return f'{{"score": {points}, "reason": "{words(length - 4)}"}}'
    return words(length)


async def play(drawn: Drawn) -> Sequence[Turn]:
    """Run it; of a role that is asked more often than it has answers, they begin anew."""
    answers = {role: cycle(each) for role, each in drawn.answers.items()}

    async def no_time(seconds: float) -> None:
        pass

    collector = Collector()
    context = RunContext(
        gateway=ProviderGateway.scripted(lambda c: reply(c, *next(answers[c.role]))),
        request=drawn.request,
        seed=1,
        secret=FIXED_SECRET,
        recorder=collector,
        sleep=no_time,
    )
    config = FLOW_CONFIGS[drawn.request.flow]
    await run_flow(config, context, lang=drawn.lang, request_id="test", builder=BUILDER)
    return collector.turns


def promised(request: RunRequest) -> WorstCase:
    strategies = {**STRATEGIES, "greedy": StrategyFacts(512)}
    plan = plan_flow(FLOW_CONFIGS[request.flow], request.inputs)
    return worst_case(plan, catalogue(strategies=strategies), request)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(runs())
def test_no_run_ever_takes_more_than_the_worst_case(drawn: Drawn):
    chosen = drawn.request.inputs
    # A flow that counts equal texts is refused.
    assume(chosen.get("answer") != "free" or chosen.get("method") not in COUNTS_CHOICES)
    turns, case = asyncio.run(play(drawn)), promised(drawn.request)
    assert 0 < len(turns) <= case.calls
    assert all(turn.completion_tokens <= turn.sampling["max_tokens"] for turn in turns)
    assert sum(turn.completion_tokens for turn in turns) <= case.completion_tokens
    sizes = [sum(len(message.content) for message in turn.messages) / 3.5 for turn in turns]
    assert max(sizes) <= case.longest_prompt
    assert sum(sizes) <= case.prompt_tokens
    by_node: dict[str, list[float]] = {}
    for turn, size in zip(turns, sizes, strict=True):
        by_node.setdefault(turn.node_id, []).append(size)
    for node_id, each in by_node.items():
        shares = [cost for cost in case.nodes if cost.node == node_id]
        assert len(each) <= sum(cost.calls for cost in shares)
        assert max(each) <= max(cost.longest_prompt for cost in shares)


COUNTS_CHOICES = ("plurality", "weighted", "median")
MEMBERS = [*"abcdefghi"]
MUTE = [("", 50)]
"""Words that are no answer, no ballot and no verdict."""
LONGEST: list[tuple[str, Json, dict[str, list[tuple[str, int]]]]] = [
    *((name, {}, {}) for name in FLOW_CONFIGS if name != "linear"),
    ("linear", {"checks": [CHECKS["words"]]}, {}),
    (
        "linear",
        {"checks": [CHECKS["judge"]], "retries": 3},
        {"output_validator": [("", 10), ("", 50)]},  # it can be read at the second time
    ),
    ("challenge", {"rounds": 3}, {"challenger": [("[high] ", 50)], "refiner": [("", 10)]}),
    ("self_consistency", {"samples": 30}, {}),
    (
        "self_consistency",
        {"samples": 4, "answer": "number", "method": "borda"},
        {"solver": [*((lead, 50) for lead in LEADS[:4]), *MUTE, *MUTE]},
    ),
    ("consensus", {"models": MEMBERS[:2]}, {}),
    ("consensus", {"models": MEMBERS}, {}),
    (
        "consensus",
        {"answer": "number", "method": "score"},
        {f"model_{i}": [(LEADS[k], 50), *MUTE, *MUTE] for k, i in enumerate("abc")},
    ),
    ("debate", {"rounds": 5}, {}),
    ("debate", {"debaters": MEMBERS, "rounds": 2}, {}),
    ("mixture_of_agents", {"layers": 5, "proposers": MEMBERS[:6]}, {}),
]


@pytest.mark.parametrize(("name", "inputs", "says"), LONGEST, ids=lambda part: str(part)[:40])
async def test_a_run_as_long_as_it_may_be_makes_all_calls_of_the_worst_case(
    name: str, inputs: Json, says: dict[str, list[tuple[str, int]]]
):
    # Nobody can be read, so that every ballot and every verdict is asked for once more, and no
    # vote spares what follows it. Where equal answers are one, they differ from each other.
    request = RunRequest(flow=name, input="A task.", inputs=inputs)
    silent = dict.fromkeys(plan_flow(FLOW_CONFIGS[name], inputs).roles(), MUTE)
    turns = await play(Drawn(request, "en", {**silent, **says}))
    assert len(turns) == promised(request).calls


@pytest.mark.parametrize("layers", [1, 2, 5])
async def test_the_first_layer_of_many_proposers_takes_less_than_the_worst_case(layers: int):
    # Nine proposals take two windows. The first layer has none yet, which the sum does not know.
    inputs = {"layers": layers, "proposers": MEMBERS}
    request = RunRequest(flow="mixture_of_agents", input="A task.", inputs=inputs)
    roles = plan_flow(FLOW_CONFIGS["mixture_of_agents"], inputs).roles()
    turns = await play(Drawn(request, "en", dict.fromkeys(roles, MUTE)))
    assert promised(request).calls == layers * 9 * 2 + 2
    assert len(turns) == 9 + (layers - 1) * 9 * 2 + 2


@pytest.mark.parametrize(
    ("name", "calls"),
    [("self_consistency", 3), ("consensus", 3), ("debate", 3), ("mixture_of_agents", 3)],
)
async def test_where_all_give_one_answer_a_run_takes_far_less_than_the_worst_case(
    name: str, calls: int
):
    request = RunRequest(flow=name, input="A task.", inputs={"answer": "number"})
    roles = plan_flow(FLOW_CONFIGS[name]).roles()
    turns = await play(Drawn(request, "en", {role: [("- ", 50)] for role in roles}))
    assert len(turns) == calls < promised(request).calls
