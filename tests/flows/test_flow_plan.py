"""A flow made ready for a run: its groups are nodes, its inputs have values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.contracts import RunRequest
from agent_lab.deliberation.context import shared_head
from agent_lab.errors import AgentLabError, InvalidRequestError
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import (
    FlowPlan,
    FlowTooLargeError,
    UnknownMemberError,
    member_node,
    plan_flow,
)
from agent_lab.flows.flow_validator import read_flow
from agent_lab.flows.graph_configs import FLOW_CONFIGS, NodeConfig, get_flow_config
from agent_lab.orchestrator.agent_state import new_state
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.prompts import Prompt
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.run_recorder import Collector
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.conftest import FIXED_SECRET
from tests.flows.catalogues import Json, flow, group, loop, node, planned

HOSTILE = '{user_input} {{x}} {security_expert_output} {lens} {"a": 1}'
WHO: Json = {"who": {"type": "members", "default": ["security", "ux"]}}
EXPERTS = flow(
    "begin",
    {
        "id": "expert",
        "type": "execution",
        "name": {"en": "Expert", "es": "Experto"},
        "prompt_template": "Look at {lens} {extra}.",
        "values": {"lens": "everything", "extra": "only"},
        "model": "alpha",
        "strategy": "plain",
        "temperature": 0.4,
        "max_tokens": 256,
        "stop": ["END"],
        "config": {"depth": {"input": "depth"}},
        "group": {
            "members": {
                "security": {
                    "name": {"en": "Security expert", "es": "Experto en seguridad"},
                    "values": {"lens": {"en": "attacks", "es": "ataques"}},
                },
                "ux": {
                    "values": {"lens": "errors"},
                    "aliases": ["usability", "design"],
                    "model": "beta",
                    "strategy": "greedy",
                    "temperature": 0.0,
                    "top_p": 0.5,
                    "top_k": 5,
                    "max_tokens": 99,
                },
                "cost": {"values": {"lens": "money"}},
            },
            "chosen": {"input": "who"},
        },
    },
    "end",
    edges="begin-expert, expert-end",
    inputs={**WHO, "depth": {"type": "integer", "default": 1}},
    output=["end", "expert"],
)


def plan(*who: Any, **inputs: Any) -> FlowPlan:
    return planned(EXPERTS, **({"who": list(who)} if who else {}), **inputs)


def member(planned_flow: FlowPlan, name: str) -> NodeConfig:
    return planned_flow.node(member_node(name, "expert"))


def refused(*who: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        plan(*who)
    return caught.value


# --- groups become nodes ------------------------------------------------------------------------


def test_each_member_that_takes_part_becomes_a_node_in_the_place_of_the_group():
    assert [n.id for n in plan().nodes] == ["begin", "security_expert", "ux_expert", "end"]
    chosen = plan("cost", "security")
    assert [n.id for n in chosen.nodes] == ["begin", "cost_expert", "security_expert", "end"]
    assert chosen.groups == {"expert": ("cost_expert", "security_expert")}
    assert all(n.group is None for n in chosen.nodes)


def test_a_member_without_a_word_of_its_own_is_as_the_group_says():
    security = member(plan(), "security")
    group_node = read_flow(EXPERTS).node("expert")
    for field in ("type", "prompt_template", "model", "strategy", "temperature", "max_tokens"):
        assert getattr(security, field) == getattr(group_node, field)
    assert (security.stop, security.top_p, security.top_k) == (("END",), None, None)
    assert security.config == {"depth": 1}
    assert security.aliases == ()


def test_a_member_has_what_it_says_otherwise():
    ux = member(plan(), "ux")
    assert (ux.model, ux.strategy, ux.temperature) == ("beta", "greedy", 0.0)
    assert (ux.top_p, ux.top_k, ux.max_tokens) == (0.5, 5, 99)


def test_a_members_name_is_its_own_or_else_its_id():
    assert member(plan(), "security").name == {
        "en": "Security expert",
        "es": "Experto en seguridad",
    }
    assert member(plan(), "ux").name == "ux"


def test_a_members_values_go_before_those_of_the_group():
    assert member(plan(), "ux").values == {"lens": "errors", "extra": "only"}
    assert plan({"id": "own"}).node("own_expert").values == {"lens": "everything", "extra": "only"}


def test_older_ids_of_a_member_are_older_ids_of_its_node():
    made = plan()
    assert member(made, "ux").aliases == ("usability_expert", "design_expert")
    assert made.aliases == {"usability_expert": "ux_expert", "design_expert": "ux_expert"}
    assert made.members_of("usability_expert") == ("ux_expert",)
    assert made.members_of("expert") == ("security_expert", "ux_expert")
    assert made.members_of("begin") == ("begin",)
    assert [n.id for n in plan("usability").nodes] == ["begin", "ux_expert", "end"]


def test_an_edge_to_or_from_a_group_is_one_to_or_from_each_member():
    assert [(edge.source, edge.target) for edge in plan("ux", "cost").edges] == [
        ("begin", "ux_expert"),
        ("begin", "cost_expert"),
        ("ux_expert", "end"),
        ("cost_expert", "end"),
    ]


def test_edges_between_groups_join_every_member_with_every_other():
    made = planned(flow(group("e", "x", "y"), group("f", "v", "w"), edges="e?-f"))
    pairs = [(edge.source, edge.target) for edge in made.edges]
    assert pairs == [("x_e", "v_f"), ("x_e", "w_f"), ("y_e", "v_f"), ("y_e", "w_f")]
    assert all(edge.condition is not None for edge in made.edges)


def test_the_output_is_every_member_in_order():
    assert plan("ux", "cost").output == ("end", "ux_expert", "cost_expert")


def test_a_flow_can_begin_with_a_group():
    made = planned(flow(group("e", "x", "y"), "end", edges="e-end"))
    assert Course(made).entries == ("x_e", "y_e")


def test_members_run_again_in_a_loop_around_their_group():
    content = flow("a", group("e", "x", "y"), "b", edges="a-e, e-b", loops=[loop("a", "b", 3)])
    made = planned(content)
    assert made.loops == read_flow(content).loops
    course = Course(made)
    assert course.body(made.loops[0]) == {"a", "x_e", "y_e", "b"}
    assert [course.passes(n.id) for n in made.nodes] == [3, 3, 3, 3]


def test_a_group_can_say_itself_who_takes_part():
    members = ("x", "y", "z")
    assert planned(flow(group("e", *members, chosen=["z", "x"]))).groups == {"e": ("z_e", "x_e")}
    assert planned(flow(group("e", *members))).groups == {"e": ("x_e", "y_e", "z_e")}


def test_a_hundred_members_take_part():
    own = [{"id": f"own{i}", "values": {"lens": f"lens {i}"}} for i in range(100)]
    made = plan(*own)
    assert len(made.nodes) == 102
    assert len(made.edges) == 200
    assert member(made, "own99").values["lens"] == "lens 99"


# --- members that the caller describes ----------------------------------------------------------


def test_a_member_that_the_caller_describes_is_as_one_of_the_flows_own():
    own = {
        "id": "legal",
        "name": "Jurist",
        "values": {"lens": "contracts"},
        "aliases": ["law"],
        "model": "gamma",
        "temperature": 0.9,
    }
    legal = member(plan("ux", own), "legal")
    assert (legal.name, legal.model, legal.temperature) == ("Jurist", "gamma", 0.9)
    assert legal.strategy == "plain"
    assert legal.values == {"lens": "contracts", "extra": "only"}
    assert legal.aliases == ("law_expert",)


def test_the_first_labs_model_hint_is_a_members_model_too():
    assert member(plan({"id": "legal", "model_hint": "gamma"}), "legal").model == "gamma"


@pytest.mark.parametrize("name", ["ux", "usability", "design"])
def test_a_known_member_is_changed_in_what_the_caller_says_of_it_alone(name: str):
    before, after = member(plan("ux"), "ux"), member(plan({"id": name, "temperature": 0.7}), "ux")
    assert after == before.model_copy(update={"temperature": 0.7})
    assert member(plan({"id": name}), "ux") == before


def test_what_the_caller_says_of_a_known_member_holds_even_if_it_is_nothing():
    assert member(plan({"id": "ux", "model": None}), "ux").model == "alpha"
    assert member(plan({"id": "ux", "aliases": []}), "ux").aliases == ()


@pytest.mark.parametrize(
    "who",
    [
        ["ux", "ux"],
        ["ux", "usability"],
        ["ux", {"id": "ux"}],
        ["ux", {"id": "design", "name": "Another"}],
        [{"id": "own"}, {"id": "own", "name": "Another"}],
    ],
)
def test_nobody_takes_part_twice(who: list[Any]):
    name = "own" if who[0] == {"id": "own"} else "ux"
    assert refused(*who).message == f"The group `expert` has the member `{name}` twice."


def test_an_unknown_member_is_refused_with_those_near_it():
    with pytest.raises(UnknownMemberError) as caught:
        plan("ux", "securty")
    assert caught.value.message == "Unknown member `securty`; did you mean `security`."
    assert caught.value.details["known"] == ["cost", "security", "ux"]
    assert '"id"' in caught.value.hint


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"name": "Jurist"}, "`id`: Field required"),
        ({"id": "Legal"}, "`id`: String should match"),
        ({"id": "legal-1"}, "`id`: String should match"),
        ({"id": ""}, "`id`: String should match"),
        ({"id": "legal\n"}, "`id`: String should match"),
        ({"id": 5}, "`id`: Input should be a valid string"),
        ({"id": "legal", "lens": "contracts"}, "`lens`: no such field"),
        ({"id": "legal", "values": {"Lens": "x"}}, "String should match"),
        ({"id": "legal", "values": {"lens": 5}}, "valid string"),
        ({"id": "legal", "temperature": 3}, "less than or equal to 2"),
        ({"id": "legal", "prompt_template": "{x}"}, "`prompt_template`: no such field"),
        (7, "should be a valid dictionary"),
        (None, "should be a valid dictionary"),
        (["ux"], "should be a valid dictionary"),
    ],
)
def test_a_member_that_makes_no_sense_is_refused(wish: Any, said: str):
    error = refused("ux", wish)
    assert error.message.startswith("A member is wrong: ")
    assert said in error.message
    assert '"id"' in error.hint


def test_a_group_without_members_is_refused():
    with pytest.raises(InvalidRequestError, match="The group `e` has no members"):
        planned(flow(group("e")))


def test_a_flow_cannot_grow_without_a_bound():
    own = [{"id": f"own{i}"} for i in range(10_001)]
    with pytest.raises(FlowTooLargeError, match=r"has 10003 nodes; at most 10000"):
        plan(*own)


# --- inputs -------------------------------------------------------------------------------------


def test_scalar_inputs_are_values_of_the_plan_and_lists_are_not():
    assert plan(depth=7).values == {"depth": 7}
    assert planned(flow("a")).values == {}


def test_config_has_the_value_wherever_it_refers_to_an_input():
    content = flow(
        {
            "id": "a",
            "config": {
                "n": {"input": "n"},
                "deep": [{"m": {"input": "n"}}, {"input": "list"}],
                "no": {"input": "n", "beside": 1},
                "other": {"input": "nobody"},
                "text": "{n}",
                "odd": [{"input": 5}, {"input": ["n"]}, {"input": None}],
            },
        },
        inputs={
            "n": {"type": "integer", "default": 3},
            "list": {"type": "list", "default": ["x", {"input": "n"}]},
        },
    )
    assert planned(content).node("a").config == {
        "n": 3,
        # What an input holds is not looked through again.
        "deep": [{"m": 3}, ["x", {"input": "n"}]],
        "no": {"input": "n", "beside": 1},
        "other": {"input": "nobody"},
        "text": "{n}",
        "odd": [{"input": 5}, {"input": ["n"]}, {"input": None}],
    }
    assert planned(content, n=5, list=[]).node("a").config["deep"] == [{"m": 5}, []]


@pytest.mark.parametrize(("counts", "given", "rounds"), [("round", 3, 3), ("retry", 3, 4)])
def test_a_loops_bound_is_the_inputs_and_of_retries_the_first_time_is_none(
    counts: str, given: int, rounds: int
):
    content = flow(
        "a",
        loops=[loop("a", "a", {"input": "n"}, counts=counts)],
        inputs={"n": {"type": "integer", "default": 1}},
    )
    assert planned(content, n=given).loops[0].max_rounds == rounds


@pytest.mark.parametrize(
    ("counts", "given"),
    [("round", 0), ("round", -1), ("round", 1_001), ("retry", -1), ("retry", 1_000)],
)
def test_a_loops_bound_is_one_that_the_flow_itself_could_name(counts: str, given: int):
    content = flow(
        "a",
        loops=[loop("a", "a", {"input": "n"}, counts=counts)],
        inputs={"n": {"type": "integer", "default": 1}},
    )
    with pytest.raises(InvalidRequestError, match=f"`rounds` cannot take {given} as its bound"):
        planned(content, n=given)


def test_without_inputs_a_flow_is_planned_as_it_is():
    content = read_flow(flow("a", "b", edges="a?-b", outputs={"x": "a_output"}))
    made = plan_flow(content)
    assert (made.nodes, made.edges, made.outputs) == (content.nodes, content.edges, content.outputs)
    assert plan_flow(made) is made


def test_a_wrong_input_is_refused():
    with pytest.raises(InvalidRequestError, match="`depth` is `deep`, which is no integer"):
        plan(depth="deep")


# --- values are texts, never templates ----------------------------------------------------------


def context(answers: Any, request: RunRequest, collector: Collector) -> RunContext:
    return RunContext(
        gateway=ProviderGateway.scripted(answers),
        request=request,
        seed=1,
        secret=FIXED_SECRET,
        recorder=collector,
    )


def test_a_members_value_stands_verbatim_in_its_prompt():
    made = plan({"id": "own", "values": {"lens": HOSTILE}})
    request = RunRequest(flow="mine", input="A task.")
    state = new_state(
        request_id="", flow_type="mine", user_input="A task.", lang="en", head="A task."
    )
    prompt = Prompt(made.node("own_expert"), made)
    own = prompt.own_part(state, context({}, request, Collector()))
    assert own == f"Look at {HOSTILE} only."


async def test_a_members_value_stands_verbatim_in_what_is_sent():
    who = [{"id": "own", "name": HOSTILE, "values": {"lens": HOSTILE}}, "security"]
    request = RunRequest(flow="multi_perspective", input=HOSTILE, inputs={"experts": who})
    collector = Collector()
    run = context(lambda call: f"{call.role}: {HOSTILE}", request, collector)
    outcome = await run_flow(get_flow_config("multi_perspective"), run, lang="en")
    assert outcome.error is None
    sent = {turn.path: turn.messages[-1].content for turn in collector.turns}
    head = shared_head(HOSTILE, (), "en", FIXED_SECRET)
    assert sent["own_expert"].startswith(head)
    assert f"through this lens: {HOSTILE}.\n" in sent["own_expert"]
    assert f"## {HOSTILE}\n\n" in sent["synthesizer"]
    assert f"own_expert: {HOSTILE}" in sent["synthesizer"]
    assert f"security_expert: {HOSTILE}" in sent["synthesizer"]


def test_an_inputs_value_stands_verbatim_in_a_prompt():
    content = flow(node("a", "{n} {user_input}"), inputs={"n": {"type": "string", "default": "x"}})
    made = planned(content, n=HOSTILE)
    state = new_state(request_id="", flow_type="", user_input="A task.", lang="en", head="")
    run = context({}, RunRequest(flow="mine", input="A task."), Collector())
    assert Prompt(made.node("a"), made).own_part(state, run) == f"{HOSTILE} A task."


# --- equal flows, equal plans -------------------------------------------------------------------


@pytest.mark.parametrize("name", FLOW_CONFIGS)
def test_a_shipped_flow_is_planned_by_its_defaults(name: str):
    config = FLOW_CONFIGS[name]
    assert plan_flow(config) == plan_flow(config)
    defaults = {key: value.default for key, value in config.inputs.items()}
    assert plan_flow(config, defaults) == plan_flow(config)


@given(
    st.lists(
        st.sampled_from(["security", "ux", "cost", "usability"])
        | st.fixed_dictionaries(
            {"id": st.sampled_from(["own", "ux"])}, optional={"name": st.text()}
        ),
        max_size=4,
    ),
    st.integers(),
)
def test_equal_flows_and_inputs_give_equal_plans(who: list[Any], depth: int):
    def made() -> FlowPlan | str:
        try:
            return planned(EXPERTS, who=who, depth=depth)
        except AgentLabError as error:
            return str(error)

    first, second = made(), made()
    assert first == second
    if isinstance(first, FlowPlan):
        assert first.version == plan_flow(first).version
        assert first.model_dump_json() == second.model_dump_json()  # type: ignore[union-attr]
        ids = [n.id for n in first.nodes]
        assert len(ids) == len(set(ids))
        ends = {end for edge in first.edges for end in (edge.source, edge.target)}
        assert ends == set(ids)


# --- roles of members ---------------------------------------------------------------------------

TWO_GROUPS = flow(
    node("drafter", group={"members": {"a": {"role": "model_a"}, "b": {"role": "model_b"}}}),
    node("ballot", group={"members": {"a": {"role": "model_a"}, "b": {"role": "model_b"}}}),
    node("judge", "Judge."),
    edges="drafter-ballot, ballot-judge",
)


def test_a_member_of_several_groups_is_one_role_in_all_of_them():
    plan = planned(TWO_GROUPS)
    assert [(n.id, n.speaker) for n in plan.nodes] == [
        ("a_drafter", "model_a"),
        ("b_drafter", "model_b"),
        ("a_ballot", "model_a"),
        ("b_ballot", "model_b"),
        ("judge", "judge"),
    ]
    assert plan.roles() == ["model_a", "model_b", "judge"]


def test_a_role_of_the_group_is_that_of_members_without_one():
    members: Json = {"a": {"role": "own"}, "b": {}}
    plan = planned(flow(node("e", role="everybody", group={"members": members})))
    assert [n.speaker for n in plan.nodes] == ["own", "everybody"]


def test_a_described_member_brings_its_role_and_its_model():
    who: Json = {"who": {"type": "members", "default": []}}
    content = flow(
        node("e", group={"members": {"a": {"role": "model_a"}}, "chosen": {"input": "who"}}),
        inputs=who,
    )
    own = {"id": "z", "role": "guest", "model": "beta"}
    plan = planned(content, who=["a", own])
    assert [(n.speaker, n.model) for n in plan.nodes] == [("model_a", None), ("guest", "beta")]


def test_every_member_has_a_place_in_its_group():
    plan = planned(TWO_GROUPS)
    places = {n.id: plan.place_in_group(n.id) for n in plan.nodes}
    assert places == {"a_drafter": 0, "b_drafter": 1, "a_ballot": 0, "b_ballot": 1, "judge": 0}


@pytest.mark.parametrize(
    ("roles", "names"),
    [
        (("model_a", "model_b"), ["model_a", "model_b"]),
        # Roles that tell nobody apart are no names.
        (("model", "model"), ["a", "b"]),
        (("model_a", ""), ["a", "b"]),
        (("", ""), ["a", "b"]),
    ],
)
def test_members_are_called_by_roles_of_their_own_else_by_their_ids(
    roles: tuple[str, str], names: list[str]
):
    members: Json = {i: {"role": role} for i, role in zip("ab", roles, strict=True)}
    plan = planned(flow(node("e", group={"members": members}), "judge", edges="e-judge"))
    assert [plan.member_name(i, "e") for i in plan.groups["e"]] == names
    assert plan.member_name("judge", "judge") == "judge"


def test_a_loop_may_name_a_group_as_its_first():
    content = flow(group("e", "x", "y"), "b", edges="e-b", loops=[loop("e", "b")])
    plan = planned(content)
    assert Course(plan).begins(plan.loops[0]) == ("x_e", "y_e")
