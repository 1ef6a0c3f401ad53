import copy
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_lab.errors import UnknownFlowError
from agent_lab.flows.graph_configs import (
    FLOW_CONFIGS,
    FlowConfig,
    NodeConfig,
    get_challenge_flow_config,
    get_flow_config,
    list_available_flows,
)
from agent_lab.orchestrator.flow_tester import run_flow_tests

Change = Callable[[dict[str, Any]], Any]

BASE: dict[str, Any] = {
    "name": "mine",
    "description": "A line of two.",
    "system_prompt": {"en": "Be exact.", "es": "Sé exacto."},
    "entry_point": "draft",
    "nodes": [
        {
            "id": "draft",
            "type": "execution",
            "name": "Drafter",
            "role": "author",
            "prompt_template": "{user_input}",
            "model": "smollm2-135m",
            "strategy": "precise",
            "temperature": 0.5,
            "max_tokens": 100,
            "top_p": 0.9,
            "top_k": 40,
            "values": {"lens": "cost"},
            "aliases": ["sketch"],
            "group": {"members": {"one": {"name": "One"}}},
            "stop": ["END"],
            "config": {"depth": 1},
        },
        {"id": "final"},
    ],
    "edges": [
        {
            "source": "draft",
            "target": "final",
            "condition": {"op": "gte", "left": {"var": "round"}, "right": 2},
        }
    ],
    "loops": [{"id": "rounds", "first": "draft", "last": "final", "max_rounds": {"input": "n"}}],
    "inputs": {"n": {"type": "integer", "default": 2}},
    "data_policy": "local",
    "budget": {"calls": 9},
    "output": ["final"],
    "outputs": {"text": "final_output"},
    "tests": [{"name": "it runs", "script": {"author": "x"}, "expect": {}}],
}
CHANGES: dict[str, Change] = {
    "name": lambda f: f.update(name="yours"),
    "description": lambda f: f.update(description="A line of 2."),
    "system_prompt": lambda f: f["system_prompt"].update(es="Sé preciso."),
    "entry_point": lambda f: f.update(entry_point="final"),
    "data_policy": lambda f: f.update(data_policy="any"),
    "output": lambda f: f.update(output=["final", "draft"]),
    "order of nodes": lambda f: f["nodes"].reverse(),
    "one node more": lambda f: f["nodes"].append({"id": "third"}),
    "one node less": lambda f: f["nodes"].pop(),
    "node id": lambda f: f["nodes"][1].update(id="last"),
    "node type": lambda f: f["nodes"][0].update(type="vote"),
    "node name": lambda f: f["nodes"][0].update(name="Draughter"),
    "node role": lambda f: f["nodes"][0].update(role="writer"),
    "node prompt": lambda f: f["nodes"][0].update(prompt_template="{user_input} "),
    "node model": lambda f: f["nodes"][0].update(model=None),
    "node strategy": lambda f: f["nodes"][0].update(strategy="greedy"),
    "node temperature": lambda f: f["nodes"][0].update(temperature=0.6),
    "node max_tokens": lambda f: f["nodes"][0].update(max_tokens=101),
    "node stop": lambda f: f["nodes"][0].update(stop=["END", "STOP"]),
    "node config": lambda f: f["nodes"][0]["config"].update(depth=2),
    "node top_p": lambda f: f["nodes"][0].update(top_p=1.0),
    "node top_k": lambda f: f["nodes"][0].update(top_k=41),
    "node values": lambda f: f["nodes"][0]["values"].update(lens="time"),
    "node aliases": lambda f: f["nodes"][0].update(aliases=[]),
    "node group": lambda f: f["nodes"][0]["group"]["members"].update(two={}),
    "loops": lambda f: f["loops"][0].update(max_rounds=3),
    "until": lambda f: f["loops"][0].update(until={"op": "eq", "left": 1, "right": 1}),
    "inputs": lambda f: f["inputs"]["n"].update(default=3),
    "budget": lambda f: f["budget"].update(calls=8),
    "outputs": lambda f: f["outputs"].update(text="draft_output"),
    "tests": lambda f: f["tests"].clear(),
    "edge": lambda f: f["edges"][0].update(source="final", target="draft"),
    "condition": lambda f: f["edges"][0]["condition"].update(right=3),
    "no condition": lambda f: f["edges"][0].update(condition=None),
    "no edge": lambda f: f["edges"].clear(),
}


def build(fields: dict[str, Any]) -> FlowConfig:
    return FlowConfig.model_validate(fields)


def shipped_files() -> list[str]:
    names = [item.name for item in files("agent_lab.flows.builtin").iterdir()]
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def test_the_catalogue_lists_exactly_the_shipped_files():
    assert "challenge" in shipped_files()
    assert list(FLOW_CONFIGS) == list_available_flows() == shipped_files()
    assert len(FLOW_CONFIGS) == len(shipped_files())


@pytest.mark.parametrize("name", shipped_files())
def test_a_shipped_flow_is_called_as_its_file(name: str):
    assert FLOW_CONFIGS[name].name == get_flow_config(name).name == name


@pytest.mark.parametrize("name", shipped_files())
async def test_a_shipped_flow_passes_its_own_tests_which_reach_every_node_and_edge(name: str):
    report = await run_flow_tests(get_flow_config(name))
    assert [(case.name, case.failures) for case in report.cases if case.failures] == []
    assert report.cases
    assert (report.unreached_nodes, report.untaken_edges) == ((), ())


@pytest.mark.parametrize("name", shipped_files())
def test_a_shipped_flow_speaks_english_and_spanish(name: str):
    flow = get_flow_config(name)
    texts: list[Any] = [flow.description, *(node.name for node in flow.nodes)]
    texts += [node.prompt_template for node in flow.nodes if node.is_role]
    texts += [flow.system_prompt] if flow.system_prompt else []
    texts += [flow_input.description for flow_input in flow.inputs.values()]
    for node in flow.nodes:
        for member in node.group.members.values() if node.group else ():
            texts += [member.name, *member.values.values()]
    for text in texts:
        assert isinstance(text, dict)
        assert set(text) == {"en", "es"}
        assert all(text.values())


def test_a_shipped_flow_is_read_once():
    assert get_flow_config("challenge") is FLOW_CONFIGS["challenge"]


def test_the_challenge_flow_is_creator_then_challenger_then_refiner():
    flow = get_challenge_flow_config()
    assert [node.id for node in flow.nodes] == ["creator", "challenger", "refiner"]
    assert flow.entry_point == "creator"
    assert flow.terminal_nodes() == ["refiner"]
    assert flow.answer_nodes()[0] == "refiner"


def test_an_unknown_flow_lists_the_near_ones_and_the_command_that_lists_all():
    with pytest.raises(UnknownFlowError) as caught:
        get_flow_config("chalenge")
    assert "did you mean `challenge`" in caught.value.message
    assert caught.value.hint == "agent-lab flows list"
    assert caught.value.details["known"] == list_available_flows()


@pytest.mark.parametrize("name", ["", "../challenge", "builtin/challenge", "challenge.json"])
def test_a_name_is_never_taken_as_a_path(name: str):
    assert name not in FLOW_CONFIGS
    with pytest.raises(UnknownFlowError):
        get_flow_config(name)


def test_the_catalogue_raises_key_error_as_every_mapping_does():
    with pytest.raises(KeyError):
        FLOW_CONFIGS["nobody"]


def test_equal_flows_have_equal_versions():
    assert build(BASE).version == build(copy.deepcopy(BASE)).version


def test_a_version_is_a_short_hexadecimal_digest():
    version = build(BASE).version
    assert len(version) == 16
    int(version, 16)


@given(data=st.data())
def test_the_order_of_keys_makes_no_other_version(data: st.DataObject):
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: shuffled(value[k]) for k in data.draw(st.permutations(list(value)))}
        return [shuffled(v) for v in value] if isinstance(value, list) else value

    assert build(shuffled(BASE)).version == build(BASE).version


def test_a_default_that_is_written_out_makes_no_other_version():
    spelled = copy.deepcopy(BASE)
    spelled["nodes"][1] |= {"type": "execution", "role": "", "config": {}, "temperature": None}
    assert build(spelled).version == build(BASE).version


def test_a_flow_read_back_from_its_json_has_the_same_version():
    flow = build(BASE)
    assert FlowConfig.model_validate_json(flow.model_dump_json()).version == flow.version


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_makes_another_version(change: Change):
    changed = copy.deepcopy(BASE)
    change(changed)
    assert build(changed) != build(BASE)
    assert build(changed).version != build(BASE).version


def test_every_field_of_flow_and_node_has_a_change_that_is_tested():
    assert set(FlowConfig.model_fields) - {"nodes", "edges", "schema_"} <= set(CHANGES)
    told = {name.split()[-1].replace("prompt", "prompt_template") for name in CHANGES}
    assert set(NodeConfig.model_fields) <= told


def test_the_first_labs_model_hint_is_the_model():
    node = NodeConfig.model_validate({"id": "a", "model_hint": "smollm2-135m"})
    assert node == NodeConfig(id="a", model="smollm2-135m")


def test_a_flow_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        build(BASE).name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.update(name="Mine"),
        lambda f: f.update(name="../mine"),
        lambda f: f.update(name="a" * 65),
        lambda f: f.update(name="mine\n"),
        lambda f: f.update(nodes=[]),
        lambda f: f.update(surprise=1),
        lambda f: f.pop("entry_point"),
        lambda f: f["nodes"][0].update(id="Draft"),
        lambda f: f["nodes"][0].update(id="draft-1"),
        lambda f: f["nodes"][0].update(id="1draft"),
        lambda f: f["nodes"][0].update(command="rm"),
        lambda f: f["nodes"][0].update(temperature=2.1),
        lambda f: f["nodes"][0].update(max_tokens=0),
        lambda f: f["nodes"][0].update(prompt_template={"fr": "Résous."}),
        lambda f: f["edges"][0].update(condition="round >= 2"),
        lambda f: f["edges"][0].update(condition={"op": "eval", "left": 1, "right": 1}),
        lambda f: f["edges"][0].pop("target"),
    ],
)
def test_a_definition_that_breaks_a_rule_is_refused(change: Change):
    broken = copy.deepcopy(BASE)
    change(broken)
    with pytest.raises(ValidationError):
        build(broken)
    with pytest.raises(ValidationError):
        FlowConfig.model_validate_json(json.dumps(broken))


def test_the_speaker_is_the_role_or_else_the_id():
    assert [node.speaker for node in build(BASE).nodes] == ["author", "final"]


def test_roles_are_listed_once_in_the_order_of_the_nodes():
    nodes = [{"id": i, "role": r} for i, r in [("a", "judge"), ("b", ""), ("c", "judge")]]
    assert build(BASE | {"nodes": nodes}).roles() == ["judge", "b"]


def test_a_node_is_found_by_its_id():
    assert build(BASE).node("final").id == "final"


def test_edges_leave_a_node_in_the_order_of_the_flow():
    edges = [{"source": s, "target": t} for s, t in zip("baaa", "cbca", strict=True)]
    flow = build(BASE | {"edges": edges})
    assert [edge.target for edge in flow.edges_from("a")] == ["b", "c", "a"]
    assert flow.edges_from("c") == []


def test_a_flow_can_end_after_every_node_without_an_edge_that_is_always_taken():
    condition = {"op": "eq", "left": 1, "right": 1}
    flow = build(
        BASE
        | {
            "nodes": [{"id": i} for i in "abcd"],
            "edges": [
                {"source": "a", "target": "b"},
                {"source": "a", "target": "c", "condition": condition},
                {"source": "b", "target": "d", "condition": condition},
            ],
            "output": [],
        }
    )
    assert flow.terminal_nodes() == ["b", "c", "d"]
    assert flow.answer_nodes() == ("b", "c", "d")


def test_the_answer_comes_from_the_named_nodes_where_some_are_named():
    assert build(BASE | {"output": ["draft"]}).answer_nodes() == ("draft",)


def test_a_changed_copy_has_a_version_of_its_own():
    flow = get_flow_config("single")
    assert flow.model_copy(update={"name": "other"}).version != flow.version
    assert flow.model_copy().version == flow.version
