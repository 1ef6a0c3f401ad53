"""What is put to the vote: the members' last answers, and the candidates that they are."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import Field
from typing_extensions import override

from agent_lab.contracts import Language
from agent_lab.deliberation.answers.answer import Answer, AnswerKind
from agent_lab.deliberation.answers.kinds import choice_labels
from agent_lab.deliberation.answers.reading import read_answer
from agent_lab.deliberation.flips import is_only_reasons, without_reasons
from agent_lab.deliberation.presentation import Presentation, presented
from agent_lab.deliberation.votes import Candidate
from agent_lab.flows.catalogue import NodeOptions
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import Name
from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.orchestrator.members import Said, members_of, said_by
from agent_lab.orchestrator.prompts import NOTHING_GIVEN, fenced, wanted_kind
from agent_lab.orchestrator.run_context import RunContext

WantedKind: TypeAlias = Literal[AnswerKind, "auto"]
ASKED = "asked"
"""The value of a node that draws several answers: how many draws it has asked for."""
DEFAULT_SAMPLES = 5
"""How many draws such a node makes at the most, where it does not say."""
LONGEST_LINE = 80
"""Characters of a text that stand for it."""
CLOSING = " \t\r\n.*_`)}]$\\"
"""Signs that may stand behind an answer at the end of a text."""
CANDIDATE: dict[Language, str] = {"en": "Candidate", "es": "Candidato"}


class PollOptions(NodeOptions):
    """Whose answers a node is about."""

    answers: Annotated[tuple[Name, ...], Field(min_length=1)]
    """The nodes or groups that answer; each of their nodes, or draws, is one member."""
    blind: tuple[Name, ...] = ()
    """Where the same members, in the same order, have answered before they saw each other."""
    answer: WantedKind = "auto"
    """What kind of answer is wanted; `auto`: as the task says. Equal answers of a kind are one;
    `free` ones are equal to no other.
    """

    def round_of(self, run: RunContext) -> int:
        """The round of the deliberation; 0: the members have not seen each other's answers."""
        return run.place.round if self.blind else run.place.round - 1

    def most_members(self, plan: FlowPlan) -> int:
        """How many members there can be."""
        draws = {
            node.id: int(node.config.get("samples", DEFAULT_SAMPLES))
            for node in plan.nodes
            if node.type == "samples"
        }
        named = (self.answers, self.blind)
        return max(
            sum(draws.get(i, 1) for name in names for i in plan.members_of(name)) for names in named
        )

    @override
    def nodes_named(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that answer."""
        return {"answers": self.answers, "blind": self.blind}


class Poll(NamedTuple):
    """The state of a question that is put to the vote."""

    kind: AnswerKind
    labels: tuple[str, ...]
    """What there is to choose from, where the task lists it."""
    said: tuple[Said, ...]
    answers: Mapping[str, Answer]
    """By member whose text there is."""
    candidates: tuple[Candidate, ...]
    texts: Mapping[str, str]
    """By candidate: a text that gives this answer."""

    def read(self, text: str) -> Answer:
        """The answer that a text gives to this question."""
        return read_answer(text, self.kind, options=self.labels)

    @property
    def positions(self) -> dict[str, str | None]:
        """By member whose text there is: the key of its answer."""
        return {member: answer.key for member, answer in self.answers.items()}

    @property
    def eligible(self) -> tuple[str, ...]:
        """Every member."""
        return tuple(one.member.id for one in self.said)

    @property
    def is_keyed(self) -> bool:
        """Whether equal answers are one."""
        return self.kind != "free"

    def text_of(self, candidate: str, earlier: Mapping[str, str] = NOTHING_GIVEN) -> str:
        """A text that gives an answer.

        Args:
            candidate: The answer.
            earlier: Texts of earlier rounds, for an answer that nobody gives any more.
        """
        text = self.texts[candidate] if candidate in self.texts else earlier[candidate]
        return without_reasons(text)

    def authors(self) -> dict[str, tuple[str, ...]]:
        """By candidate: whose it is."""
        return {candidate.id: candidate.members for candidate in self.candidates}


def labels_of(kind: AnswerKind, state: AgentState) -> tuple[str, ...]:
    """What the task lists to choose from; empty: nothing, or another kind of answer is wanted."""
    return choice_labels(state["user_input"]) if kind == "choice" else ()


def poll_of(options: PollOptions, plan: FlowPlan, state: AgentState) -> Poll:
    """Look at what the members have said last.

    A member whose latest turn failed has nothing to put to the vote in this round.
    """
    kind = wanted_kind(options.answer, state)
    drawn = {
        node.id: int(state["values"].get(f"{node.id}_{ASKED}") or 0)
        for node in plan.nodes
        if node.type == "samples"
    }
    said = said_by(members_of(plan, options.answers, options.blind, drawn), state)
    labels = labels_of(kind, state)
    answers = {
        one.member.id: read_answer(one.text, kind, options=labels)
        for one in said
        if one.text is not None and one.failure is None
    }
    candidates = _keyed(answers) if kind != "free" else _free(answers)
    texts = {c.id: _text(c, said, answers) for c in candidates}
    return Poll(kind, labels, said, answers, candidates, texts)


def shown_to(
    poll: Poll, voter: int, state: AgentState, run: RunContext, only: Sequence[str] = ()
) -> tuple[Presentation, str]:
    """The candidates as one voter sees them: in an order of its own, without their authors.

    Args:
        poll: What is put to the vote.
        voter: Which voter it is, from 0.
        state: The run so far.
        run: The run's surroundings.
        only: The candidates that are left; empty: all.
    """
    ids = [c.id for c in poll.candidates if not only or c.id in only]
    shown = presented(ids, reviewer=voter, round=run.place.round, seed=run.seed)
    return shown, listed(shown, poll.texts, state, run)


def listed(
    shown: Presentation, texts: Mapping[str, str], state: AgentState, run: RunContext
) -> str:
    """Texts under their labels, each in its fence."""
    word = CANDIDATE[state["lang"]]
    return "\n\n".join(
        f"## {word} {label}\n\n{fenced('candidate', texts[candidate], run)}"
        for label, candidate in shown.by_label().items()
    )


def _keyed(answers: Mapping[str, Answer]) -> tuple[Candidate, ...]:
    by_key: dict[str, list[str]] = {}
    shown: dict[str, str] = {}
    for member, answer in answers.items():
        if answer.key is not None:
            by_key.setdefault(answer.key, []).append(member)
            shown.setdefault(answer.key, answer.display)
    return tuple(
        Candidate(id=key, display=shown[key], members=tuple(by_key[key])) for key in sorted(by_key)
    )


def _free(answers: Mapping[str, Answer]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(id=member, display=_first_line(without_reasons(answer.raw)), members=(member,))
        for member, answer in answers.items()
    )


def _first_line(text: str) -> str:
    """How a text begins."""
    lines = (line.strip() for line in text.splitlines())
    line = next(filter(None, lines), "")
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


def _text(candidate: Candidate, said: Sequence[Said], answers: Mapping[str, Answer]) -> str:
    """The text that stands for an answer: of those that end with it the one of middle length.

    The shortest may explain nothing; one that does not end with its answer was cut, or rambles.
    """
    texts = {one.member.id: one.text or "" for one in said}

    def rambles(member: str) -> bool:
        answer, text = answers[member], texts[member].rstrip(CLOSING)
        if answer.parsed_by == "last_number" or is_only_reasons(text):
            return True
        return not text.endswith(answer.raw.rstrip(CLOSING))

    best = min(map(rambles, candidate.members))
    left = [member for member in candidate.members if rambles(member) == best]
    left.sort(key=lambda member: len(without_reasons(texts[member])))
    return texts[left[len(left) // 2]]
