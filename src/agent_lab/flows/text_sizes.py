"""How long the texts and prompts of a flow can become, in tokens; computed from the flow alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

from agent_lab.contracts import JsonObject, RunRequest
from agent_lab.flows.catalogue import Catalogue, NodeOptions
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import FlowPlan, plan_flow
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.flows.names import FEEDBACK, OUTPUT, OUTPUTS
from agent_lab.flows.prompt_templates import LocalizedText, placeholders

BYTES_PER_TOKEN = 3.5
"""As the gateway estimates prompts before a call."""
WRITTEN_BYTES_PER_TOKEN = 4.5
"""Of what a model wrote, once it stands in a prompt; English and Spanish have less as a rule."""
TASK_TOKENS = 500
"""Of the task, where nobody has said what it is."""
FENCE_TOKENS = 25
"""Of the marks around a text and its heading, without the name of its node."""
LEDGER_TOKENS = 400
"""Of lists that the lab words itself, beside what models wrote and flows say."""
ISSUE_TOKENS = 160
"""Of ids, severities and states of the issues of one critique."""
HISTORY_TOKENS = 1500
"""Of earlier runs, as a history reader shows them by default."""
VERDICT_TOKENS = 120
"""That a judge may write where its node does not say how many."""
FORMAT_TOKENS = 250
"""Of the words that say what form an answer or a ballot has, or how much agreement is worth."""
FAILURE_TOKENS = 60
"""Of the line that tells why a node failed."""


@dataclass(frozen=True)
class TextSizes:
    """Texts, prompts and answers of one flow, at their longest."""

    plan: FlowPlan
    course: Course
    catalogue: Catalogue
    request: RunRequest | None
    task_tokens: int | None = None
    """Of the task, where it is another flow's text; None: it is the request's."""

    def prompt(self, node: NodeConfig) -> int:
        """Tokens of a node's prompt."""
        own = [
            _tokens(text) + sum(text.count(f"{{{n}}}") * self._value(n, node) for n in names)
            for text in texts_of(node.prompt_template)
            for names in [placeholders(text)]
        ]
        return self._head + max(own, default=0)

    def judge_prompt(self, node: NodeConfig) -> int:
        """Tokens of the prompt of one of its judges."""
        return self._head + LEDGER_TOKENS + _config_tokens(node) + self._named(node, "answer")

    def answer(self, node: NodeConfig) -> int:
        """Tokens that a node's model may write."""
        limit = self._limit(node) or self.catalogue.max_tokens
        if limit:
            return limit
        facts = (self.catalogue.strategies or {}).get(self.strategy(node, self.model(node)) or "")
        return facts.max_tokens if facts else 0

    def verdict(self, node: NodeConfig) -> int:
        """Tokens that each of its judges may write."""
        return self._limit(node) or VERDICT_TOKENS

    def model(self, node: NodeConfig) -> str | None:
        """Who answers for a node; None: nobody would."""
        wish = self.request
        chosen = {} if wish is None else wish.models
        named = next((chosen[i] for i in (node.speaker, *node.aliases) if i in chosen), None)
        asked = None if wish is None else wish.model
        return named or node.model or asked or self.catalogue.default_model

    def strategy(self, node: NodeConfig, model: str | None) -> str | None:
        """How a model is asked for a node."""
        wished = None if self.request is None else self.request.strategy
        facts = (self.catalogue.models or {}).get(model or "")
        own = facts.strategy if facts else None
        return wished or node.strategy or self.catalogue.default_strategy or own

    def within(self, node: NodeConfig) -> "TextSizes | None":
        """The sizes of the flow that a node runs; None: it runs none that there is."""
        options = self._options(node)
        flow = self.catalogue.flows.get(options.subflow() or "") if options else None
        if flow is None:
            return None
        plan = plan_flow(flow, getattr(options, "inputs", {}))
        task = self.prompt(node) if node.prompt_template else self._task
        return replace(
            self,
            plan=plan,
            course=Course(plan),
            request=self._inner_request(node, plan),
            task_tokens=task,
        )

    def _inner_request(self, node: NodeConfig, plan: FlowPlan) -> RunRequest:
        base = self.request or RunRequest(flow=plan.name, input="a task")
        own = f"{node.id}."
        models = {
            role.removeprefix(own): key for role, key in base.models.items() if role.startswith(own)
        }
        return base.model_copy(update={"model": self.model(node), "models": models})

    def _limit(self, node: NodeConfig) -> int | None:
        wished = None if self.request is None else self.request.max_tokens
        return wished or node.max_tokens

    @cached_property
    def _head(self) -> int:
        system = max((_tokens(text) for text in texts_of(self.plan.system_prompt)), default=0)
        return system + self._task

    @cached_property
    def _task(self) -> int:
        attachments = self.request.attachments if self.request else ()
        attached = sum(_tokens(a.name) + _tokens(a.text) + FENCE_TOKENS for a in attachments)
        if self.task_tokens is not None:
            return self.task_tokens + attached
        if self.request is None:
            return TASK_TOKENS
        return _tokens(self.request.input) + attached + FENCE_TOKENS

    @cached_property
    def _nodes(self) -> dict[str, NodeConfig]:
        return {node.id: node for node in self.plan.nodes}

    def _options(self, node: NodeConfig) -> NodeOptions | None:
        kind = self.catalogue.kinds.get(node.type)
        return kind.options_or_none(node.config) if kind else None

    def _value(self, name: str, node: NodeConfig) -> int:
        """Tokens of what a name in a node's prompt stands for."""
        plan = self.plan
        if name in node.values:
            return max((_tokens(text) for text in texts_of(node.values[name])), default=0)
        if name in plan.values:
            return _tokens(str(plan.values[name]))
        of_run = self._of_run.get(name)
        if of_run is not None:
            return of_run
        if name == "draft":
            return self._named(node, "drafts")
        if name == "own_last":
            return max(self._text(node.id), self._longest(node))
        if name in ("candidates", "peers"):
            return self._all_named(node)
        if name == "previous_output":
            return sum(self._text(i) for i in self.course.before(node.id))
        if name.endswith(OUTPUTS) and name.removesuffix(OUTPUTS) in plan.groups:
            return sum(self._text(i) for i in plan.groups[name.removesuffix(OUTPUTS)])
        source = plan.aliases.get(name.removesuffix(OUTPUT), name.removesuffix(OUTPUT))
        if name.endswith(OUTPUT) and source in self._nodes:
            return self._text(source)
        return self._found_out(name)

    @cached_property
    def _of_run(self) -> Mapping[str, int]:
        """Tokens of the names that mean the same in every prompt."""
        passes = self.course.passes
        critiques = [n for n in self.plan.nodes if n.type == "critique"]
        refinements = [n for n in self.plan.nodes if n.type == "refine"]
        raised = FENCE_TOKENS + sum(
            passes(n.id) * (self._text(n.id) + ISSUE_TOKENS) for n in critiques
        )
        # What the refiner says of an issue stands beside it once it is settled.
        settled = raised + sum(passes(n.id) * self._text(n.id) for n in refinements)
        return {
            "user_input": self._task,
            "requirements": self._task + LEDGER_TOKENS,
            "open_issues": raised,
            "settled_issues": settled,
            "format": FORMAT_TOKENS,
            "agreement_clause": FORMAT_TOKENS,
            "history": max([HISTORY_TOKENS, *map(self._history, self.plan.nodes)]),
        }

    def _history(self, node: NodeConfig) -> int:
        options = self._options(node) if node.type == "history_reader" else None
        limit, characters = getattr(options, "limit", 0), getattr(options, "characters", 0)
        each = ceil(2 * characters / BYTES_PER_TOKEN) + 2 * FENCE_TOKENS
        return FENCE_TOKENS + limit * each if limit else 0

    def _found_out(self, name: str) -> int:
        """Tokens of a value that a node found out: a figure, a word, or a text that it composed."""
        owner, _, what = name.rpartition("_")
        if name.endswith(FEEDBACK) and owner in self._nodes:
            node = self._nodes[owner]
            return self._named(node, "answer") + self._problems(node)
        if what == "report":
            told = sum(self._problems(n) for n in self.plan.nodes if n.type == "output_validator")
            return LEDGER_TOKENS + told + FAILURE_TOKENS * len(self._nodes)
        splitter = self._nodes.get(owner.removesuffix("_part"))
        if splitter is not None and owner.endswith("_part"):
            return max(self._task, self._named(splitter, "text"))
        return FENCE_TOKENS

    def _problems(self, node: NodeConfig) -> int:
        """Tokens of what an output validator says: its own words, the flow's, its judges'."""
        options = self._options(node)
        judges = len(options.judges()) if options else 0
        return LEDGER_TOKENS + _config_tokens(node) + judges * self._read(self.verdict(node))

    def _all_named(self, node: NodeConfig) -> int:
        """Tokens of all texts that the members of a vote can have written last."""
        return sum(map(self._text, self._answering(node)))

    def _longest(self, node: NodeConfig) -> int:
        return max(map(self._text, self._answering(node)), default=0)

    def _answering(self, node: NodeConfig) -> list[str]:
        """The nodes whose texts stand side by side, once for each draw of theirs."""
        options = self._options(node)
        named = options.nodes_named() if options else {}
        by_field = [
            [
                node_id
                for name in named.get(field, ())
                for node_id in self.plan.members_of(name)
                for _ in range(self._draws(node_id))
            ]
            for field in ("answers", "blind")
        ]
        return max(by_field, key=len)

    def _draws(self, node_id: str) -> int:
        node = self._nodes.get(node_id)
        options = self._options(node) if node else None
        return options.most_turns(self.plan) if options else 1

    def _named(self, node: NodeConfig, field: str) -> int:
        """Tokens of the longest text of the nodes that a field of its `config` names."""
        options = self._options(node)
        names = options.nodes_named().get(field, ()) if options else ()
        nodes = [i for name in names for i in self.plan.members_of(name) if i in self._nodes]
        return max(map(self._text, nodes), default=0)

    def _text(self, node_id: str, seen: frozenset[str] = frozenset()) -> int:
        """Tokens of a node's text as another one's prompt shows it; or of the word that it lacks.

        Args:
            node_id: The node.
            seen: The nodes that hand this one's text on.
        """
        node = self._nodes[node_id]
        name = max((_tokens(text) for text in texts_of(node.name)), default=0)
        marks = 2 * (FENCE_TOKENS + name) + 2 * _tokens(node.id)
        kind = self.catalogue.kinds.get(node.type)
        if kind is None or kind.asks_a_model(node.prompt_template):
            own = self._read(self.answer(node))
        else:
            own = self._unspoken(node, seen | {node_id})
        inner = self.within(node)
        if inner is not None:
            answers = {i for name in inner.plan.answer_nodes() for i in inner.plan.members_of(name)}
            own = max(map(inner._text, answers), default=0)
        return own + marks

    def _unspoken(self, node: NodeConfig, seen: frozenset[str]) -> int:
        """Tokens of the text of a node that asks no model: it hands on what others wrote."""
        options = self._options(node)
        named = [i for names in options.nodes_named().values() for i in names] if options else []
        nodes = {i for name in named for i in self.plan.members_of(name)} & set(self._nodes) - seen
        handed_on = max((self._text(i, seen) for i in nodes), default=0)
        return max(self._task, handed_on) + LEDGER_TOKENS + _config_tokens(node)

    @staticmethod
    def _read(answer: int) -> int:
        """Tokens of an answer, as the gateway counts it when it stands in a prompt."""
        return ceil(answer * WRITTEN_BYTES_PER_TOKEN / BYTES_PER_TOKEN)


def texts_of(text: LocalizedText) -> tuple[str, ...]:
    """A text in every language that it has."""
    return (text,) if isinstance(text, str) else tuple(text.values())


def _config_tokens(node: NodeConfig) -> int:
    config: JsonObject = node.config
    return _tokens(json.dumps(config, ensure_ascii=False, default=str))


def _tokens(text: str) -> int:
    return ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN)
