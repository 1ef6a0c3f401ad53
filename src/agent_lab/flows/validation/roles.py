"""Rules of deliberation: what a role must be shown, and who may judge whom."""

from collections.abc import Iterator

from agent_lab.flows.catalogue import NodeOptions
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.flows.names import FEEDBACK, OUTPUT, OUTPUTS
from agent_lab.flows.prompt_templates import placeholders
from agent_lab.flows.validation.faults import Fault, Subject, quoted
from agent_lab.flows.validation.names import templates

PARTS: dict[str, tuple[str, ...]] = {
    "critic": ("challenger", "critic", "critique", "reviewer", "red_team", "critico"),
    "refiner": ("refiner", "refine", "reviser", "revisor", "blue_team", "refinador"),
    "judge": ("judge", "arbitrator", "juez", "arbitro"),
}
"""How people call the roles whose prompts must hold certain texts."""


def part_of(subject: Subject, node: NodeConfig) -> str:
    """Which of these parts a node plays, by its type, id, group or role; empty: none."""
    names = {node.type, node.id, subject.written(node.id), node.speaker}
    return next((part for part, words in PARTS.items() if names & set(words)), "")


def drafts(subject: Subject) -> Iterator[Fault]:
    """A critic is shown the draft; a refiner the draft, and not only the critique of it."""
    parts = {node.id: part_of(subject, node) for node in subject.plan.nodes}
    writers = {node.id for node in subject.plan.nodes if _writes(subject, node)}
    drafting = {i for i in writers if not parts[i]}
    refiners = {i for i in writers if parts[i] == "refiner"}
    sources = drafting | refiners | _carriers(subject, drafting | refiners)
    told: set[tuple[str, str]] = set()
    for node in subject.plan.nodes:
        part, name = parts[node.id], subject.written(node.id)
        if part not in ("critic", "refiner") or node.id not in writers:
            continue
        for field, text in templates(node):
            shown = _shown(subject, node, text)
            is_there = any(i == "draft" or (i in sources and i != node.id) for i in shown)
            if is_there or (name, field) in told:
                continue
            told.add((name, field))
            before = sorted(subject.course.leading_to(node.id) & drafting)
            if not before:
                continue
            holds = f"and {quoted(sorted(shown))}" if shown else "alone"
            yield Fault(
                code=f"{part}_without_draft",
                node=name,
                field=field,
                reason=f"The {part} never gets the draft: its prompt holds the task {holds}.",
                fix=f"Ask for {quoted(f'{{{i}{OUTPUT}}}' for i in before)}.",
            )


def _writes(subject: Subject, node: NodeConfig) -> bool:
    """Whether the node's text is a model's, of its own or of the flow that it runs."""
    options = _options(subject, node)
    return _asks_a_model(subject, node) or bool(options and options.subflow())


def _carriers(subject: Subject, writers: set[str]) -> set[str]:
    """The nodes that ask nobody and hand on what one of some nodes wrote."""
    carriers: set[str] = set()
    for node in subject.plan.nodes:
        kind, options = subject.catalogue.kinds.get(node.type), _options(subject, node)
        if kind is None or options is None or kind.gives not in ("text", "draft"):
            continue
        named = {i for names in options.nodes_named().values() for i in names}
        if not kind.asks_a_model(node.prompt_template) and named & writers:
            carriers.add(node.id)
    return carriers


def _shown(subject: Subject, node: NodeConfig, text: str) -> set[str]:
    """The nodes whose text a prompt holds; `draft` where it holds the current draft."""
    plan, shown = subject.plan, set[str]()
    for name in placeholders(text):
        if name == "draft":
            shown.add("draft")
        elif name == "previous_output":
            shown |= set(subject.course.before(node.id))
        elif name.endswith(OUTPUTS):
            shown |= set(plan.groups.get(name.removesuffix(OUTPUTS), ()))
        elif name.endswith(OUTPUT):
            source = name.removesuffix(OUTPUT)
            shown.add(plan.aliases.get(source, source))
        elif name.endswith(FEEDBACK):
            shown |= set(_checked(subject, name.removesuffix(FEEDBACK)))
    return shown


def _checked(subject: Subject, node_id: str) -> tuple[str, ...]:
    """The nodes whose text the feedback of a node repeats."""
    node = next((node for node in subject.plan.nodes if node.id == node_id), None)
    options = _options(subject, node) if node else None
    return options.nodes_named().get("answer", ()) if options else ()


def judges(subject: Subject) -> Iterator[Fault]:
    """A judge of the debaters' own family favours them (2305.19118): say so.

    Where nobody names a model, one answers for all: that is known.
    """
    models = subject.catalogue.models
    judging = dict.fromkeys(_judging(subject))
    is_one_for_all = not subject.plan.names_models and not any(key for _, _, key in judging)
    if models is None or is_one_for_all:
        return
    families: dict[str, str] = {}
    for node in subject.plan.nodes:
        key = node.model or subject.catalogue.default_model
        if part_of(subject, node) == "judge" or not _asks_a_model(subject, node):
            continue
        if key and key in models:
            families[models[key].family] = node.id
    for name, field, key in judging:
        own = key or subject.catalogue.default_model
        family = models[own].family if own and own in models else None
        if family is not None and family in families:
            debater = families[family]
            reason = f"`{own}` judges `{debater}`, which is a model of its own family `{family}`."
            fix = "Judges favour their own family: name a model of another one."
            yield Fault(
                code="judge_of_own_family",
                severity="warning",
                node=name,
                field=field,
                reason=reason,
                fix=fix,
            )


def _judging(subject: Subject) -> Iterator[tuple[str, str, str | None]]:
    for node in subject.plan.nodes:
        options = _options(subject, node)
        for model in options.judges() if options else ():
            yield subject.written(node.id), "config.checks", model or node.model
        if part_of(subject, node) == "judge" and _asks_a_model(subject, node):
            yield subject.written(node.id), "model", node.model


def _asks_a_model(subject: Subject, node: NodeConfig) -> bool:
    kind = subject.catalogue.kinds.get(node.type)
    return kind is None or kind.asks_a_model(node.prompt_template)


def _options(subject: Subject, node: NodeConfig) -> NodeOptions | None:
    kind = subject.catalogue.kinds.get(node.type)
    return kind.options_or_none(node.config) if kind else None
