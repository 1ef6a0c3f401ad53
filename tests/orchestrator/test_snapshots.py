"""What the linear flow hands over, byte for byte.

The prompts are our own, since the wording of the shipped ones is tuned for models.
`SNAPSHOTS=write pytest tests/orchestrator/test_snapshots.py` renews what is kept.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from agent_lab.contracts import Language
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import FlowConfig, NodeConfig, get_flow_config
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.flow_metrics import get_flow_summary
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.node_types import NODES, NodeFunction, NodeType
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.providers.local.scripted_provider import ScriptedReply
from tests.orchestrator.conftest import (
    TAREA,
    TASK,
    Earlier,
    earlier,
    in_virtual_time,
    kept,
    ran,
    slow,
    timed,
)

PROMPTS: Mapping[str, Any] = {
    "execution": "{task_type}\n\n{requirements}\n\n{output_validator_feedback}# Author",
    "summary": {
        "en": "{execution_output}\n\n{summary_report}\n\n{history}# Editor",
        "es": "{execution_output}\n\n{summary_report}\n\n{history}# Editora",
    },
}
HISTORY = Earlier(earlier("Compute the mean of a list of lists.", "map(mean, lists)", "before"))
CHECKS = [
    {"check": "length", "max_words": 50},
    {
        "check": "regex",
        "pattern": "TODO",
        "absent": True,
        "message": {"en": "A part is missing.", "es": "Falta una parte."},
    },
]
GOOD, BAD = "sum(x) / len(x)", "TODO: the mean"
SCRIPTS: Mapping[str, Mapping[str, Any]] = {
    "ok": {"execution": slow(GOOD, 0.5), "summary": slow("Mean: sum(x) / len(x).", 0.25)},
    "retried": {
        "execution": [slow(BAD, 0.5), slow(BAD, 0.5), slow(GOOD, 0.5)],
        "summary": slow("Mean: sum(x) / len(x).", 0.25),
    },
    "degraded": {
        "execution": slow(BAD, 0.5),
        "summary": ScriptedReply(error=ProviderUnavailableError("`it` is gone."), delay_s=2),
    },
}


def linear() -> FlowConfig:
    content = get_flow_config("linear").model_dump(mode="json", exclude={"tests"})
    for node in content["nodes"]:
        node["prompt_template"] = PROMPTS.get(node["id"], "")
    return FlowConfig.model_validate({**content, "system_prompt": "Be brief."})


def watched(updates: list[StateUpdate]) -> GraphBuilder:
    """A builder that writes down what the summary node returns."""

    def make(config: NodeConfig, plan: FlowPlan) -> NodeFunction:
        work = NODES.get("summary")(config, plan)

        async def run(state: AgentState, context: RunContext) -> StateUpdate:
            updates.append(await work(state, context))
            return updates[-1]

        return run

    builder = GraphBuilder()
    builder.register_node("summary", NodeType(NODES.get("summary").kind, make))
    return builder


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize("case", sorted(SCRIPTS))
def test_summary_update_prompt_and_figures_of_the_linear_flow_are_as_kept(
    case: str, lang: Language
):
    updates: list[StateUpdate] = []
    request = {"input": TAREA if lang == "es" else TASK, "inputs": {"retries": 2, "checks": CHECKS}}
    stage = timed(SCRIPTS[case], request=request, history=HISTORY)
    outcome, seconds = in_virtual_time(
        lambda: ran(linear(), stage, lang=lang, builder=watched(updates))
    )
    [update] = updates
    parts = {
        "update": json.dumps(update, default=_plain, ensure_ascii=False, indent=2, sort_keys=True),
        "prompt": "\n\n".join(
            f"[{message.role}]\n{message.content}"
            for turn in stage.turns
            if turn.path == "summary"
            for message in turn.messages
        ),
        "figures": get_flow_summary(stage.turns, seconds),
        "degraded": "\n".join(outcome.degraded),
        "output": outcome.output,
        "path": " → ".join(stage.path),
    }
    text = "\n\n".join(f"=== {name}\n{part}" for name, part in parts.items()) + "\n"
    assert kept(f"linear.{case}.{lang}.txt", text) == text


def _plain(value: Any) -> Any:
    """An error as JSON; the seconds of its attempts are those of the real clock."""
    content = value.model_dump(mode="json")
    for attempt in content["details"].get("attempts", ()):
        attempt.pop("seconds")
    return content
