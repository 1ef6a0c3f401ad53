"""Flows that between them have all that an execution must take the same way twice."""

from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig, get_flow_config
from tests.orchestrator.conftest import flow_of, speaker

_BRANCHES = [f"b{number}" for number in range(5)]
FAN_OUT = flow_of(
    speaker("begin", "Begin."),
    *(speaker(name, "{begin_output}") for name in _BRANCHES),
    speaker("deeper", "{b0_output}"),
    speaker("end", "{b1_output}{b2_output}{b3_output}{b4_output}{deeper_output}"),
    edges=" ".join(
        [*(f"begin-{name}" for name in _BRANCHES), "b0-deeper deeper-end"]
        + [f"{name}-end" for name in _BRANCHES[1:]]
    ),
    name="fan_out",
)
"""Branches of unequal length, and a join that waits for all."""
NESTED = flow_of(
    speaker("first", "Begin."),
    speaker("inner", "{first_output}"),
    speaker("last", "{inner_output}"),
    edges="first-inner inner-last",
    loops=(
        {"id": "retries", "first": "inner", "last": "inner", "max_rounds": 2, "counts": "retry"},
        {"id": "rounds", "first": "first", "last": "last", "max_rounds": 3},
    ),
    name="nested",
)
"""A loop of retries within a loop of rounds."""
MEASURED = FlowConfig.model_validate(
    {
        "name": "measured",
        "entry_point": "machine",
        "nodes": [
            {"id": "machine", "type": "resource_monitor"},
            speaker("small", "Small."),
            speaker("large", "Large."),
        ],
        "edges": [
            {
                "source": "machine",
                "target": "small",
                "condition": {
                    "op": "lt",
                    "left": {"var": "machine_memory_gb"},
                    "right": 0.0001,
                },
            },
            {"source": "machine", "target": "large"},
        ],
    }
)
"""A way that depends on what the machine has at that moment."""
WITHIN = FlowConfig.model_validate(
    {
        "name": "within",
        "entry_point": "debate",
        "nodes": [
            {"id": "debate", "type": "flow", "config": {"flow": "challenge"}},
            speaker("end", "{debate_output}"),
        ],
        "edges": [{"source": "debate", "target": "end"}],
    }
)
"""A flow within a flow."""
ALL = {
    **{name: get_flow_config(name) for name in FLOW_CONFIGS},
    **{flow.name: flow for flow in (FAN_OUT, NESTED, MEASURED, WITHIN)},
}
