"""What a role is sent: the shared head, then its own part, built anew for each turn.

A prompt asks for values by name. What each name stands for is found once, when the graph is
built; a turn computes only what its own prompt asks for.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import cast

from agent_lab.contracts import ErrorInfo, Language, Message
from agent_lab.deliberation.answers.answer import AnswerKind
from agent_lab.deliberation.answers.kinds import answer_kind
from agent_lab.deliberation.answers.slots import format_clause
from agent_lab.deliberation.context import fence
from agent_lab.deliberation.intensity import agreement_clause
from agent_lab.deliberation.issues import listed, open_issues, settled_issues
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.flows.names import OUTPUT, OUTPUTS
from agent_lab.flows.prompt_templates import (
    LocalizedText,
    format_prompt_template,
    in_language,
    placeholders,
)
from agent_lab.orchestrator.agent_state import AgentState, failures_of
from agent_lab.orchestrator.run_context import RunContext

MISSING: dict[Language, str] = {
    "en": "({name} gave no answer.)",
    "es": "({name} no dio respuesta.)",
}
NO_ISSUES: dict[Language, str] = {"en": "(none)", "es": "(ninguno)"}

NOTHING_GIVEN: Mapping[str, str] = MappingProxyType({})
ANSWER_INPUT = "answer"
"""The flow's input that says what kind of answer is wanted; for `{format}`."""
INTENSITY_INPUT = "intensity"
"""The flow's input that says how much agreement is worth, 0 to 10; for `{agreement_clause}`."""
MIDDLE = 5
"""How much it is worth where no such input says."""

Source = Callable[[AgentState, RunContext], str]
"""What a name stands for now."""

_OF_STATE: dict[str, Source] = {
    "user_input": lambda state, run: state["user_input"],
    "lang": lambda state, run: state["lang"],
    "request_id": lambda state, run: state["request_id"],
    "flow_type": lambda state, run: state["flow_type"],
    "round": lambda state, run: str(run.place.round),
    "task_type": lambda state, run: state["task_type"],
    "requirements": lambda state, run: state["requirements"],
    "score": lambda state, run: "" if state["score"] is None else f"{state['score']:.2f}",
    "history": lambda state, run: state["history"],
    "settled_issues": lambda state, run: _settled_issues(state, run),
    "format": lambda state, run: _format(state),
    "agreement_clause": lambda state, run: _agreement_clause(state),
}


class Prompt:
    """The prompt of one node.

    Args:
        config: The node.
        plan: Its flow.
        drafts: The nodes whose text `{draft}` is, best first.
    """

    def __init__(self, config: NodeConfig, plan: FlowPlan, drafts: tuple[str, ...] = ()) -> None:
        self._config = config
        self._plan = plan
        self._names = {node.id: node.name for node in plan.nodes}
        self._drafts = tuple(i for name in drafts for i in plan.members_of(name))
        self._critics = tuple(node.id for node in plan.nodes if node.type == "critique")
        self._before = tuple(
            dict.fromkeys(edge.source for edge in plan.edges if edge.target == config.id)
        )
        asked = set().union(*map(placeholders, texts_of(config.prompt_template)))
        self._sources = {name: self._source(name) for name in asked}
        self.reads = tuple(dict.fromkeys(i for name in asked for i in self._reads(name)))
        """The nodes whose text it asks for."""

    def messages(
        self, state: AgentState, run: RunContext, given: Mapping[str, str] = NOTHING_GIVEN
    ) -> tuple[Message, ...]:
        """The messages as they are sent; nothing is ever appended to earlier ones.

        Args:
            state: The run so far.
            run: The run's surroundings.
            given: What some names stand for in this turn alone.
        """
        return messages_of(self._plan, state, self.own_part(state, run, given))

    def own_part(
        self, state: AgentState, run: RunContext, given: Mapping[str, str] = NOTHING_GIVEN
    ) -> str:
        """What follows the shared head."""
        template = in_language(self._config.prompt_template, state["lang"])
        values = {
            name: given[name] if name in given else self._sources[name](state, run)
            for name in placeholders(template)
        }
        return format_prompt_template(template, values)

    def lost_ground(self, state: AgentState) -> ErrorInfo | None:
        """Why the role has nothing to work on: every text that it asks for failed to come."""
        failures = failures_of(state)
        failed = [i for i in self.reads if i in failures]
        if not failed or any(i in state["outputs"] for i in self.reads):
            return None
        cause = failures[failed[0]]
        if cause.code == "not_asked":
            return cause
        return ErrorInfo(code="not_asked", message=f"`{failed[0]}` gave nothing to work on.")

    def _source(self, name: str) -> Source:
        plan, config = self._plan, self._config
        if name in config.values:
            return _constant(config.values[name])
        if name in plan.values:
            return _constant(as_text(plan.values[name]))
        special: Mapping[str, Source] = {
            **_OF_STATE,
            "open_issues": lambda state, run: self._open_issues(state, run),
            "own_last": lambda state, run: self._own_last(state, run),
            "draft": lambda state, run: self._draft(state, run),
            "previous_output": lambda state, run: self._all(self._before, state, run),
        }
        if name in special:
            return special[name]
        nodes = self._reads(name)
        if name.endswith(OUTPUTS) and nodes:
            return lambda state, run: self._all(nodes, state, run)
        if nodes:
            return lambda state, run: self._output(nodes[0], state, run)
        return lambda state, run: as_text(state["values"].get(name))

    def _reads(self, name: str) -> tuple[str, ...]:
        """The nodes whose text a name stands for."""
        if name == "draft":
            return self._drafts
        if name == "previous_output":
            return self._before
        if name.endswith(OUTPUTS) and name.removesuffix(OUTPUTS) in self._plan.groups:
            return self._plan.groups[name.removesuffix(OUTPUTS)]
        node = self._plan.aliases.get(name.removesuffix(OUTPUT), name.removesuffix(OUTPUT))
        return (node,) if name.endswith(OUTPUT) and node in self._names else ()

    def _output(self, node_id: str, state: AgentState, run: RunContext) -> str:
        text = state["outputs"].get(node_id)
        if text is None:
            text = MISSING[state["lang"]].format(name=self._written_name(node_id, state["lang"]))
        return fence(node_id + OUTPUT, text, run.secret)

    def _all(self, nodes: Iterable[str], state: AgentState, run: RunContext) -> str:
        """Some nodes' texts, each under its written name."""
        lang = state["lang"]
        return "\n\n".join(
            f"## {self._written_name(i, lang)}\n\n{self._output(i, state, run)}" for i in nodes
        )

    def _draft(self, state: AgentState, run: RunContext) -> str:
        text = current(self._drafts, state)
        if text is None and self._drafts:
            return self._output(self._drafts[-1], state, run)
        return fence("draft", text or "", run.secret)

    def _open_issues(self, state: AgentState, run: RunContext) -> str:
        """The open issues; where a critic failed, that nobody has looked is said, too."""
        lost = [i for i in self._critics if i in failures_of(state)]
        lang = state["lang"]
        told = [MISSING[lang].format(name=self._written_name(i, lang)) for i in lost]
        nothing = "\n".join(told) or NO_ISSUES[lang]
        return fenced("open_issues", listed(open_issues(state["issues"]), lang, nothing), run)

    def _own_last(self, state: AgentState, run: RunContext) -> str:
        text = state["outputs"].get(self._config.id)
        return "" if text is None else fence(f"own{OUTPUT}", text, run.secret)

    def _written_name(self, node_id: str, lang: Language) -> str:
        return in_language(self._names[node_id], lang) or node_id


def messages_of(plan: FlowPlan, state: AgentState, own: str) -> tuple[Message, ...]:
    """The system prompt, and the shared head with a role's own part behind it."""
    system = in_language(plan.system_prompt, state["lang"])
    return (
        *((Message(role="system", content=system),) if system else ()),
        Message(role="user", content=f"{state['head']}\n\n{own}".rstrip()),
    )


def fenced(kind: str, text: str, run: RunContext) -> str:
    """Another's text, as data."""
    return fence(kind, text, run.secret)


def current(drafts: Iterable[str], state: AgentState) -> str | None:
    """The text of the first of some nodes that has one."""
    return next((state["outputs"][i] for i in drafts if i in state["outputs"]), None)


def texts_of(text: LocalizedText) -> tuple[str, ...]:
    """A text in every language that it has."""
    return (text,) if isinstance(text, str) else tuple(text.values())


def as_text(value: object) -> str:
    """A value as prompts show it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _constant(text: LocalizedText) -> Source:
    return lambda state, run: in_language(text, state["lang"])


def wanted_kind(wish: str, state: AgentState) -> AnswerKind:
    """What kind of answer is wanted: as the flow says, or (`auto`) as the task does."""
    if wish == "auto":
        return answer_kind(state["user_input"], state["lang"])
    return cast(AnswerKind, wish)


def _format(state: AgentState) -> str:
    wish = str(state["inputs"].get(ANSWER_INPUT, "auto"))
    return format_clause(wanted_kind(wish, state), state["lang"])


def _agreement_clause(state: AgentState) -> str:
    level = state["inputs"].get(INTENSITY_INPUT, MIDDLE)
    return agreement_clause(level if isinstance(level, int) else MIDDLE, state["lang"])


def _settled_issues(state: AgentState, run: RunContext) -> str:
    lang = state["lang"]
    return fenced(
        "settled_issues", listed(settled_issues(state["issues"]), lang, NO_ISSUES[lang]), run
    )
