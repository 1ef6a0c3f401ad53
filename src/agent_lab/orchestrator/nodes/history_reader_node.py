"""Reads what the same owner asked before, as far as it is about the same thing."""

import logging
from typing import Annotated

from pydantic import Field, TypeAdapter

from agent_lab.contracts import JsonObject, Language
from agent_lab.deliberation.relevance import most_relevant
from agent_lab.errors import AgentLabError
from agent_lab.flows.catalogue import NodeOptions
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.orchestrator.agent_state import AgentState, StateUpdate
from agent_lab.orchestrator.history import EarlierRun
from agent_lab.orchestrator.node_types import NodeFunction, node
from agent_lab.orchestrator.prompts import fenced
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.run_recorder import decided
from agent_lab.orchestrator.turns import whole_characters

logger = logging.getLogger(__name__)

_EARLIER = TypeAdapter(EarlierRun)
HEADING: dict[Language, str] = {
    "en": "# Earlier work of the same user",
    "es": "# Trabajo anterior del mismo usuario",
}
ASKED: dict[Language, str] = {"en": "Asked", "es": "Pregunta"}
ANSWERED: dict[Language, str] = {"en": "Answered", "es": "Respuesta"}


class HistoryOptions(NodeOptions):
    """How much is read."""

    limit: Annotated[int, Field(ge=1, le=20)] = 3
    """Earlier runs that a prompt shows at the most."""
    most: Annotated[int, Field(ge=1, le=1000)] = 200
    """Latest runs that are looked at."""
    characters: Annotated[int, Field(ge=50, le=20_000)] = 600
    """Longest question and longest answer that are shown; more is cut."""
    least: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Least share of the task's words, weighed by rarity, that an earlier run must have."""


@node(
    "history_reader",
    title={"en": "History", "es": "Historial"},
    description={
        "en": "Finds the owner's earlier runs about the same thing, for `{history}`.",
        "es": "Busca ejecuciones anteriores del mismo usuario sobre lo mismo, para `{history}`.",
    },
    prompt="none",
    options=HistoryOptions,
    values={"found": "how many earlier runs are shown"},
)
def history_reader_node(config: NodeConfig, flow: FlowPlan) -> NodeFunction:
    """Make the node."""
    options = HistoryOptions.model_validate(config.config)

    async def read(state: AgentState, run: RunContext) -> StateUpdate:
        key = run.place.key(run.prefix + config.id, "history")
        found = await decided(run.recorder, key, lambda: _found(state, run, options))
        shown = [_EARLIER.validate_python(item) for item in found["shown"]]
        if found["why_not"]:
            degraded = f"The history cannot be read: {found['why_not']}"
            return {
                "degraded": {config.id: degraded},
                "values": {f"{config.id}_found": 0},
                "history": "",
            }
        return {
            "outputs": {config.id: "\n".join(item.run_id for item in shown)},
            "degraded": {config.id: ""},
            "values": {f"{config.id}_found": len(shown)},
            "history": _written(shown, options.characters, state["lang"], run),
        }

    return read


async def _found(state: AgentState, run: RunContext, options: HistoryOptions) -> JsonObject:
    """The runs that are shown, as JSON, and why there is no history; empty: there is."""
    try:
        earlier = [_whole(i) for i in await run.history.earlier(run.owner, most=options.most)]
    except AgentLabError as error:  # an answer without its history is still an answer
        logger.warning("The history cannot be read: %s", error.message)
        return {"shown": [], "why_not": error.message}
    texts = [f"{item.input}\n{item.output}" for item in earlier]
    chosen = most_relevant(state["user_input"], texts, limit=options.limit, least=options.least)
    shown = [_EARLIER.dump_python(earlier[index], mode="json") for index in chosen]
    return {"shown": shown, "why_not": ""}


def _whole(item: EarlierRun) -> EarlierRun:
    """The run as prompts and records can hold it."""
    return item._replace(
        run_id=whole_characters(item.run_id),
        input=whole_characters(item.input),
        output=whole_characters(item.output),
    )


def _written(items: list[EarlierRun], characters: int, lang: Language, run: RunContext) -> str:
    """Earlier runs as a part of a prompt; empty: there is nothing to say."""
    if not items:
        return ""
    parts = [
        fenced(
            "earlier",
            f"{ASKED[lang]}: {_cut(item.input, characters)}\n\n"
            f"{ANSWERED[lang]}: {_cut(item.output, characters)}",
            run,
        )
        for item in items
    ]
    return "\n\n".join([HEADING[lang], *parts]) + "\n\n"


def _cut(text: str, most: int) -> str:
    text = text.strip()
    return text if len(text) <= most else text[:most].rstrip() + " …"
