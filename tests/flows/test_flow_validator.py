import re
from typing import Any

import pytest

from agent_lab.errors import InvalidFlowError
from agent_lab.flows.flow_validator import STATE_NAMES, known_names, validate
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig

NODE_TYPES = {"execution", "vote"}
OPEN = {"op": "eq", "left": {"var": "b_output"}, "right": "go on"}


def edge(source: str, target: str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"source": source, "target": target, "condition": condition}


def flow_of(*ids: str, edges: list[dict[str, Any]], **fields: Any) -> FlowConfig:
    """A flow whose nodes hold nothing but their id, entered at the first of them."""
    return FlowConfig.model_validate(
        {
            "name": "mine",
            "nodes": [{"id": node_id} for node_id in ids],
            "edges": edges,
            "entry_point": ids[0],
            **fields,
        }
    )


def faults_of(flow: FlowConfig) -> tuple[str, ...]:
    with pytest.raises(InvalidFlowError) as caught:
        validate(flow, NODE_TYPES)
    assert f"`{flow.name}`" in caught.value.message
    return caught.value.faults


def only_fault_of(flow: FlowConfig) -> str:
    faults = faults_of(flow)
    assert len(faults) == 1, faults
    return faults[0]


def quoted(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


LINE = [edge("a", "b"), edge("b", "c")]


# --- flows that can run -------------------------------------------------------------------------


@pytest.mark.parametrize("name", FLOW_CONFIGS)
def test_every_shipped_flow_is_valid(name: str):
    validate(FLOW_CONFIGS[name], {"execution"})


VALID = {
    "one node alone": flow_of("a", edges=[]),
    "a line": flow_of("a", "b", "c", edges=LINE),
    "several terminals": flow_of("a", "b", "c", edges=[edge("a", "b"), edge("a", "c")]),
    "a join": flow_of(
        *"abcd", edges=[edge("a", "b"), edge("a", "c"), edge("b", "d"), edge("c", "d")]
    ),
    "a terminal inside a branch": flow_of("a", "b", edges=[edge("a", "b", OPEN)]),
    "a branch with an otherwise": flow_of(
        "a", "b", "c", edges=[edge("a", "b", OPEN), edge("a", "c")]
    ),
    "a loop whose way back has a condition": flow_of(
        "a", "b", edges=[edge("a", "b"), edge("b", "a", OPEN)]
    ),
    "a loop whose way out has a condition": flow_of(
        "a", "b", "c", edges=[edge("a", "b"), edge("b", "c", OPEN), edge("b", "a")]
    ),
    "a loop on itself with a condition": flow_of(
        "a", "b", edges=[edge("a", "b"), edge("b", "b", OPEN)]
    ),
    "a loop inside a loop": flow_of(
        *"abc",
        edges=[
            edge("a", "b"),
            edge("b", "a", OPEN),
            edge("b", "c"),
            edge("c", "a", OPEN),
        ],
    ),
}


@pytest.mark.parametrize("flow", VALID.values(), ids=VALID)
def test_a_flow_that_can_run_and_end_is_valid(flow: FlowConfig):
    validate(flow, NODE_TYPES)


def test_every_known_name_may_stand_in_a_prompt():
    template = " ".join(f"{{{name}}}" for name in sorted(STATE_NAMES | {"a_output", "b_output"}))
    nodes = [{"id": "a", "prompt_template": template}, {"id": "b"}]
    validate(flow_of("a", "b", edges=[edge("a", "b")], nodes=nodes), NODE_TYPES)


def test_every_known_name_may_stand_in_a_condition():
    line = flow_of("a", "b", edges=[edge("a", "b")])
    names = known_names(line)
    assert names >= STATE_NAMES | {
        f"{node}_{what}" for node in "ab" for what in ("output", "status", "visits")
    }
    conditions = [{"op": "eq", "left": {"var": name}, "right": 1} for name in sorted(names)]
    edges = [edge("a", "b", {"op": "or", "of": conditions})]
    validate(flow_of("a", "b", edges=edges), NODE_TYPES)


def test_braces_that_ask_for_nothing_are_no_fault():
    template = '{"a": 1} {{nobody}} {x.__class__} {x!r}'
    validate(flow_of("a", edges=[], nodes=[{"id": "a", "prompt_template": template}]), NODE_TYPES)


# --- each fault alone ---------------------------------------------------------------------------


def test_a_node_id_that_two_nodes_have_is_a_fault():
    fault = only_fault_of(flow_of("a", "b", "b", edges=[edge("a", "b")]))
    assert fault == "2 nodes are called `b`; ids must differ."


def test_an_unknown_node_type_is_a_fault_that_lists_the_known_ones():
    flow = flow_of("a", edges=[], nodes=[{"id": "a", "type": "shell"}])
    assert quoted(only_fault_of(flow)) == {"a", "shell", *NODE_TYPES}


def test_an_entry_point_that_is_no_node_is_a_fault_that_lists_the_nodes():
    fault = only_fault_of(flow_of("a", "b", edges=[edge("a", "b")], entry_point="start"))
    assert "entry point `start`" in fault
    assert quoted(fault) == {"start", "a", "b"}


@pytest.mark.parametrize(
    "dangling", [edge("a", "ghost"), edge("ghost", "b")], ids=["target", "source"]
)
def test_an_edge_to_or_from_no_node_is_a_fault_that_names_it(dangling: dict[str, Any]):
    fault = only_fault_of(flow_of("a", "b", edges=[edge("a", "b"), dangling]))
    assert f"`{dangling['source']}` → `{dangling['target']}` names `ghost`" in fault
    assert quoted(fault) == {"ghost", "a", "b"}


def test_an_output_that_is_no_node_is_a_fault_that_lists_the_nodes():
    fault = only_fault_of(flow_of("a", "b", edges=[edge("a", "b")], output=["b", "refiner"]))
    assert "`output` names `refiner`" in fault
    assert quoted(fault) == {"output", "refiner", "a", "b"}


def test_a_node_that_no_edge_leads_to_is_a_fault():
    fault = only_fault_of(flow_of("a", "b", "c", edges=[edge("a", "b")]))
    assert fault == "Node `c` cannot be reached from `a`."


def test_nodes_that_only_each_other_lead_to_are_each_a_fault():
    flow = flow_of("a", "b", "c", edges=[edge("b", "c", OPEN), edge("c", "b", OPEN)])
    assert faults_of(flow) == (
        "Node `b` cannot be reached from `a`.",
        "Node `c` cannot be reached from `a`.",
    )


def test_a_loop_without_a_way_out_is_a_fault_that_names_its_nodes():
    fault = only_fault_of(flow_of("a", "b", edges=[edge("a", "b"), edge("b", "a")]))
    assert "no way out" in fault
    assert quoted(fault) == {"a", "b"}


def test_a_node_that_follows_itself_is_a_loop_without_a_way_out():
    fault = only_fault_of(flow_of("a", edges=[edge("a", "a")]))
    assert "no way out" in fault
    assert quoted(fault) == {"a"}


def test_a_condition_that_leads_only_into_the_loop_is_no_way_out():
    flow = flow_of("a", "b", edges=[edge("a", "b", OPEN), edge("a", "a"), edge("b", "a")])
    assert quoted(only_fault_of(flow)) == {"a", "b"}


def test_an_endless_loop_in_one_branch_is_a_fault_although_another_branch_ends():
    flow = flow_of(
        *"abcd",
        edges=[edge("a", "b", OPEN), edge("a", "d"), edge("b", "c"), edge("c", "b")],
    )
    assert quoted(only_fault_of(flow)) == {"b", "c"}


def test_the_nodes_before_an_endless_loop_are_not_named_as_its_nodes():
    flow = flow_of("a", "b", "c", edges=[edge("a", "b"), edge("b", "c"), edge("c", "b")])
    assert quoted(only_fault_of(flow)) == {"b", "c"}


def test_a_loop_that_a_second_unconditional_edge_leaves_is_endless_all_the_same():
    # Edges without a condition are all taken: a goes to c and, each time, to b, which comes back.
    flow = flow_of("a", "b", "c", edges=[edge("a", "b"), edge("a", "c"), edge("b", "a")])
    assert quoted(only_fault_of(flow)) == {"a", "b"}


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("{creater_output}", "prompt_template:"),
        ({"en": "{a_output}", "es": "{creater_output}"}, "prompt_template.es:"),
    ],
)
def test_an_unknown_placeholder_is_a_fault_that_lists_the_known_ones(template: Any, place: str):
    nodes = [{"id": "a", "prompt_template": template}]
    fault = only_fault_of(flow_of("a", edges=[], nodes=nodes))
    assert fault.startswith(f"Node `a`, {place} `{{creater_output}}` is unknown")
    assert quoted(fault) == {"a", "{creater_output}", "a_output", *STATE_NAMES}


def test_what_only_conditions_can_read_is_unknown_in_a_prompt():
    nodes = [{"id": "a", "prompt_template": "{a_status}"}]
    assert "`{a_status}` is unknown" in only_fault_of(flow_of("a", edges=[], nodes=nodes))


def test_a_condition_on_an_unknown_name_is_a_fault_that_lists_the_known_ones():
    condition = {"op": "not", "of": [{"op": "gte", "left": 1, "right": {"var": "b_score"}}]}
    flow = flow_of("a", "b", edges=[edge("a", "b", condition)])
    fault = only_fault_of(flow)
    assert fault.startswith("The edge `a` → `b` reads `b_score`")
    assert quoted(fault) == {"a", "b", "b_score", *known_names(flow)}


# --- several faults -----------------------------------------------------------------------------


def test_every_fault_that_names_something_is_told_at_once():
    flow = FlowConfig.model_validate(
        {
            "name": "broken",
            "entry_point": "start",
            "output": ["refiner"],
            "nodes": [
                {"id": "a", "type": "shell"},
                {"id": "b", "prompt_template": {"en": "{one}", "es": "{two}"}},
                {"id": "b"},
            ],
            "edges": [
                edge("a", "ghost"),
                edge("a", "b", {"op": "eq", "left": {"var": "nobody"}, "right": 1}),
            ],
        }
    )
    faults = faults_of(flow)
    for part in (
        "called `b`",
        "type `shell`",
        "entry point `start`",
        "names `ghost`",
        "`output` names `refiner`",
        "prompt_template.en: `{one}`",
        "prompt_template.es: `{two}`",
        "reads `nobody`",
    ):
        assert [part in fault for fault in faults].count(True) == 1, part
    assert len(faults) == 8


def test_every_fault_of_paths_is_told_at_once_with_those_of_texts():
    flow = flow_of(
        *"abcd",
        edges=[edge("a", "b"), edge("b", "a"), edge("c", "d", OPEN | {"left": {"var": "x"}})],
        nodes=[{"id": "a", "prompt_template": "{y}"}, {"id": "b"}, {"id": "c"}, {"id": "d"}],
    )
    faults = faults_of(flow)
    for part in ("`c` cannot be", "`d` cannot be", "no way out", "`{y}`", "reads `x`"):
        assert [part in fault for fault in faults].count(True) == 1, part
    assert len(faults) == 5


@pytest.mark.parametrize(
    "also",
    [
        {"nodes": [{"id": "a"}, {"id": "b"}, {"id": "c", "type": "shell"}]},
        {"output": ["refiner"]},
    ],
    ids=["unknown type", "unknown output"],
)
def test_a_wrong_name_off_the_paths_does_not_hide_the_faults_of_the_paths(also: dict[str, Any]):
    flow = flow_of("a", "b", "c", edges=[edge("a", "b"), edge("b", "a")], **also)
    text = " ".join(faults_of(flow))
    assert "`c` cannot be reached" in text
    assert "no way out" in text


def test_faults_stand_in_the_flows_order_in_every_process():
    # 20 edges with two wrong ends each: that many do not come out in order by chance.
    edges = [edge(f"from_{i:02}", f"to_{i:02}") for i in range(20)]
    named = [re.search(r"names `(\w+)`", fault) for fault in faults_of(flow_of("a", edges=edges))]
    assert [match[1] for match in named if match] == [
        f"{end}_{i:02}" for i in range(20) for end in ("from", "to")
    ]
