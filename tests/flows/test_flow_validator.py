"""Every rule that a flow must keep: each fault alone, and the nearest flow that is right."""

import copy
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_lab.config import load_settings
from agent_lab.contracts import RunRequest
from agent_lab.errors import InvalidFlowError
from agent_lab.flows import flow_validator
from agent_lab.flows.catalogue import Catalogue, NodeKind
from agent_lab.flows.course import Course
from agent_lab.flows.flow_validator import MOST_FAULTS, check_flow, read_flow, validate
from agent_lab.flows.graph_configs import FLOW_CONFIGS
from agent_lab.flows.names import (
    PROMPT_ONLY,
    condition_names,
    own_prompt_names,
    prompt_names,
)
from agent_lab.flows.validation.faults import Fault, near
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.model_facts import with_models
from agent_lab.orchestrator.node_types import NodeType
from agent_lab.orchestrator.routers import ROUTERS, Router
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.conftest import REPOSITORY
from tests.flows.catalogues import (
    OFTEN,
    SHORT,
    Json,
    bare,
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


class Case(NamedTuple):
    """A flow with one fault, and the nearest one without it."""

    wrong: Json
    right: Json
    code: str
    node: str
    field: str
    reason: str
    fix: str
    severity: Literal["error", "warning"] = "error"
    wrong_in: Mapping[str, Any] = MappingProxyType({})
    """Of the catalogue."""
    right_in: Mapping[str, Any] = MappingProxyType({})

    @property
    def fault(self) -> Fault:
        return Fault(
            code=self.code,
            severity=self.severity,
            node=self.node,
            field=self.field,
            reason=self.reason,
            fix=self.fix,
        )


def is_equal(name: str, value: Any = 1) -> Json:
    return {"op": "eq", "left": {"var": name}, "right": value}


def routed(router: str, to: str) -> Json:
    return {"op": "route", "router": router, "to": to}


def either(*conditions: Json) -> Json:
    return {"op": "or", "of": list(conditions)}


def edge(source: str, target: str, condition: Json | None = None) -> Json:
    return {"source": source, "target": target, "condition": condition}


def case_of(**fields: Any) -> Json:
    """A test that a flow carries."""
    return {"name": "a test", "script": {"a": "x"}, "expect": {}, **fields}


def integer(default: int = 2, **fields: Any) -> Json:
    return {"type": "integer", "default": default, **fields}


def named_chain(last: Json) -> Json:
    """Two flows, the first of which runs the second one."""
    return {"second": named("second", flow(subflow("in", "third"))), "third": named("third", last)}


def deep(name: str) -> Json:
    """A condition whose innermost part reads a name."""
    inner = {"op": "gt", "left": 1, "right": {"var": name}}
    return {"op": "not", "of": [{"op": "and", "of": [OFTEN, either(OFTEN, inner)]}]}


def codes(report: flow_validator.FlowReport) -> list[str]:
    return [fault.code for fault in report.faults]


CASES: dict[str, Case] = {
    "two nodes have one id": Case(
        flow("a", "b", "b", edges="a-b"),
        flow("a", "b", "c", edges="a-b, b-c"),
        "duplicate_node",
        "b",
        "id",
        "2 nodes are called `b`; ids must differ.",
        "Give all but one of them another id.",
    ),
    "a node has the id of a group's member": Case(
        flow("a", group("e", "x"), "x_e", edges="a-e, e-x_e"),
        flow("a", group("e", "x"), "y_e", edges="a-e, e-y_e"),
        "duplicate_node",
        "x_e",
        "id",
        "2 nodes are called `x_e`; ids must differ.",
        "Ids of groups' members and older ids count, too: change one of them.",
    ),
    "an older id of a node is another node's id": Case(
        flow("a", {"id": "b", "aliases": ["a"]}, edges="a-b"),
        flow("a", {"id": "b", "aliases": ["c"]}, edges="a-b"),
        "duplicate_node",
        "a",
        "id",
        "2 nodes are called `a`; ids must differ.",
        "Ids of groups' members and older ids count, too: change one of them.",
    ),
    "the entry point is no node": Case(
        flow("creator", entry_point="creater"),
        flow("creator"),
        "unknown_node",
        "",
        "entry_point",
        "The entry point names `creater`, which is no node.",
        "Did you mean `creator`?",
    ),
    "an edge leads to no node": Case(
        flow("a", "b", edges="a-b, a-bb"),
        flow("a", "b", edges="a-b"),
        "unknown_node",
        "",
        "edges[1]",
        "The edge `a` → `bb` names `bb`, which is no node.",
        "Did you mean `b`?",
    ),
    "an edge comes from no node": Case(
        flow("start", "b", edges="start-b, stard-b"),
        flow("start", "b", edges="start-b"),
        "unknown_node",
        "",
        "edges[1]",
        "The edge `stard` → `b` names `stard`, which is no node.",
        "Did you mean `start`?",
    ),
    "both ends of an edge are the same name of no node": Case(
        flow("a", edges="x-x"),
        flow("a"),
        "unknown_node",
        "",
        "edges[0]",
        "The edge `x` → `x` names `x`, which is no node.",
        "Known are `a`.",
    ),
    "the output is no node": Case(
        flow("a", "final", edges="a-final", output=["finel", "a"]),
        flow("a", "final", edges="a-final", output=["final", "a"]),
        "unknown_node",
        "",
        "output",
        "`output` names `finel`, which is no node.",
        "Did you mean `final`?",
    ),
    "a loop begins with no node": Case(
        flow("a", "b", edges="a-b", loops=[loop("c", "b")]),
        flow("a", "b", edges="a-b", loops=[loop("a", "b")]),
        "unknown_node",
        "",
        "loops[0]",
        "The loop `rounds` names `c`, which is no node.",
        "Known are `a`, `b`.",
    ),
    "a critique is of no node": Case(
        flow(
            "creator",
            {
                "id": "challenger",
                "type": "critique",
                "config": {"drafts": ["creater"]},
                "prompt_template": "{draft}",
            },
            edges="creator-challenger",
        ),
        flow(
            "creator",
            {
                "id": "challenger",
                "type": "critique",
                "config": {"drafts": ["creator"]},
                "prompt_template": "{draft}",
            },
            edges="creator-challenger",
        ),
        "unknown_node",
        "challenger",
        "config.drafts",
        "`creater` is no node.",
        "Did you mean `creator`?",
    ),
    "a validator checks no node": Case(
        flow("a", validator("v", "aa"), edges="a-v"),
        flow("a", validator("v", "a"), edges="a-v"),
        "unknown_node",
        "v",
        "config.answer",
        "`aa` is no node.",
        "Did you mean `a`?",
    ),
    "a validator checks a whole group": Case(
        flow(group("e", "x", "y"), validator("v", "e"), edges="e-v"),
        flow(group("e", "x", "y"), validator("v", "x_e"), edges="e-v"),
        "unknown_node",
        "v",
        "config.answer",
        "`e` stands for `x_e`, `y_e`; here stands the id of one node.",
        "Name `x_e`, `y_e`.",
    ),
    "a type of node is unknown": Case(
        flow({"id": "a", "type": "exekution"}),
        flow({"id": "a", "type": "execution"}),
        "unknown_type",
        "a",
        "type",
        "The node type `exekution` is unknown.",
        "Did you mean `execution`?",
    ),
    "a field of every node stands in config": Case(
        flow({"id": "a", "config": {"temperature": 0.5}}),
        flow({"id": "a", "temperature": 0.5}),
        "wrong_config",
        "a",
        "config.temperature",
        "`temperature` in `config` would be ignored.",
        "Write it as `temperature` of the node itself.",
    ),
    "a field of config is misspelt": Case(
        flow(
            "a",
            validator("v", "a") | {"config": {"answer": "a", "checks": [SHORT], "treshold": 0.5}},
            edges="a-v",
        ),
        flow(
            "a",
            validator("v", "a") | {"config": {"answer": "a", "checks": [SHORT], "threshold": 0.5}},
            edges="a-v",
        ),
        "wrong_config",
        "v",
        "config.treshold",
        "`treshold` in `config` would be ignored.",
        "Did you mean `threshold`?",
    ),
    "a field of config lacks": Case(
        flow(
            "a", {"id": "v", "type": "output_validator", "config": {"checks": [SHORT]}}, edges="a-v"
        ),
        flow("a", validator("v", "a"), edges="a-v"),
        "wrong_config",
        "v",
        "config.answer",
        "Field required.",
        "`output_validator` understands `answer`, `checks`, `threshold` in `config`.",
    ),
    "a check is of no kind": Case(
        flow("a", validator("v", "a", {"check": "smell"}), edges="a-v"),
        flow("a", validator("v", "a", {"check": "json"}), edges="a-v"),
        "wrong_config",
        "v",
        "config.checks[0]",
        (
            "Input tag 'smell' found using 'check' does not match any of the expected tags: "
            "'length', 'json', 'regex', 'judge'."
        ),
        "`output_validator` understands `answer`, `checks`, `threshold` in `config`.",
    ),
    "a check can never pass": Case(
        flow(
            "a",
            validator("v", "a", {"check": "length", "min_words": 9, "max_words": 1}),
            edges="a-v",
        ),
        flow(
            "a",
            validator("v", "a", {"check": "length", "min_words": 1, "max_words": 9}),
            edges="a-v",
        ),
        "wrong_config",
        "v",
        "config.checks[0]",
        "A minimum is above its maximum.",
        "`output_validator` understands `answer`, `checks`, `threshold` in `config`.",
    ),
    "a pattern could hang": Case(
        flow("a", validator("v", "a", {"check": "regex", "pattern": "(?=a)"}), edges="a-v"),
        flow("a", validator("v", "a", {"check": "regex", "pattern": "a+"}), edges="a-v"),
        "wrong_config",
        "v",
        "config.checks[0]",
        (
            "`pattern` is no regular expression without look-around and back-references: "
            '"(?=a)" is not a "regex".'
        ),
        "`output_validator` understands `answer`, `checks`, `threshold` in `config`.",
    ),
    "a default is below its own minimum": Case(
        flow("a", inputs={"n": integer(0, minimum=1)}),
        flow("a", inputs={"n": integer(1, minimum=1)}),
        "wrong_input",
        "",
        "inputs.n.default",
        "The default of the input `n` is less than 1.",
        "Change the default, or what the input takes.",
    ),
    "a loop's bound is a text": Case(
        flow(
            "a",
            loops=[loop("a", "a", {"input": "n"})],
            inputs={"n": {"type": "string", "default": "two"}},
        ),
        flow("a", loops=[loop("a", "a", {"input": "n"})], inputs={"n": integer()}),
        "wrong_input",
        "",
        "loops[0].max_rounds",
        "The input `n` is of the type `string`; here stands `integer`.",
        "Name an input of the type `integer`.",
    ),
    "a text says who takes part": Case(
        flow(
            group("e", "x", chosen={"input": "n"}), inputs={"n": {"type": "string", "default": "x"}}
        ),
        flow(
            group("e", "x", chosen={"input": "n"}),
            inputs={"n": {"type": "members", "default": ["x"]}},
        ),
        "wrong_input",
        "e",
        "group.chosen",
        "The input `n` is of the type `string`; here stands `members`.",
        "Name an input of the type `members`.",
    ),
    "a loop's bound is above what loops take": Case(
        flow("a", loops=[loop("a", "a", {"input": "n"})], inputs={"n": integer(1001)}),
        flow("a", loops=[loop("a", "a", {"input": "n"})], inputs={"n": integer(1000)}),
        "wrong_input",
        "",
        "inputs",
        "The loop `rounds` cannot take 1001 as its bound; it takes 1 to 1000.",
        "minimum and maximum of the input",
    ),
    "a loop's bound is an unknown input": Case(
        flow("a", loops=[loop("a", "a", {"input": "rouns"})], inputs={"rounds": integer()}),
        flow("a", loops=[loop("a", "a", {"input": "rounds"})], inputs={"rounds": integer()}),
        "unknown_input",
        "",
        "loops[0].max_rounds",
        "`rouns` is no input of the flow.",
        "Did you mean `rounds`?",
    ),
    "config refers to an unknown input": Case(
        flow(
            "a",
            validator("v", "a")
            | {"config": {"answer": "a", "checks": [SHORT], "threshold": {"input": "x"}}},
            edges="a-v",
        ),
        flow(
            "a",
            validator("v", "a")
            | {"config": {"answer": "a", "checks": [SHORT], "threshold": {"input": "x"}}},
            edges="a-v",
            inputs={"x": {"type": "number", "default": 0.5}},
        ),
        "unknown_input",
        "v",
        "config.threshold",
        "`x` is no input of the flow.",
        "There are none.",
    ),
    "an unknown input says who takes part": Case(
        flow(group("e", "x", chosen={"input": "who"})),
        flow(
            group("e", "x", chosen={"input": "who"}),
            inputs={"who": {"type": "members", "default": ["x"]}},
        ),
        "unknown_input",
        "e",
        "group.chosen",
        "`who` is no input of the flow.",
        "There are none.",
    ),
    "an input is called as the task": Case(
        flow("a", inputs={"user_input": integer()}),
        flow("a", inputs={"user_inputs": integer()}),
        "taken_name",
        "",
        "inputs.user_input",
        "`user_input` already means something in prompts and conditions.",
        "Give it another name.",
    ),
    "an input is called as what only prompts can ask for": Case(
        flow("a", inputs={"history": integer()}),
        flow("a", inputs={"histories": integer()}),
        "taken_name",
        "",
        "inputs.history",
        "`history` already means something in prompts and conditions.",
        "Give it another name.",
    ),
    "an input is called as a node's text": Case(
        flow("a", inputs={"a_output": integer()}),
        flow("a", inputs={"b_output": integer()}),
        "taken_name",
        "",
        "inputs.a_output",
        "`a_output` already means something in prompts and conditions.",
        "Give it another name.",
    ),
    "a value is called as the language": Case(
        flow(node("a", "{lang}", values={"lang": "x"})),
        flow(node("a", "{tongue}", values={"tongue": "x"})),
        "taken_name",
        "a",
        "values.lang",
        "`lang` already means something in prompts and conditions.",
        "Give it another name.",
    ),
    "a node's text would be called as the text before": Case(
        flow("a", "previous", edges="a-previous"),
        flow("a", "last", edges="a-last"),
        "taken_name",
        "previous",
        "id",
        "`previous_output` already means something in prompts and conditions.",
        "Give the node another id.",
    ),
    "a group has no members": Case(
        flow("a", group("e"), edges="a-e"),
        flow("a", group("e", "x"), edges="a-e"),
        "empty_group",
        "e",
        "group.members",
        "The group `e` has no members: nobody would take part.",
        'Describe some: "members": {"ID": {"name": …, "values": …}}.',
    ),
    "a member that takes part is unknown": Case(
        flow(group("e", "security", "ux", chosen=["securty"])),
        flow(group("e", "security", "ux", chosen=["security"])),
        "unknown_member",
        "e",
        "group.chosen",
        "The group `e` has no member `securty`.",
        "Did you mean `security`?",
    ),
    "a member that takes part by default is unknown": Case(
        flow(
            group("e", "security", "ux", chosen={"input": "who"}),
            inputs={"who": {"type": "members", "default": ["securty"]}},
        ),
        flow(
            group("e", "security", "ux", chosen={"input": "who"}),
            inputs={"who": {"type": "members", "default": ["security"]}},
        ),
        "unknown_member",
        "e",
        "group.chosen",
        "The group `e` has no member `securty`.",
        "Did you mean `security`?",
    ),
    "no edge leads to a node": Case(
        flow("a", "b", "c", edges="a-b"),
        flow("a", "b", "c", edges="a-b, b-c"),
        "unreachable",
        "c",
        "edges",
        "`c` cannot be reached from `a`.",
        'Add an edge to it, such as {"source": "a", "target": "c"}.',
    ),
    "no edge leads to a group": Case(
        flow("a", group("e", "x", "y"), edges=""),
        flow("a", group("e", "x", "y"), edges="a-e", output=["e"]),
        "unreachable",
        "e",
        "edges",
        "`e` cannot be reached from `a`.",
        'Add an edge to it, such as {"source": "a", "target": "e"}.',
    ),
    "edges make a circle": Case(
        flow("a", "b", "c", edges="a-b, b-c, c-b"),
        flow("a", "b", "c", edges="a-b, b-c", loops=[loop("b", "c")]),
        "unbounded_loop",
        "b",
        "edges",
        "Edges make a circle of `b`, `c`, with nothing that bounds it.",
        (
            'Take the edge back out, and add to `loops` {"id": "rounds", "first": "b", '
            '"last": "c", "max_rounds": 3, "until": CONDITION}.'
        ),
    ),
    "a condition is all that ends a circle": Case(
        flow("a", "b", edges="a-b, b?-a"),
        flow("a", "b", edges="a-b", loops=[loop("a", "b", until=OFTEN)]),
        "unbounded_loop",
        "a",
        "edges",
        "Edges make a circle of `a`, `b`, with nothing that bounds it.",
        (
            'Take the edge back out, and add to `loops` {"id": "rounds", "first": "a", '
            '"last": "b", "max_rounds": 3, "until": CONDITION}.'
        ),
    ),
    "an edge leads back to its own node": Case(
        flow("a", edges="a?-a"),
        flow("a", loops=[loop("a", "a")]),
        "unbounded_loop",
        "a",
        "edges",
        "Edges make a circle of `a`, with nothing that bounds it.",
        (
            'Take the edge back out, and add to `loops` {"id": "rounds", "first": "a", '
            '"last": "a", "max_rounds": 3, "until": CONDITION}.'
        ),
    ),
    "two loops have one id": Case(
        flow("a", "b", edges="a-b", loops=[loop("a", "a"), loop("b", "b")]),
        flow("a", "b", edges="a-b", loops=[loop("a", "a"), loop("b", "b") | {"id": "other"}]),
        "duplicate_loop",
        "",
        "loops[1]",
        "Two loops are called `rounds`; ids must differ.",
        "Give one of them another id.",
    ),
    "a loop's last node comes before its first": Case(
        flow("a", "b", edges="a-b", loops=[loop("b", "a")]),
        flow("a", "b", edges="a-b", loops=[loop("a", "b")]),
        "broken_loop",
        "b",
        "loops[0]",
        "No edges lead from `b` to `a`.",
        "Exchange `first` and `last`, or add the edges.",
    ),
    "an edge leads into the middle of a loop": Case(
        flow("a", "b", "c", "d", edges="a-b, b-c, a-c, c-d", loops=[loop("b", "c")]),
        flow("a", "b", "c", "d", edges="a-b, b-c, c-d", loops=[loop("b", "c")]),
        "broken_loop",
        "c",
        "loops[0]",
        "The edge `a` → `c` enters the loop `rounds`.",
        "Only `b` can be its way in.",
    ),
    "an edge leads out of the middle of a loop": Case(
        flow("a", "b", "c", "d", edges="a-b, b-c, b?-d, c-d", loops=[loop("b", "c")]),
        flow("a", "b", "c", "d", edges="a-b, b-c, c?-d", loops=[loop("b", "c")]),
        "broken_loop",
        "b",
        "loops[0]",
        "The edge `b` → `d` leaves the loop `rounds`.",
        "Only `c` can be its way out.",
    ),
    "an edge leads into a loop behind the group that begins it": Case(
        flow(
            "a",
            group("e", "x", "y"),
            "b",
            "c",
            edges="a-e, a-b, e-b, b-c",
            loops=[loop("e", "b")],
        ),
        flow("a", group("e", "x", "y"), "b", "c", edges="a-e, e-b, b-c", loops=[loop("e", "b")]),
        "broken_loop",
        "b",
        "loops[0]",
        "The edge `a` → `b` enters the loop `rounds`.",
        "Only `e` can be its way in.",
    ),
    "a member of the group that begins a loop leaves it": Case(
        flow(group("e", "x", "y"), "b", "c", edges="e-b, e?-c, b-c", loops=[loop("e", "b")]),
        flow(group("e", "x", "y"), "b", "c", edges="e-b, b-c", loops=[loop("e", "b")]),
        "broken_loop",
        "e",
        "loops[0]",
        "The edge `e` → `c` leaves the loop `rounds`.",
        "Only `b` can be its way out.",
    ),
    "two loops overlap": Case(
        flow(*"abc", edges="a-b, b-c", loops=[loop("a", "b"), loop("b", "c") | {"id": "other"}]),
        flow(*"abc", edges="a-b, b-c", loops=[loop("a", "c"), loop("b", "c") | {"id": "other"}]),
        "broken_loop",
        "b",
        "loops[1]",
        "The loops `rounds` and `other` overlap.",
        "Put one wholly into the other.",
    ),
    "a loop ends with a group": Case(
        flow("a", group("e", "x", "y"), "b", edges="a-e, e-b", loops=[loop("a", "e")]),
        flow("a", group("e", "x", "y"), "b", edges="a-e, e-b", loops=[loop("e", "b")]),
        "broken_loop",
        "a",
        "loops[0]",
        "`e` is a group, and a loop ends with one node.",
        "End with a node behind the group.",
    ),
    "a stop rule reads only what comes before the loop": Case(
        flow("a", "b", edges="a-b", loops=[loop("b", "b", until=is_equal("a_status", "ok"))]),
        flow("a", "b", edges="a-b", loops=[loop("b", "b", until=is_equal("b_status", "ok"))]),
        "idle_stop_rule",
        "b",
        "loops[0].until",
        "`until` of the loop `rounds` reads nothing that its nodes change.",
        "It ends by `max_rounds` only; read a value of `b`.",
        severity="warning",
    ),
    "a stop rule reads only an input": Case(
        flow("a", loops=[loop("a", "a", until=is_equal("n"))], inputs={"n": integer()}),
        flow(
            "a",
            loops=[
                loop("a", "a", until={"op": "lt", "left": {"var": "n"}, "right": {"var": "round"}})
            ],
            inputs={"n": integer()},
        ),
        "idle_stop_rule",
        "a",
        "loops[0].until",
        "`until` of the loop `rounds` reads nothing that its nodes change.",
        "It ends by `max_rounds` only; read a value of `a`.",
        severity="warning",
    ),
    "two branches end apart, and no output is named": Case(
        flow(*"abc", edges="a-b, a-c"),
        flow(*"abc", edges="a-b, a-c", output=["b", "c"]),
        "missing_join",
        "b",
        "edges",
        "`b`, `c` run at the same time and nothing joins them.",
        'Add a node with an edge from each, or name the answer: "output": ["NODE", …].',
        severity="warning",
    ),
    "two branches end apart, and nothing joins them": Case(
        flow(*"abc", edges="a-b, a-c"),
        flow(*"abcd", edges="a-b, a-c, b-d, c-d"),
        "missing_join",
        "b",
        "edges",
        "`b`, `c` run at the same time and nothing joins them.",
        'Add a node with an edge from each, or name the answer: "output": ["NODE", …].',
        severity="warning",
    ),
    "two branches end apart, and no condition chooses": Case(
        flow(*"abc", edges="a-b, a-c"),
        flow(*"abc", edges="a?-b, a-c"),
        "missing_join",
        "b",
        "edges",
        "`b`, `c` run at the same time and nothing joins them.",
        'Add a node with an edge from each, or name the answer: "output": ["NODE", …].',
        severity="warning",
    ),
    "the members of a group end apart": Case(
        flow("a", group("e", "x", "y"), edges="a-e"),
        flow("a", group("e", "x", "y"), "b", edges="a-e, e-b"),
        "missing_join",
        "e",
        "edges",
        "The members of `e` run at the same time and nothing joins them.",
        'Add a node with an edge from each, or name the answer: "output": ["NODE", …].',
        severity="warning",
    ),
    "two branches end apart behind a choice": Case(
        flow(*"abcde", edges="a?-b, a-c, c-d, c-e"),
        flow(*"abcde", edges="a?-b, a-c, c?-d, c-e"),
        "missing_join",
        "d",
        "edges",
        "`d`, `e` run at the same time and nothing joins them.",
        'Add a node with an edge from each, or name the answer: "output": ["NODE", …].',
        severity="warning",
    ),
    "a prompt asks for the text of a node that runs at the same time": Case(
        flow("a", "b", node("c", "{b_output}"), edges="a-b, a-c", output=["c"]),
        flow("a", "b", node("c", "{b_output}"), edges="a-b, b-c"),
        "missing_join",
        "c",
        "prompt_template",
        "`{b_output}` is asked for, but `b` need not have run by then.",
        'Add the edge {"source": "b", "target": "c"}.',
    ),
    "a prompt asks for the text of a node that runs later": Case(
        flow(node("a", "{b_output}"), "b", edges="a-b"),
        flow(node("a", "{b_output}"), "b", edges="a-b", loops=[loop("a", "b")]),
        "missing_join",
        "a",
        "prompt_template",
        "`{b_output}` is asked for, but `b` need not have run by then.",
        'Add the edge {"source": "b", "target": "a"}.',
    ),
    "a prompt asks for its own text, and nothing runs again": Case(
        flow(node("a", "{a_output}")),
        flow(node("a", "{a_output}"), loops=[loop("a", "a")]),
        "missing_join",
        "a",
        "prompt_template",
        "`{a_output}` is asked for, but `a` need not have run by then.",
        "A node has a text of its own only in a loop.",
    ),
    "a prompt asks for the texts of a group that runs later": Case(
        flow(node("a", "{e_outputs}"), group("e", "x"), edges="a-e"),
        flow(group("e", "x"), node("a", "{e_outputs}"), edges="e-a"),
        "missing_join",
        "a",
        "prompt_template",
        "`{e_outputs}` is asked for, but `e` need not have run by then.",
        'Add the edge {"source": "e", "target": "a"}.',
    ),
    "a validator checks a text that is written later": Case(
        flow("a", validator("v", "b"), "b", edges="a-v, v-b"),
        flow("a", "b", validator("v", "b"), edges="a-b, b-v"),
        "missing_join",
        "v",
        "config.answer",
        "`b` is asked for, but `b` need not have run by then.",
        'Add the edge {"source": "b", "target": "v"}.',
    ),
    "a splitter cuts a text that is written at the same time": Case(
        flow(
            *"abc",
            {"id": "s", "type": "splitter", "config": {"text": "b"}},
            edges="a-b, a-s, b-c, s-c",
        ),
        flow(
            *"ab",
            {"id": "s", "type": "splitter", "config": {"text": "b"}},
            edges="a-b, b-s",
        ),
        "missing_join",
        "s",
        "config.text",
        "`b` is asked for, but `b` need not have run by then.",
        'Add the edge {"source": "b", "target": "s"}.',
    ),
    "a prompt misspells a node": Case(
        flow("creator", node("b", "{creater_output}"), edges="creator-b"),
        flow("creator", node("b", "{creator_output}"), edges="creator-b"),
        "unknown_name",
        "b",
        "prompt_template",
        "Nothing is called `{creater_output}`.",
        "Did you mean `creator_output`, `b_output`, `previous_output`?",
    ),
    "one language of a prompt misspells a node": Case(
        flow(
            "creator",
            node("b", {"en": "{creator_output}", "es": "{creater_output}"}),
            edges="creator-b",
        ),
        flow(
            "creator",
            node("b", {"en": "{creator_output}", "es": "{creator_output}"}),
            edges="creator-b",
        ),
        "unknown_name",
        "b",
        "prompt_template.es",
        "Nothing is called `{creater_output}`.",
        "Did you mean `creator_output`, `b_output`, `previous_output`?",
    ),
    "a prompt shortens a node's name": Case(
        flow(
            "a",
            "security_expert",
            "ux_expert",
            node("s", "{security_output}"),
            edges="a-security_expert, a-ux_expert, security_expert-s, ux_expert-s",
        ),
        flow(
            "a",
            "security_expert",
            "ux_expert",
            node("s", "{security_expert_output}"),
            edges="a-security_expert, a-ux_expert, security_expert-s, ux_expert-s",
        ),
        "unknown_name",
        "s",
        "prompt_template",
        "Nothing is called `{security_output}`.",
        "Did you mean `security_expert_output`, `s_output`, `ux_expert_output`?",
    ),
    "a prompt calls the task as other tools do": Case(
        flow(node("a", "{input}")),
        flow(node("a", "{user_input}")),
        "unknown_name",
        "a",
        "prompt_template",
        "Nothing is called `{input}`.",
        "Did you mean `user_input`?",
    ),
    "a prompt asks for what only conditions can read": Case(
        flow("a", node("b", "{a_status}"), edges="a-b"),
        flow("a", node("b", "{a_output}"), edges="a-b"),
        "unknown_name",
        "b",
        "prompt_template",
        "Nothing is called `{a_status}`.",
        (
            "Known are `a_output`, `agreement_clause`, `b_output`, `flow_type`, `format`, "
            "`history`, `lang`, `open_issues`, `own_last`, `previous_output`, `request_id`, "
            "`requirements`, `round`, `score`, `settled_issues`, `task_type`, `user_input`."
        ),
    ),
    "a prompt asks for the draft where no draft is named": Case(
        flow("a", node("b", "{draft}"), edges="a-b"),
        flow(
            "a",
            {
                "id": "b",
                "type": "critique",
                "config": {"drafts": ["a"]},
                "prompt_template": "{draft}",
            },
            edges="a-b",
        ),
        "unknown_name",
        "b",
        "prompt_template",
        "Nothing is called `{draft}`.",
        (
            "Known are `a_output`, `agreement_clause`, `b_output`, `flow_type`, `format`, "
            "`history`, `lang`, `open_issues`, `own_last`, `previous_output`, `request_id`, "
            "`requirements`, `round`, `score`, `settled_issues`, `task_type`, `user_input`."
        ),
    ),
    "an edge's condition misspells a value": Case(
        {**flow("a", "b"), "edges": [edge("a", "b", is_equal("a_statu", "ok"))]},
        {**flow("a", "b"), "edges": [edge("a", "b", is_equal("a_status", "ok"))]},
        "unknown_name",
        "a",
        "edges[0].condition",
        "The condition reads `a_statu`, which is no value.",
        "Did you mean `a_status`, `b_status`, `a_visits`?",
    ),
    "a condition deep within others misspells a value": Case(
        {**flow("a", "b"), "edges": [edge("a", "b", deep("scor"))]},
        {**flow("a", "b"), "edges": [edge("a", "b", deep("score"))]},
        "unknown_name",
        "a",
        "edges[0].condition",
        "The condition reads `scor`, which is no value.",
        "Did you mean `score`?",
    ),
    "a stop rule misspells a value": Case(
        flow("a", loops=[loop("a", "a", until=is_equal("a_outpu"))]),
        flow("a", loops=[loop("a", "a", until=is_equal("a_output"))]),
        "unknown_name",
        "a",
        "loops[0].until",
        "The condition reads `a_outpu`, which is no value.",
        "Did you mean `a_output`, `a_status`?",
    ),
    "a condition reads what only prompts can ask for": Case(
        {**flow("a", "b"), "edges": [edge("a", "b", is_equal("history"))]},
        {**flow("a", "b"), "edges": [edge("a", "b", is_equal("task_type"))]},
        "unknown_name",
        "a",
        "edges[0].condition",
        "The condition reads `history`, which is no value.",
        "Did you mean `score`?",
    ),
    "a named output misspells a value": Case(
        flow("a", validator("v", "a"), edges="a-v", outputs={"score": "v_scor"}),
        flow("a", validator("v", "a"), edges="a-v", outputs={"score": "v_score"}),
        "unknown_name",
        "",
        "outputs.score",
        "The named output `score` is `v_scor`, which is no value.",
        "Did you mean `v_score`, `score`?",
    ),
    "braces that other languages would evaluate": Case(
        flow(node("a", "{x.__class__}")),
        flow(node("a", "{{x.__class__}}")),
        "literal_braces",
        "a",
        "prompt_template",
        "`{x.__class__}` is not filled in: it stays as it is.",
        "Names are small letters, digits and `_`; double the braces to mean them.",
        severity="warning",
    ),
    "braces around a name in capitals": Case(
        flow(node("a", "{Name}")),
        flow(node("a", '{"a": 1} {{Name}} {} {1} { x }')),
        "literal_braces",
        "a",
        "prompt_template",
        "`{Name}` is not filled in: it stays as it is.",
        "Names are small letters, digits and `_`; double the braces to mean them.",
        severity="warning",
    ),
    "braces that would be evaluated in one language of a prompt": Case(
        flow(node("a", {"en": "x", "es": "{x!r}"})),
        flow(node("a", {"en": "x", "es": "{{x!r}}"})),
        "literal_braces",
        "a",
        "prompt_template.es",
        "`{x!r}` is not filled in: it stays as it is.",
        "Names are small letters, digits and `_`; double the braces to mean them.",
        severity="warning",
    ),
    "the system prompt asks for a name": Case(
        flow("a", system_prompt={"en": "On {user_input}."}),
        flow("a", system_prompt={"en": "On {whatever}."}),
        "literal_braces",
        "",
        "system_prompt.en",
        "`{user_input}` is not filled in: it stays as it is.",
        "Ask for it in the prompts of the nodes.",
        severity="warning",
    ),
    "a router is unknown": Case(
        {**flow("a", "b"), "edges": [edge("a", "b", routed("route_after_validatio", "accept"))]},
        {**flow("a", "b"), "edges": [edge("a", "b", routed("route_after_validation", "accept"))]},
        "unknown_router",
        "a",
        "edges[0].condition",
        "There is no router `route_after_validatio`.",
        "Did you mean `route_after_validation`, `route_after_analysis`?",
    ),
    "a router never says that": Case(
        {**flow("a", "b"), "edges": [edge("a", "b", routed("route_after_validation", "acept"))]},
        {**flow("a", "b"), "edges": [edge("a", "b", routed("route_after_validation", "retry"))]},
        "unknown_route",
        "a",
        "edges[0].condition",
        "The router `route_after_validation` never says `acept`.",
        "Did you mean `accept`?",
    ),
    "an edge's condition compares constants": Case(
        {**flow("a", "b"), "edges": [edge("a", "b", {"op": "eq", "left": 1, "right": 1})]},
        {**flow("a", "b"), "edges": [edge("a", "b", is_equal("round"))]},
        "constant_condition",
        "a",
        "edges[0].condition",
        "The condition compares two constants: it always says the same.",
        'Read a value: {"var": "NAME"}.',
        severity="warning",
    ),
    "a part of a stop rule compares constants": Case(
        flow(
            "a",
            loops=[
                loop(
                    "a",
                    "a",
                    until={"op": "and", "of": [OFTEN, {"op": "ne", "left": 1, "right": 2}]},
                )
            ],
        ),
        flow("a", loops=[loop("a", "a", until={"op": "and", "of": [OFTEN, OFTEN]})]),
        "constant_condition",
        "a",
        "loops[0].until",
        "The condition compares two constants: it always says the same.",
        'Read a value: {"var": "NAME"}.',
        severity="warning",
    ),
    "a node runs an unknown flow": Case(
        flow(subflow("a", "singel")),
        flow(subflow("a", "single")),
        "unknown_flow",
        "a",
        "config.flow",
        "The flow `singel` is unknown.",
        "Did you mean `single`, `linear`?",
    ),
    "a flow runs itself": Case(
        flow(subflow("a", "mine")),
        flow(subflow("a", "single")),
        "endless_subflow",
        "a",
        "config.flow",
        "Flows run each other without an end: `mine` → `mine`.",
        "A flow cannot be part of itself.",
    ),
    "a flow runs itself by way of two others": Case(
        flow(subflow("a", "second")),
        flow(subflow("a", "second")),
        "endless_subflow",
        "a",
        "config.flow",
        "Flows run each other without an end: `mine` → `second` → `third` → `mine`.",
        "A flow cannot be part of itself.",
        wrong_in={"flows": named_chain(flow(subflow("in", "mine")))},
        right_in={"flows": named_chain(flow("a"))},
    ),
    "a flow runs two others that run each other": Case(
        flow(subflow("a", "second")),
        flow(subflow("a", "second")),
        "endless_subflow",
        "a",
        "config.flow",
        "Flows run each other without an end: `second` → `third` → `second`.",
        "A flow cannot be part of itself.",
        wrong_in={"flows": named_chain(flow(subflow("in", "second")))},
        right_in={"flows": named_chain(flow("a"))},
    ),
    "a flow within is given an unknown input": Case(
        flow(subflow("a", "challenge", rouns=2)),
        flow(subflow("a", "challenge", rounds=2)),
        "wrong_input",
        "a",
        "config.inputs",
        ("Flow `challenge` cannot take these inputs: `rouns` is no input; did you mean `rounds`."),
        "agent-lab flows show challenge",
    ),
    "a flow within is given a wrong value": Case(
        flow(subflow("a", "challenge", rounds=0)),
        flow(subflow("a", "challenge", rounds=1)),
        "wrong_input",
        "a",
        "config.inputs",
        "Flow `challenge` cannot take these inputs: `rounds` is `0`, which is less than 1.",
        "agent-lab flows show challenge",
    ),
    "a flow within cannot run": Case(
        flow(subflow("a", "second")),
        flow(subflow("a", "second")),
        "broken_subflow",
        "a",
        "config.flow",
        (
            "The flow `second` cannot run: `x`, prompt_template: Nothing is called "
            "`{nobody}`. Known are `agreement_clause`, `flow_type`, `format`, `history`, "
            "`lang`, `open_issues`, `own_last`, `previous_output`, `request_id`, `requirements`, "
            "`round`, `score`, `settled_issues`, `task_type`, `user_input`, `x_output`."
        ),
        "`agent-lab flows validate second` tells all.",
        wrong_in={"flows": {"second": named("second", flow(node("x", "{nobody}")))}},
        right_in={"flows": {"second": named("second", flow(node("x", "{user_input}")))}},
    ),
    "a node's model is unknown": Case(
        flow({"id": "a", "model": "alfa"}),
        flow({"id": "a", "model": "alpha"}),
        "unknown_model",
        "a",
        "model",
        "The model `alfa` is unknown.",
        "Did you mean `alpha`? `agent-lab models list` shows them.",
    ),
    "a judge's model is unknown": Case(
        flow("a", validator("v", "a", judge("gama")), edges="a-v"),
        flow("a", validator("v", "a", judge("gamma")), edges="a-v"),
        "unknown_model",
        "v",
        "config.checks",
        "The model `gama` is unknown.",
        "Did you mean `gamma`? `agent-lab models list` shows them.",
    ),
    "a member's model is unknown": Case(
        flow(node("e", group={"members": {"x": {"model": "alfa"}}})),
        flow(node("e", group={"members": {"x": {"model": "beta"}}})),
        "unknown_model",
        "e",
        "model",
        "The model `alfa` is unknown.",
        "Did you mean `alpha`? `agent-lab models list` shows them.",
    ),
    "a strategy is unknown": Case(
        flow({"id": "a", "strategy": "gready"}),
        flow({"id": "a", "strategy": "greedy"}),
        "unknown_strategy",
        "a",
        "strategy",
        "The strategy `gready` is unknown.",
        "Did you mean `greedy`?",
    ),
    "a refiner is shown the critique alone": Case(
        flow(
            "creator",
            node("challenger", "{creator_output}"),
            node("refiner", "{challenger_output}"),
            edges="creator-challenger, challenger-refiner",
        ),
        flow(
            "creator",
            node("challenger", "{creator_output}"),
            node("refiner", "{creator_output} {challenger_output}"),
            edges="creator-challenger, challenger-refiner",
        ),
        "refiner_without_draft",
        "refiner",
        "prompt_template",
        "The refiner never gets the draft: its prompt holds the task and `challenger`.",
        "Ask for `{creator_output}`.",
    ),
    "a refiner, by its role, is shown the task alone": Case(
        flow("creator", node("b", "x", role="refiner"), edges="creator-b"),
        flow("creator", node("b", "{previous_output}", role="refiner"), edges="creator-b"),
        "refiner_without_draft",
        "b",
        "prompt_template",
        "The refiner never gets the draft: its prompt holds the task alone.",
        "Ask for `{creator_output}`.",
    ),
    "a critic is shown the task alone in one language": Case(
        flow(
            "creator",
            node("critic", {"en": "{creator_output}", "es": "{user_input}"}),
            edges="creator-critic",
        ),
        flow(
            "creator",
            node("critic", {"en": "{creator_output}", "es": "{creator_output}"}),
            edges="creator-critic",
        ),
        "critic_without_draft",
        "critic",
        "prompt_template.es",
        "The critic never gets the draft: its prompt holds the task alone.",
        "Ask for `{creator_output}`.",
    ),
    "a critic has no prompt": Case(
        flow("creator", "reviewer", edges="creator-reviewer"),
        flow("reviewer", "creator", edges="reviewer-creator"),
        "critic_without_draft",
        "reviewer",
        "prompt_template",
        "The critic never gets the draft: its prompt holds the task alone.",
        "Ask for `{creator_output}`.",
    ),
    "a critic is shown only what no model wrote": Case(
        flow(
            {"id": "t", "type": "task_analyzer"},
            "a",
            node("critic", "{t_output}"),
            edges="t-a, a-critic",
        ),
        flow({"id": "t", "type": "task_analyzer"}, node("critic", "{t_output}"), edges="t-critic"),
        "critic_without_draft",
        "critic",
        "prompt_template",
        "The critic never gets the draft: its prompt holds the task and `t`.",
        "Ask for `{a_output}`.",
    ),
    "a check's judge is of the author's family": Case(
        flow({"id": "a", "model": "alpha"}, validator("v", "a", judge("beta")), edges="a-v"),
        flow({"id": "a", "model": "alpha"}, validator("v", "a", judge("gamma")), edges="a-v"),
        "judge_of_own_family",
        "v",
        "config.checks",
        "`beta` judges `a`, which is a model of its own family `greek`.",
        "Judges favour their own family: name a model of another one.",
        severity="warning",
    ),
    "a check's judge is the default model, of the author's family": Case(
        flow({"id": "a", "model": "beta"}, validator("v", "a", judge()), edges="a-v"),
        flow({"id": "a", "model": "gamma"}, validator("v", "a", judge()), edges="a-v"),
        "judge_of_own_family",
        "v",
        "config.checks",
        "`alpha` judges `a`, which is a model of its own family `greek`.",
        "Judges favour their own family: name a model of another one.",
        severity="warning",
    ),
    "an arbitrator is of the author's family": Case(
        flow(
            {"id": "a", "model": "gamma"},
            node("arbitrator", "{a_output}", model="gamma"),
            edges="a-arbitrator",
        ),
        flow(
            {"id": "a", "model": "alpha"},
            node("arbitrator", "{a_output}", model="gamma"),
            edges="a-arbitrator",
        ),
        "judge_of_own_family",
        "arbitrator",
        "model",
        "`gamma` judges `a`, which is a model of its own family `roman`.",
        "Judges favour their own family: name a model of another one.",
        severity="warning",
    ),
    "the calls do not fit into the budget": Case(
        flow("a", loops=[loop("a", "a", 3)], budget={"calls": 2}),
        flow("a", loops=[loop("a", "a", 3)], budget={"calls": 3}),
        "over_budget",
        "",
        "budget.calls",
        "The worst case takes 3 calls; the flow's budget allows 2.",
        "It then ends with the best answer so far.",
        severity="warning",
    ),
    "the tokens do not fit into the budget": Case(
        flow("a", budget={"tokens": 599}),
        flow("a", budget={"tokens": 600}),
        "over_budget",
        "",
        "budget.tokens",
        "The worst case takes 600 tokens; the flow's budget allows 599.",
        "It then ends with the best answer so far.",
        severity="warning",
    ),
    "the money does not fit into the budget": Case(
        flow("a", budget={"cost_usd": 5.9}),
        flow("a", budget={"cost_usd": 6.0}),
        "over_budget",
        "",
        "budget.cost_usd",
        "The worst case takes 6 US dollars; the flow's budget allows 5.9.",
        "It then ends with the best answer so far.",
        severity="warning",
        wrong_in={"models": {"alpha": model(usd=0.01)}},
        right_in={"models": {"alpha": model(usd=0.01)}},
    ),
    "a price is unknown and there is a budget of money": Case(
        flow("a", budget={"cost_usd": 5.9}),
        flow("a", budget={"cost_usd": 5.9}),
        "over_budget",
        "",
        "budget.cost_usd",
        "The price of `alpha` is unknown; a budget of money is set.",
        "Models without a price are refused then: give `cost_profile` of the model.",
        severity="warning",
        wrong_in={"models": {"alpha": model(usd=None)}},
    ),
    "a call does not fit into the window": Case(
        flow("a", {"id": "b", "max_tokens": 501}, edges="a-b"),
        flow("a", {"id": "b", "max_tokens": 500}, edges="a-b"),
        "over_window",
        "b",
        "prompt_template",
        "A call can take 1001 tokens; `alpha` has room for 1000.",
        "Lower `max_tokens` of the nodes whose text it reads, or name another model.",
        severity="warning",
        wrong_in={"models": {"alpha": model(window=1000)}},
        right_in={"models": {"alpha": model(window=1000)}},
    ),
    "calls of a group do not fit into the window": Case(
        flow(node("e", max_tokens=501, group={"members": {"x": {}, "y": {}}}), "b", edges="e-b"),
        flow(node("e", max_tokens=500, group={"members": {"x": {}, "y": {}}}), "b", edges="e-b"),
        "over_window",
        "e",
        "prompt_template",
        "A call can take 1001 tokens; `alpha` has room for 1000.",
        "Lower `max_tokens` of the nodes whose text it reads, or name another model.",
        severity="warning",
        wrong_in={"models": {"alpha": model(window=1000)}},
        right_in={"models": {"alpha": model(window=1000)}},
    ),
    "two tests have one name": Case(
        flow("a", tests=[case_of(), case_of()]),
        flow("a", tests=[case_of(), case_of(name="another test")]),
        "duplicate_test",
        "",
        "tests[1]",
        "Two tests are called `a test`; names must differ.",
        "Give one of them another name.",
    ),
    "a test has turns of no role": Case(
        flow("creator", tests=[case_of(script={"creater": "x"})]),
        flow("creator", tests=[case_of(script={"creator": "x"})]),
        "unknown_role",
        "",
        "tests[0].script",
        "The test `a test` has turns of `creater`, which is no role.",
        "Did you mean `creator`?",
    ),
    "a test has turns of a validator without a judge": Case(
        flow("a", validator("v", "a"), edges="a-v", tests=[case_of(script={"a": "x", "v": "{}"})]),
        flow(
            "a",
            validator("v", "a", judge("gamma")),
            edges="a-v",
            tests=[case_of(script={"a": "x", "v": "{}"}, expect={"prompts": {"v[0]": {}}})],
        ),
        "unknown_role",
        "",
        "tests[0].script",
        "The test `a test` has turns of `v`, which is no role.",
        "Known are `a`.",
    ),
    "a test has turns of a path": Case(
        flow(subflow("f", "single"), tests=[case_of(script={"f.solver": "x"})]),
        flow(
            subflow("f", "single"),
            tests=[
                case_of(
                    script={"solver": "x"},
                    expect={"path": ["f"], "prompts": {"f.solver#1": {}}},
                )
            ],
        ),
        "unknown_role",
        "",
        "tests[0].script",
        "The test `a test` has turns of `f.solver`, which is no role.",
        "Did you mean `solver`?",
    ),
    "a test's path leads over no node": Case(
        flow(
            "a", "creator", edges="a-creator", tests=[case_of(expect={"path": ["a", ["creater"]]})]
        ),
        flow(
            "a", "creator", edges="a-creator", tests=[case_of(expect={"path": ["a", ["creator"]]})]
        ),
        "unknown_node",
        "",
        "tests[0].expect.path",
        "The test `a test` looks at `creater`, which is no node.",
        "Did you mean `creator`?",
    ),
    "a test's path leads into a flow within": Case(
        flow(
            subflow("f", "single"),
            tests=[case_of(script={"solver": "x"}, expect={"path": ["f.solver", "f"]})],
        ),
        flow(
            subflow("f", "single"),
            tests=[case_of(script={"solver": "x"}, expect={"path": ["f"]})],
        ),
        "unknown_node",
        "",
        "tests[0].expect.path",
        "The test `a test` looks at `f.solver`, which is no node.",
        "Known are `f`.",
    ),
    "a test looks at the prompt of no node": Case(
        flow("a", tests=[case_of(expect={"prompts": {"a#1": {}, "aa#1": {}}})]),
        flow("a", tests=[case_of(expect={"prompts": {"a#1": {}, "a": {}}})]),
        "unknown_node",
        "",
        "tests[0].expect.prompts",
        "The test `a test` looks at `aa`, which is no node.",
        "Did you mean `a`?",
    ),
    "a test's input has a wrong value": Case(
        flow("a", inputs={"n": integer()}, tests=[case_of(inputs={"n": "x"})]),
        flow("a", inputs={"n": integer()}, tests=[case_of(inputs={"n": 5})]),
        "wrong_input",
        "",
        "tests[0].inputs",
        "Flow `mine` cannot take these inputs: `n` is `x`, which is no integer.",
        "agent-lab flows show mine",
    ),
    "there are more loops than anybody needs": Case(
        flow("a", inputs={}, loops=[loop("a", "a") | {"id": f"l{i}"} for i in range(101)]),
        flow("a", loops=[loop("a", "a") | {"id": f"l{i}"} for i in range(100)]),
        "too_large",
        "",
        "nodes",
        "Flow `mine` has 101 loops; at most 100 can be run.",
        "fewer of them, or fewer members of its groups",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_fault_is_told_alone_with_its_place_its_reason_and_its_fix(case: Case):
    report = validate(case.wrong, catalogue(**case.wrong_in))
    assert report.faults == (case.fault,)
    assert validate(read_flow(case.wrong), catalogue(**case.wrong_in)) == report
    assert bool(report.errors) is (case.severity == "error")
    assert (report.worst_case is None) is (case.severity == "error")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_nearest_flow_that_is_right_has_no_fault(case: Case):
    report = validate(case.right, catalogue(**case.right_in))
    assert report.faults == ()
    assert report.worst_case is not None


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_flow_cannot_be_built_exactly_if_it_has_an_error(case: Case):
    found = catalogue(**case.wrong_in)
    if case.severity == "warning":
        check_flow(read_flow(case.wrong), found)
        return
    with pytest.raises(InvalidFlowError) as caught:
        check_flow(read_flow(case.wrong), found)
    assert caught.value.details["faults"] == [case.fault.model_dump()]
    assert caught.value.faults == (str(case.fault),)


def test_every_code_of_the_rules_has_a_case():
    folder = Path(flow_validator.__file__).parent
    sources = [folder / "flow_validator.py", *(folder / "validation").glob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    known = set(re.findall(r'code="(\w+)"', text)) | {"critic_without_draft"}
    elsewhere = {"wrong_value", "unknown_field", "more_faults"}
    assert known - elsewhere <= {case.code for case in CASES.values()}


# --- no false alarms ----------------------------------------------------------------------------

RIGHT = {
    "one node alone": flow("a"),
    "a node whose only edge has a condition": flow("a", "b", edges="a?-b"),
    "a branch with an otherwise": flow(*"abc", edges="a?-b, a-c"),
    "a choice behind a join of branches": flow(*"abcdef", edges="a-b, a-c, b-d, c-d, d?-e, d-f"),
    "a choice behind a join within one of two branches": flow(
        *"abcdefg", edges="a-b, a-c, b?-d, b-e, d-f, e-f, f-g, c-g"
    ),
    "loops one within the other": flow(
        *"abcd",
        edges="a-b, b-c, c-d",
        loops=[loop("a", "d"), loop("b", "c") | {"id": "inner"}],
    ),
    "loops one after the other": flow(
        *"abcd",
        edges="a-b, b-c, c-d",
        loops=[loop("a", "b"), loop("c", "d") | {"id": "later"}],
    ),
    "two loops that begin at the same node": flow(
        *"abc", edges="a-b, b-c", loops=[loop("a", "b"), loop("a", "c") | {"id": "outer"}]
    ),
    "a group within a loop": flow(
        "a", group("e", "x", "y"), "b", edges="a-e, e-b", loops=[loop("a", "b")]
    ),
    "a loop that begins with a group": flow(
        "a",
        group("e", "x", "y"),
        "b",
        "c",
        edges="a-e, e-b, b-c",
        loops=[loop("e", "b", until=is_equal("x_e_status", "ok"))],
    ),
    "a loop that begins with the group that begins the flow": flow(
        group("e", "x", "y"), "b", edges="e-b", loops=[loop("e", "b")]
    ),
    "a loop of two groups": flow(
        group("e", "x", "y"), group("f", "x", "y"), "b", edges="e-f, f-b", loops=[loop("e", "b")]
    ),
    "a condition that leads to a group": flow(
        "a", group("e", "x", "y"), "b", edges="a?-e, e-b", output=["b", "a"]
    ),
    "groups one after the other": flow(
        group("e", "x", "y"), group("f", "v", "w"), "b", edges="e-f, f-b"
    ),
    "a stop rule that only a router decides": flow(
        "a",
        loops=[
            loop(
                "a", "a", until=either(is_equal("n", 5), routed("route_after_validation", "accept"))
            )
        ],
        inputs={"n": integer()},
    ),
    "a stop rule on a node whose name begins as one before the loop": flow(
        "a",
        validator("a_check", "a"),
        edges="a-a_check",
        loops=[loop("a_check", "a_check", until=is_equal("a_check_score"))],
    ),
    "a stop rule on what several nodes may find out": flow(
        "a", loops=[loop("a", "a", until=is_equal("open_issue_count", 0))]
    ),
    "a refiner that is shown the feedback of a validator": flow(
        "a",
        validator("v", "a"),
        node("refiner", "{v_feedback}"),
        edges="a-v, v-refiner",
    ),
    "a critic that is shown a text by way of a node that asks nobody": flow(
        "a",
        {"id": "s", "type": "summary", "config": {"answer": "a"}},
        node("critic", "{s_output}"),
        edges="a-s, s-critic",
    ),
    "a critic that is shown the text of a flow within": flow(
        subflow("a", "single"), node("critic", "{a_output}"), edges="a-critic"
    ),
    "a critic that is shown every text of a group": flow(
        group("e", "x", "y"), node("critic", "{e_outputs}"), edges="e-critic"
    ),
    "a refiner that is shown what another refiner wrote": flow(
        "a",
        node("critic", "{a_output}"),
        node("refiner", "{critic_output} {a_output}"),
        node("second", "{refiner_output}", role="refiner"),
        edges="a-critic, critic-refiner, refiner-second",
    ),
    "a judge that asks nobody": flow(
        {"id": "a", "model": "alpha"},
        validator("v", "a") | {"role": "judge"},
        edges="a-v",
    ),
    "a node that asks nobody, of the judge's family": flow(
        {"id": "a", "model": "gamma"},
        validator("v", "a", judge("alpha")),
        {"id": "s", "type": "summary", "model": "alpha", "config": {"answer": "a"}},
        edges="a-v, v-s",
    ),
    "a validator of what is written later in its loop": flow(
        validator("v", "b"), "b", edges="v-b", loops=[loop("v", "b")]
    ),
    "a critique of one of several drafts, the latest of which comes later": flow(
        "a",
        node("c", "{draft}", type="critique", config={"drafts": ["r", "a"]}),
        node("r", "{draft}", type="refine", config={"drafts": ["r", "a"]}),
        edges="a-c, c-r",
    ),
    "an older id in a prompt": flow(
        {"id": "a", "aliases": ["b"]}, node("c", "{b_output}"), edges="a-c"
    ),
    "an older id among a critique's drafts": flow(
        {"id": "a", "aliases": ["b"]},
        {"id": "c", "type": "critique", "config": {"drafts": ["b"]}, "prompt_template": "{draft}"},
        edges="a-c",
    ),
    "a group among a critique's drafts": flow(
        group("e", "x", "y"),
        {"id": "c", "type": "critique", "config": {"drafts": ["e"]}, "prompt_template": "{draft}"},
        edges="e-c",
    ),
    "an input and a member's value in a prompt": flow(
        node(
            "e",
            "{lens} {n}",
            group={"members": {"x": {"values": {"lens": "{nobody} {Name}"}}}},
        ),
        inputs={"n": integer()},
    ),
    "braces of JSON and of code": flow(
        node("a", '{"a": 1} {} {1} { x } {{user_input}} {{{{user_input}}}} {\n}')
    ),
    "tests of a flow within a flow": flow(
        subflow("f", "second"),
        tests=[
            case_of(
                script={"a": "x"},
                expect={"path": ["f"], "prompts": {"f.in.a#2": {}, "f[1].in[0][1].a": {}}},
            )
        ],
    ),
    "a test of members by their older ids": flow(
        node(
            "e", group={"members": {"x": {"aliases": ["z"]}, "y": {}}, "chosen": {"input": "who"}}
        ),
        inputs={"who": {"type": "members", "default": ["y"]}},
        tests=[case_of(inputs={"who": ["z"]}, script={"x_e": "x"}, expect={"path": ["x_e"]})],
    ),
}


@pytest.mark.parametrize("content", RIGHT.values(), ids=RIGHT)
def test_there_are_no_false_alarms(content: Json):
    known = {**FLOW_CONFIGS, **named_chain(flow("a"))}
    assert validate(content, catalogue(flows=known)).faults == ()


def test_every_known_name_may_stand_in_a_prompt():
    content = flow(
        group("e", "x", "y"),
        node("refiner", type="refine", config={"drafts": ["e"]}, values={"lens": "near"}),
        validator("v", "refiner"),
        {"id": "s", "type": "splitter"},
        edges="e-refiner, refiner-v, v-s",
        inputs={"n": integer()},
        loops=[loop("refiner", "s")],
    )
    plan = planned(content)
    refiner = plan.node("refiner")
    known = prompt_names(plan, bare().kinds) | own_prompt_names(refiner, bare().kinds)
    assert known >= PROMPT_ONLY | {"draft", "lens", "n", "e_outputs", "x_e_output", "s_part_8"}
    content["nodes"][1]["prompt_template"] = " ".join(f"{{{name}}}" for name in sorted(known))
    assert validate(content, catalogue()).faults == ()


def test_every_known_name_may_stand_in_a_condition_and_be_an_output():
    content = flow("a", validator("v", "a"), edges="a-v", inputs={"n": integer()})
    known = sorted(condition_names(planned(content), bare().kinds))
    assert set(known) >= {"round", "score", "n", "a_output", "a_status", "v_visits", "v_problems"}
    content["edges"][0]["condition"] = either(*map(is_equal, known))
    content["outputs"] = {f"output_{index}": name for index, name in enumerate(known)}
    assert validate(content, catalogue()).faults == ()


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    """What a lab that nobody has configured can run, with the models of its registry."""
    gateway = ProviderGateway.from_settings(load_settings())
    return with_models(GraphBuilder().catalogue(), gateway)


@pytest.mark.parametrize("name", FLOW_CONFIGS)
def test_a_shipped_flow_is_valid_without_a_warning(name: str, shipped: Catalogue):
    report = validate(FLOW_CONFIGS[name], shipped)
    assert report.faults == ()
    assert report.worst_case is not None
    assert report.worst_case.calls >= 1


@pytest.mark.parametrize("name", FLOW_CONFIGS)
def test_a_plan_is_as_valid_as_its_flow(name: str, shipped: Catalogue):
    content = FLOW_CONFIGS[name].model_dump(mode="json", by_alias=True)
    assert validate(planned(content), shipped).faults == ()


# --- where nobody has looked --------------------------------------------------------------------


def test_without_registries_nothing_is_said_of_models_strategies_judges_and_limits():
    content = flow(
        {"id": "a", "model": "nobody", "strategy": "nothing"},
        validator("v", "a", judge("nobody")),
        edges="a-v",
        budget={"calls": 0},
    )
    report = validate(content, bare())
    assert report.faults == ()
    assert report.worst_case is None
    assert codes(validate(content, catalogue())) == ["unknown_model"] * 2 + ["unknown_strategy"]


def test_without_a_default_model_a_flow_can_be_proved_all_the_same():
    content = flow("a", validator("v", "a", judge()), edges="a-v", budget={"cost_usd": 0.0})
    report = validate(content, catalogue(models={}, default_model=None))
    assert report.faults == ()
    assert report.worst_case is not None
    assert report.worst_case.cost_usd is None


def test_validation_calls_no_node_and_no_router(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any) -> Any:
        pytest.fail("validation called what it was only to look at")

    builder = GraphBuilder()
    for name in ROUTERS.names():
        silent = Router(ROUTERS.get(name).routes, refuse)
        monkeypatch.setitem(ROUTERS._plugins, name, silent)
    for name, kind in builder.catalogue().kinds.items():
        builder.register_node(name, NodeType(kind, refuse))
    found = builder.catalogue()
    for name in FLOW_CONFIGS:
        assert validate(FLOW_CONFIGS[name], found).faults == ()


def test_validation_asks_for_prices_only_where_a_model_may_answer():
    asked = []

    def price(prompt: int, answer: int) -> float:
        asked.append((prompt, answer))
        return 0.0

    models = {"alpha": model()._replace(worst_usd=price), "beta": model()._replace(worst_usd=price)}
    validate(flow({"id": "a", "max_tokens": 7}), catalogue(models=models))
    assert asked == [(500, 7)]


def test_validation_loads_nothing_heavy():
    program = """
import json, sys
from agent_lab.flows.catalogue import Catalogue, NodeKind
from agent_lab.flows.flow_validator import validate
from agent_lab.flows.graph_configs import FLOW_CONFIGS
found = Catalogue(kinds={"execution": NodeKind("execution")})
reports = [validate(FLOW_CONFIGS[name], found) for name in ("multi_perspective", "single")]
print(json.dumps([sum(len(report.faults) for report in reports), sorted(sys.modules)]))
"""
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    faults, loaded = json.loads(printed)
    assert faults == 0
    heavy = {"langgraph", "langchain_core", "fastapi", "aiohttp", "torch", "xllamacpp", "asyncio"}
    assert heavy & {name.partition(".")[0] for name in loaded} == set()


# --- many faults at once ------------------------------------------------------------------------

BROKEN = flow(
    {"id": "b", "type": "shell", "temperature": 0.5},
    node("c", {"en": "{one} {Name}", "es": "{two}"}, model="alfa", strategy="gready"),
    {"id": "d", "config": {"temperature": 0.5}},
    group("e", "x", "y", prompt="{three}"),
    "f",
    edges="b-c, c-d, d-c, d-e",
    inputs={"n": integer(0, minimum=1), "round": integer()},
    loops=[loop("c", "d", {"input": "m"}, until=is_equal("nobody"))],
    output=["f"],
    outputs={"score": "v_score"},
    tests=[case_of(), case_of(script={"nobody": "x"})],
    budget={"calls": 0},
)


def test_every_fault_is_told_at_once_the_errors_first_and_each_in_the_order_of_the_flow():
    report = validate(BROKEN, catalogue())
    assert [(fault.code, fault.node or fault.field) for fault in report.faults] == [
        ("wrong_input", "inputs.n.default"),
        ("unknown_input", "loops[0].max_rounds"),
        ("unreachable", "f"),
        ("unbounded_loop", "c"),
        ("unknown_type", "b"),
        ("wrong_config", "d"),
        ("taken_name", "inputs.round"),
        ("unknown_name", "c"),
        ("unknown_name", "c"),
        ("unknown_name", "e"),
        ("unknown_name", "d"),
        ("unknown_name", "outputs.score"),
        ("unknown_model", "c"),
        ("unknown_strategy", "c"),
        ("unknown_role", "tests[0].script"),
        ("duplicate_test", "tests[1]"),
        ("unknown_role", "tests[1].script"),
        ("literal_braces", "c"),
    ]
    assert report.errors == report.faults[:-1]
    assert report.warnings == report.faults[-1:]


def test_a_wrong_name_of_a_node_hides_only_what_follows_edges():
    content = flow(
        node("a", "{nobody}"),
        {"id": "b", "type": "shell"},
        "c",
        edges="a-b, b-a, a-ghost",
        output=["refiner"],
    )
    assert codes(validate(content, catalogue())) == [
        "unknown_node",
        "unknown_node",
        "unknown_type",
        "unknown_name",
    ]


def test_a_wrong_input_of_the_caller_hides_no_fault_of_the_flow():
    content = flow(node("a", "{nobody}"), inputs={"n": integer()})
    request = RunRequest(flow="mine", input="A task.", inputs={"n": "two", "m": 1})
    first, second = validate(content, catalogue(), request).faults
    assert (first.code, first.field) == ("wrong_input", "inputs")
    assert "`n` is `two`, which is no integer. `m` is no input" in first.reason
    assert second.code == "unknown_name"


def test_the_callers_inputs_decide_who_takes_part_and_how_often():
    content = flow(
        group("e", "x", "y", chosen={"input": "who"}),
        "b",
        edges="e-b",
        inputs={"who": {"type": "members", "default": ["x"]}, "n": integer(1)},
        loops=[loop("b", "b", {"input": "n"})],
        budget={"calls": 3},
    )
    assert validate(content, catalogue()).faults == ()
    request = RunRequest(flow="mine", input="A task.", inputs={"who": ["x", "y"], "n": 5})
    (fault,) = validate(content, catalogue(), request).faults
    assert fault.reason == "The worst case takes 7 calls; the flow's budget allows 3."


def test_faults_are_the_same_in_every_process():
    program = """
import json, sys
from agent_lab.flows.catalogue import Catalogue, NodeKind
from agent_lab.flows.flow_validator import validate
found = Catalogue(kinds={"execution": NodeKind("execution")})
print(validate(json.load(sys.stdin), found).model_dump_json())
"""
    content = {**BROKEN, "nodes": [*BROKEN["nodes"], *({"id": f"n{i}"} for i in range(50))]}
    told = set()
    for seed in ("1", "2"):
        told.add(
            subprocess.run(
                [sys.executable, "-c", program],
                input=json.dumps(content),
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY / "src")},
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
    here = validate(content, Catalogue(kinds={"execution": NodeKind("execution")}))
    assert len(here.faults) > 60
    assert told == {here.model_dump_json() + "\n"}


def test_of_very_many_faults_the_first_are_told_and_that_there_are_more():
    content = flow(*(node(f"n{i}", "{nobody}") for i in range(MOST_FAULTS + 1)))
    content["edges"] = [edge(f"n{i}", f"n{i + 1}") for i in range(MOST_FAULTS)]
    report = validate(content, catalogue())
    assert codes(report) == ["unknown_name"] * MOST_FAULTS + ["more_faults"]
    assert [fault.node for fault in report.faults[:3]] == ["n0", "n1", "n2"]
    assert report.errors[-1].fix == "Mend these first."


# --- what a fault says --------------------------------------------------------------------------


def test_a_fault_is_one_line_for_people():
    fault = Fault(code="x", node="a", field="model", reason="It is wrong.", fix="Mend it.")
    assert str(fault) == "`a`, model: It is wrong. Mend it."
    assert str(fault.model_copy(update={"node": ""})) == "model: It is wrong. Mend it."
    assert str(Fault(code="x", reason="It is wrong.")) == "It is wrong."


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("creater", ["creator", "x"], "Did you mean `creator`?"),
        ("creater", ["refiner", "creator"], "Did you mean `creator`, `refiner`?"),
        ("security_output", ["x", "security_expert_and_more_output"], None),
        ("nobody", ["b", "a"], "Known are `a`, `b`."),
        ("nobody", [], "There are none."),
        ("x", [f"n{i:02}" for i in range(21)], None),
    ],
)
def test_near_names_are_told_else_the_known_ones(name: str, known: list[str], said: str | None):
    if said is None:
        said = {
            "security_output": "Did you mean `security_expert_and_more_output`?",
            "x": "Known are " + ", ".join(f"`n{i:02}`" for i in range(20)) + ", and 1 more.",
        }[name]
    assert near(name, known) == said


def test_near_names_are_found_among_very_many():
    known = [f"node_{i}_output" for i in range(20_000)] + ["creator_output"]
    assert near("creater_output", known) == "Did you mean `creator_output`?"
    assert near("zzz", known).endswith(", and 19981 more.")


# --- JSON that nobody has checked ---------------------------------------------------------------


def told(content: Any) -> list[tuple[str, str, str, str]]:
    """Node, field, reason and fix of each fault; read and validated, these are the same."""
    report = validate(content, catalogue())
    assert set(codes(report)) <= {"wrong_value", "unknown_field"}
    assert report.errors == report.faults
    assert report.faults
    with pytest.raises(InvalidFlowError) as caught:
        read_flow(content)
    assert caught.value.details["faults"] == [fault.model_dump() for fault in report.faults]
    assert caught.value.flow == report.flow
    return [(fault.node, fault.field, fault.reason, fault.fix) for fault in report.faults]


def test_every_field_that_is_wrong_is_told_with_its_node_and_the_fields_near_it():
    content = {
        **flow(
            {"id": "a", "temprature": 0.5, "max_tokens": "many"},
            {"id": "b", "group": {"members": {"x": {"valeus": {}}}, "chosn": []}},
            "c",
            inputs={"n": {"type": "integer", "default": 1, "minimun": 1}},
            loops=[{**loop("a", "c"), "untill": OFTEN}],
            tests=[case_of(expect={"pth": [], "output": {"contain": ["x"]}}, inptus={})],
            budget={"call": 3},
        ),
        "edgs": [],
        "schema": "flow.schema.json",
        "edges": [{"sorce": "a", "target": "b", "condition": {"op": "eq", "left": 1, "rigth": 2}}],
    }
    del content["name"]
    assert told(content) == [
        ("", "name", "Field required.", ""),
        ("", "inputs.n.minimun", "No such field.", "Did you mean `minimum`, `maximum`?"),
        ("a", "max_tokens", "This is no whole number.", ""),
        (
            "a",
            "temprature",
            "No such field.",
            "Did you mean `temperature`, `prompt_template`, `strategy`?",
        ),
        ("b", "group.members.x.valeus", "No such field.", "Did you mean `values`?"),
        ("b", "group.chosn", "No such field.", "Did you mean `chosen`?"),
        ("", "edges[0].source", "Field required.", ""),
        ("", "edges[0].condition.right", "Field required.", ""),
        ("", "edges[0].condition.rigth", "No such field.", "Did you mean `right`?"),
        ("", "edges[0].sorce", "No such field.", "Did you mean `source`?"),
        ("", "loops[0].untill", "No such field.", "Did you mean `until`, `counts`?"),
        ("", "budget.call", "No such field.", "Did you mean `calls`?"),
        ("", "tests[0].expect.output.contain", "No such field.", "Did you mean `contains`?"),
        ("", "tests[0].expect.pth", "No such field.", "Did you mean `path`?"),
        ("", "tests[0].inptus", "No such field.", "Did you mean `inputs`, `input`, `script`?"),
        ("", "edgs", "No such field.", "Did you mean `edges`?"),
        ("", "schema", "No such field.", "Did you mean `$schema`?"),
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"nodes": {"a": {}}}, ("", "nodes", "Input should be a valid list.")),
        (
            {"nodes": []},
            ("", "nodes", "The list should have at least 1 item after validation, not 0."),
        ),
        ({"nodes": [7]}, ("#1", "", "Input should be a valid object.")),
        ({"nodes": ["a"]}, ("#1", "", "Input should be a valid object.")),
        ({"nodes": [{"id": 5}]}, ("#1", "id", "Input should be a valid string.")),
        ({"nodes": [{"id": None}]}, ("#1", "id", "Input should be a valid string.")),
        ({"nodes": [{"type": "execution"}]}, ("#1", "id", "Field required.")),
        ({"edges": "a-b"}, ("", "edges", "Input should be a valid list.")),
        ({"edges": [["a", "b"]]}, ("", "edges[0]", "Input should be a valid object.")),
        ({"entry_point": None}, ("", "entry_point", "Input should be a valid string.")),
        ({"budget": {"calls": True}}, ("", "budget.calls", "Input should be a valid integer.")),
        (
            {"budget": {"calls": -1}},
            ("", "budget.calls", "Input should be greater than or equal to 0."),
        ),
        (
            {"nodes": [{"id": "a", "temperature": float("nan")}]},
            ("a", "temperature", "Input should be a finite number."),
        ),
        (
            {"nodes": [{"id": "a", "temperature": 1e400}]},
            ("a", "temperature", "Input should be a finite number."),
        ),
        (
            {"nodes": [{"id": "a", "max_tokens": 2**31}]},
            ("a", "max_tokens", "Input should be less than or equal to 2147483647."),
        ),
        (
            {"nodes": [{"id": "a", "max_tokens": 10**5000}]},
            ("a", "max_tokens", "No number here can be that great."),
        ),
        (
            {"nodes": [{"id": "a", "config": {"n": -(10**5000)}}]},
            ("a", "config", "No number here can be that great."),
        ),
        (
            {"nodes": [{"id": "a", "prompt_template": "half of \ud83d"}]},
            ("a", "prompt_template", "This text holds half a character, which is no Unicode."),
        ),
        (
            {"outputs": {"\ud83d": "a_output"}},
            ("", "outputs", "This text holds half a character, which is no Unicode."),
        ),
    ],
)
def test_hostile_json_is_a_fault_that_names_its_place(change: Json, expected: tuple[str, ...]):
    assert [fault[:3] for fault in told({**flow("a"), **change})] == [expected]


@pytest.mark.parametrize("content", [[], "flow", None, 7, [{}]])
def test_what_is_no_object_is_no_flow(content: Any):
    assert told(content) == [("", "", "A flow is a JSON object.", "")]


def test_any_mapping_is_read_as_an_object():
    assert validate(MappingProxyType(flow("a")), catalogue()).faults == ()


def nested(levels: int, part: Any = 1) -> Any:
    for _ in range(levels):
        part = {"x": part}
    return part


def negated(levels: int) -> Json:
    condition: Json = OFTEN
    for _ in range(levels):
        condition = {"op": "not", "of": [condition]}
    return condition


TOO_DEEP = "This is nested more than 100 levels deep."


@pytest.mark.parametrize("levels", [60, 500, 5_000, 100_000])
def test_conditions_that_are_nested_too_deeply_are_a_fault(levels: int):
    content = {**flow("a", "b"), "edges": [edge("a", "b", negated(levels))]}
    assert told(content) == [("", "edges[0].condition", TOO_DEEP, "")]
    looped = flow("a", loops=[loop("a", "a", until=negated(levels))])
    assert told(looped) == [("", "loops[0].until", TOO_DEEP, "")]


def test_forty_levels_of_conditions_are_none_too_many():
    content = {**flow("a", "b"), "edges": [edge("a", "b", negated(40))]}
    assert validate(content, catalogue()).faults == ()


@pytest.mark.parametrize("levels", [100, 500, 100_000])
def test_config_that_is_nested_too_deeply_is_a_fault(levels: int):
    assert told(flow({"id": "a", "config": nested(levels)})) == [("a", "config", TOO_DEEP, "")]


def test_what_is_too_deep_is_a_fault_of_a_flow_that_nobody_read_from_json_too():
    sound = read_flow(flow("a"))
    made = sound.nodes[0].model_copy(update={"config": nested(5_000)})
    report = validate(sound.model_copy(update={"nodes": (made,)}), catalogue())
    assert [str(fault) for fault in report.faults] == [f"`a`, config: {TOO_DEEP}"]


@settings(deadline=None)  # the first one loads the types of node
@given(st.data())
def test_whatever_is_put_into_a_flow_it_is_read_or_refused_and_never_crashes(data: st.DataObject):
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda part: st.lists(part) | st.dictionaries(st.text() | st.sampled_from(FIELDS), part),
        max_leaves=8,
    )
    content = copy.deepcopy(data.draw(st.sampled_from([BROKEN, *SHIPPED])))
    place: Any = content
    while True:
        key = data.draw(st.sampled_from(_keys(place)))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(anything)
    report = validate(content, catalogue())
    assert all(fault.reason for fault in report.faults)
    assert (report.worst_case is None) is bool(report.errors)


SHIPPED = [FLOW_CONFIGS[name].model_dump(mode="json", by_alias=True) for name in FLOW_CONFIGS]
FIELDS = ["id", "op", "left", "right", "of", "var", "input", "type", "config", "members", "checks"]


def _keys(place: Any) -> list[Any]:
    return list(place) if isinstance(place, dict) else list(range(len(place)))


# --- size ---------------------------------------------------------------------------------------


def in_a_line(count: int, prompt: str = "") -> Json:
    content = flow(*(f"n{i}" for i in range(count)))
    for index, each in enumerate(content["nodes"][1:]):
        each["prompt_template"] = prompt.replace("BEFORE", f"n{index}")
    content["edges"] = [edge(f"n{i}", f"n{i + 1}") for i in range(count - 1)]
    return content


def star(count: int) -> Json:
    content = flow(*(f"n{i}" for i in range(count)))
    content["edges"] = [edge("n0", f"n{i}") for i in range(1, count)]
    return content


LARGE = {
    "a line": (in_a_line(3_000), []),
    "a line whose nodes read the one before": (in_a_line(3_000, "{BEFORE_output}"), []),
    "a line whose nodes read the first": (in_a_line(3_000, "{n0_output}"), []),
    "a line within a loop": ({**in_a_line(3_000), "loops": [loop("n0", "n2999")]}, []),
    "a circle": (
        {**in_a_line(3_000), "edges": [*in_a_line(3_000)["edges"], edge("n2999", "n0")]},
        ["unbounded_loop"],
    ),
    "a star": (star(3_000), ["missing_join"]),
}


@pytest.mark.parametrize(("content", "expected"), LARGE.values(), ids=LARGE)
def test_a_large_flow_is_proved_in_seconds(content: Json, expected: list[str]):
    # About half a second; what grows with the square of the nodes takes a minute.
    read = read_flow(content)
    started = time.process_time()
    assert codes(validate(read, catalogue())) == expected
    assert time.process_time() - started < 10


def test_a_flow_that_is_larger_than_anybody_can_run_is_a_fault_at_once():
    (fault,) = validate(in_a_line(10_001), catalogue()).faults
    assert (fault.code, fault.field) == ("too_large", "nodes")
    assert fault.reason == "Flow `mine` has 10001 nodes; at most 10000 can be run."
    assert codes(validate(in_a_line(10_000), catalogue())) == []


def test_a_group_cannot_make_a_flow_larger_than_that():
    many: Json = {f"m{i}": {} for i in range(400)}
    content = flow(
        {"id": "e", "group": {"members": many}},
        {"id": "f", "group": {"members": many}},
        "b",
        edges="e-f, f-b",
    )
    (fault,) = validate(content, catalogue()).faults
    assert fault.reason == "Flow `mine` has 160400 edges; at most 100000 can be run."


def test_a_join_waits_for_a_branch_of_a_thousand_nodes():
    content = in_a_line(1_002)
    content["edges"] += [edge("n0", "n1001")]
    course = Course(planned(content))
    routes: dict[str, tuple[str, ...] | None] = {"n0": ("n1", "n1001")}
    assert not course.is_ready("n1001", routes)
    assert course.is_ready("n1001", {f"n{i}": (f"n{i + 1}",) for i in range(1_001)})
