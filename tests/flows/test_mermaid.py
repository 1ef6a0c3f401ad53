"""Flows as pictures. `SNAPSHOTS=write pytest tests/flows/test_mermaid.py` renews the kept ones."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from agent_lab.contracts import Language
from agent_lab.flows.conditions import AnyCondition, Condition
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig
from agent_lab.flows.mermaid import LONGEST_LABEL, described, escaped, loop_title, mermaid

SNAPSHOTS = Path(__file__).parent / "snapshots"
LABEL = r'"[^"\n]*"'
BOX = rf"n_\w+(?:\({LABEL}\)|\{{\{{{LABEL}\}}\}}|\[\[{LABEL}\]\])"
WAY = rf"\w+ (?:-->(?:\|{LABEL}\|)?|-\.->) \w+"
LINES = [
    "flowchart TD",
    rf" +(?:begin|finish)\(\({LABEL}\)\)",
    rf" +{BOX}",
    rf" +subgraph l_\d+\[{LABEL}\]",
    " +end",
    f"    {WAY}",
]
ANY_TEXT = st.text(max_size=30) | st.sampled_from(
    ['"', "a\nb", "]", "`x`", "<script>", "%%{init}%%", "click n_a href", "#quot;", "; end", "|"]
)
VARIABLE = {"var": "score"}


def condition(content: Any) -> AnyCondition:
    """A condition from its JSON."""
    read: AnyCondition = TypeAdapter(Condition).validate_python(content)
    return read


def compare(op: str, right: Any, name: str = "score") -> dict[str, Any]:
    """A comparison of a value with a constant."""
    return {"op": op, "left": {"var": name}, "right": right}


def kept(name: str, text: str) -> str:
    """What is kept of a text; it is written first where the environment says so."""
    path = SNAPSHOTS / name
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(text, "utf-8")
    return path.read_text("utf-8")


def flow(**fields: Any) -> FlowConfig:
    """A flow of three nodes: `first`, a `side` that may be left out, `last`."""
    content: dict[str, Any] = {
        "name": "three",
        "entry_point": "first",
        "nodes": [
            {"id": "first", "prompt_template": "Begin."},
            {"id": "side", "type": "resource_monitor"},
            {"id": "last", "type": "flow", "config": {"flow": "single"}},
        ],
        "edges": [
            {"source": "first", "target": "side", "condition": compare("gt", 1)},
            {"source": "first", "target": "last"},
            {"source": "side", "target": "last"},
        ],
    }
    return FlowConfig.model_validate(content | fields)


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize("name", list(FLOW_CONFIGS))
def test_a_shipped_flow_is_drawn_as_it_was(name: str, lang: Language):
    drawn = mermaid(plan_flow(FLOW_CONFIGS[name]), lang)
    assert drawn == kept(f"{name}.{lang}.mmd", drawn)


def test_the_shape_tells_what_kind_of_node_it_is():
    drawn = mermaid(plan_flow(flow()))
    assert '    n_first("first")\n' in drawn
    assert '    n_side{{"side"}}\n' in drawn
    assert '    n_last[["last<br/>flow single"]]\n' in drawn


def test_a_box_shows_the_written_name_and_the_id_where_it_differs():
    nodes = [
        {"id": "one_expert", "name": {"en": "One expert", "es": "Un experto"}},
        {"id": "two", "name": " "},
    ]
    plan = plan_flow(flow(nodes=nodes, entry_point="one_expert", edges=[]))
    assert 'n_one_expert("One expert")' in mermaid(plan)
    assert 'n_one_expert("Un experto<br/>one_expert")' in mermaid(plan, "es")
    assert 'n_two("two")' in mermaid(plan)


def test_a_way_without_a_condition_is_else_where_others_have_one():
    drawn = mermaid(plan_flow(flow()))
    assert '    n_first -->|"score #62; 1"| n_side\n' in drawn
    assert '    n_first -->|"else"| n_last\n' in drawn
    assert "    n_side --> n_last\n" in drawn


def test_a_flow_can_end_where_no_way_is_always_taken():
    edges = [{"source": "first", "target": "last", "condition": compare("eq", 1)}]
    drawn = mermaid(plan_flow(flow(edges=edges)))
    assert '    n_first -->|"else"| finish\n' in drawn
    assert "    n_last --> finish\n" in drawn


def test_a_loop_within_a_loop_is_a_frame_within_a_frame():
    inner = {"id": "inner", "first": "side", "last": "last", "max_rounds": 2, "counts": "retry"}
    outer = {"id": "outer", "first": "first", "last": "last", "max_rounds": 5}
    edges = [{"source": "first", "target": "side"}, {"source": "side", "target": "last"}]
    drawn = mermaid(plan_flow(flow(loops=[outer, inner], edges=edges)))
    boxes = drawn.split("finish")[0].splitlines()[2:]
    assert boxes == [
        '    subgraph l_0["rounds ≤ 5"]',
        '        n_first("first")',
        '        subgraph l_1["tries ≤ 2"]',
        '            n_side{{"side"}}',
        '            n_last[["last<br/>flow single"]]',
        "        end",
        "    end",
        "    ",
    ]
    assert "    n_last -.-> n_first\n    n_last -.-> n_side\n" in drawn


def test_a_flow_with_faults_is_drawn_as_far_as_it_goes():
    loop = {"id": "lost", "first": "nowhere", "last": "last", "max_rounds": {"input": "times"}}
    crossing = [
        {"id": "one", "first": "first", "last": "side", "max_rounds": 2},
        {"id": "two", "first": "side", "last": "last", "max_rounds": 2},
    ]
    edges = [
        {"source": "first", "target": "side"},
        {"source": "side", "target": "last"},
        {"source": "last", "target": "nowhere"},
    ]
    drawn = mermaid(plan_flow(flow(loops=[loop, *crossing], edges=edges, entry_point="nowhere")))
    assert "nowhere" not in drawn
    for node in ("first", "side", "last"):
        assert len(re.findall(rf"^ +n_{node}\W*\"", drawn, re.MULTILINE)) == 1
    assert drawn.count("subgraph") == len(re.findall("^ +end$", drawn, re.MULTILINE))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (compare("eq", 0, "open_issue_count"), "open_issue_count = 0"),
        (compare("ne", "failed"), "score ≠ failed"),
        (compare("gte", 0.5), "score ≥ 0.5"),
        (compare("lte", {"var": "other"}), "score ≤ other"),
        (compare("eq", True), "score = true"),
        (compare("eq", None), "score = null"),
        (compare("eq", "true"), 'score = "true"'),
        (compare("contains", "two words"), 'score contains "two words"'),
        ({"op": "route", "router": "judge", "to": "accept"}, "judge → accept"),
        ({"op": "and", "of": [compare("lt", 1), compare("gt", 2)]}, "score < 1 and score > 2"),
        ({"op": "not", "of": [compare("lt", 1)]}, "not (score < 1)"),
        ({"op": "not", "of": [compare("lt", 1), compare("gt", 2)]}, "not (score < 1 or score > 2)"),
        (
            {"op": "or", "of": [{"op": "and", "of": [compare("lt", 1)] * 2}, compare("gt", 2)]},
            "(score < 1 and score < 1) or score > 2",
        ),
    ],
)
def test_a_condition_is_described_as_people_write_it(content: Any, text: str):
    assert described(condition(content)) == text


def test_words_are_those_of_the_language():
    both = {"op": "or", "of": [compare("contains", "x"), {"op": "not", "of": [compare("lt", 1)]}]}
    assert described(condition(both), "es") == "score contiene x o no (score < 1)"
    loop = {"id": "a", "first": "a", "last": "b", "max_rounds": 3, "until": compare("gt", 1)}
    [told] = flow(loops=[loop]).loops
    assert loop_title(told, "es") == "rondas ≤ 3 hasta score > 1"


def test_a_long_text_is_cut():
    assert escaped("x" * 1000) == "x" * (LONGEST_LABEL - 1) + "…"


@given(
    names=st.lists(ANY_TEXT, min_size=3, max_size=3),
    texts=st.lists(ANY_TEXT, min_size=4, max_size=4),
)
def test_no_text_can_leave_its_label(names: list[str], texts: list[str]):
    conditions = [
        {"op": "route", "router": texts[0], "to": texts[1]},
        {"op": "eq", "left": {"var": texts[2]}, "right": texts[3]},
    ]
    nodes = [
        {"id": "first", "name": names[0], "prompt_template": "x"},
        {"id": "side", "name": names[1], "type": "resource_monitor"},
        {"id": "last", "name": {"en": names[2]}, "type": "flow", "config": {"flow": texts[0]}},
    ]
    ways = [("first", "side"), ("side", "last")]
    edges = [
        {"source": source, "target": target, "condition": way}
        for (source, target), way in zip(ways, conditions, strict=True)
    ]
    loop = {
        "id": "again",
        "first": "first",
        "last": "last",
        "max_rounds": 3,
        "until": {"op": "or", "of": conditions},
    }
    drawn = mermaid(plan_flow(flow(nodes=nodes, edges=edges, loops=[loop])))
    lines = drawn.split("\n")
    # Header, start, frame and its end, three nodes, end; start → first, two edges, the way back,
    # and three ways to the end: first and side may take none of theirs. The last line is empty.
    assert len(lines) == 8 + 1 + 2 + 1 + 3 + 1
    assert drawn.splitlines() == lines[:-1]
    for line in lines[:-1]:
        assert any(re.fullmatch(pattern, line) for pattern in LINES), line


@given(ANY_TEXT)
def test_a_label_holds_no_sign_with_a_meaning(text: str):
    without_entities = re.sub(r"#\d+;", "", escaped(text))
    assert not set(without_entities) & set('"`<>&#;:%{}[]()|\\/$*-.@~\n\r\t')


def test_a_loop_that_begins_with_a_group_goes_back_to_each_of_its_members():
    group: dict[str, Any] = {"members": {"x": {}, "y": {}}}
    config = FlowConfig.model_validate(
        {
            "name": "test",
            "entry_point": "a",
            "nodes": [{"id": "a"}, {"id": "e", "group": group}, {"id": "b"}],
            "edges": [
                {"source": "a", "target": "e", "condition": compare("eq", True, "a_settled")},
                {"source": "e", "target": "b"},
            ],
            "loops": [{"id": "rounds", "first": "e", "last": "b", "max_rounds": 2}],
        }
    )
    lines = [line.strip() for line in mermaid(plan_flow(config), "en").splitlines()]
    assert "n_b -.-> n_x_e" in lines
    assert "n_b -.-> n_y_e" in lines
    begin = next(i for i, line in enumerate(lines) if line.startswith("subgraph"))
    inside = lines[begin + 1 : lines.index("end", begin)]
    assert [line.split("(")[0] for line in inside] == ["n_x_e", "n_y_e", "n_b"]
    # A condition that leads to a group leads to each of its members, and is said each time.
    said = [line for line in lines if line.startswith("n_a -->|")]
    assert [line.rsplit(" ", 1)[1] for line in said if "else" not in line] == ["n_x_e", "n_y_e"]
    assert len({line.split("|")[1] for line in said if "else" not in line}) == 1
