"""`agent-lab flows show`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from agent_lab.cli.flow_sources import read_source
from agent_lab.cli.flow_texts import counted, loops_of, ways_from, written
from agent_lab.cli.options import AsJson, Lang
from agent_lab.cli.outputs import show

if TYPE_CHECKING:
    from agent_lab.contracts import Language
    from agent_lab.flows.graph_configs import FlowConfig, NodeConfig
    from agent_lab.flows.inputs import InputConfig

SETTINGS = ("model", "strategy", "temperature", "top_p", "top_k", "max_tokens")


def show_flow(
    source: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A flow's name, or a JSON file.")
    ],
    *,
    as_json: AsJson = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Only the graph, as Mermaid.")] = False,
    lang: Lang = "en",
) -> None:
    """Show a flow: its inputs, nodes, edges, loops and prompts."""
    flow = read_source(source).flow()
    if as_json:
        show(flow.model_dump_json(indent=2))
    elif mermaid:
        from agent_lab.flows.flow_plan import plan_flow
        from agent_lab.flows.mermaid import mermaid as drawn

        show(drawn(plan_flow(flow), lang).rstrip())
    else:
        show("\n".join(_lines(flow, lang)))


def _lines(flow: "FlowConfig", lang: "Language") -> Iterator[str]:
    from agent_lab.flows.prompt_templates import in_language

    yield f"{flow.name} ({flow.version})"
    yield in_language(flow.description, lang)
    if flow.inputs:
        yield "\nInputs"
        for name, config in flow.inputs.items():
            yield f"  {name}: {_input(config)}"
            yield f"    {in_language(config.description, lang)}".rstrip()
    yield "\nRuns"
    yield f"  begins with {flow.entry_point}"
    yield from (f"  {line}" for line in loops_of(flow, lang))
    yield f"  answer: {', else '.join(flow.answer_nodes())}"
    yield from (f"  {name} = {value}" for name, value in flow.outputs.items())
    yield from _limits(flow)
    yield f"  {counted(len(flow.tests), 'test')}"
    if flow.system_prompt:
        yield "\nEvery role is told"
        yield from _quoted(in_language(flow.system_prompt, lang))
    for node in flow.nodes:
        yield ""
        yield from _node(flow, node, lang)


def _input(config: "InputConfig") -> str:
    parts = [config.type, f"default {written(config.default)}"]
    if config.enum:
        parts.append("one of " + ", ".join(config.enum))
    sizes = {"at least": config.minimum, "at most": config.maximum}
    parts += [f"{word} {size:g}" for word, size in sizes.items() if size is not None]
    return ", ".join(parts)


def _limits(flow: "FlowConfig") -> Iterator[str]:
    if flow.data_policy is not None:
        yield f"  data policy {flow.data_policy}"
    limits = flow.budget.model_dump(exclude_none=True) if flow.budget else {}
    if limits:
        yield "  at most " + ", ".join(f"{value:g} {name}" for name, value in limits.items())


def _node(flow: "FlowConfig", node: "NodeConfig", lang: "Language") -> Iterator[str]:
    from agent_lab.flows.prompt_templates import in_language

    told = [f"{name} {getattr(node, name)}" for name in SETTINGS if getattr(node, name) is not None]
    what = ", ".join([node.type, *told])
    name = in_language(node.name, lang)
    yield f"{node.id} → {', '.join(ways_from(flow, node.id, lang))}"
    yield "  " + (f"{name} ({what})" if name else f"({what})")
    if node.role:
        yield f"  speaks as {node.role}"
    if node.config:
        yield "  " + ", ".join(f"{key} {written(value)}" for key, value in node.config.items())
    for member_id, member in node.group.members.items() if node.group else ():
        values = "; ".join(in_language(text, lang) for text in member.values.values())
        yield f"  member {member_id}: {in_language(member.name, lang) or member_id} · {values}"
    yield from _quoted(in_language(node.prompt_template, lang))


def _quoted(text: str) -> Iterator[str]:
    yield from (f"  | {line}".rstrip() for line in text.splitlines())
