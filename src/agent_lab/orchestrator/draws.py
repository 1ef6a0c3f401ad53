"""How many more answers to one prompt are worth drawing, and how many of them at the same time."""

from collections import Counter
from collections.abc import Sequence

from agent_lab.contracts import Turn
from agent_lab.deliberation.answers.reading import read_answer
from agent_lab.deliberation.context import unfenced
from agent_lab.deliberation.stop_rules.standard import default_rule, draws_until_possible
from agent_lab.deliberation.stop_rules.stop import Rule, Standing, Stop, rule_of
from agent_lab.orchestrator.agent_state import AgentState
from agent_lab.orchestrator.poll import WantedKind, labels_of
from agent_lab.orchestrator.prompts import wanted_kind


class Draws:
    """The answers that were drawn to one prompt so far, and what they say of further ones.

    Args:
        samples: How many there can be.
        tokens: Tokens that all of them together may take; 0: any.
        answer: What kind of answer is wanted.
        stop: The stop rule; `auto`: the usual one for so many, `none`: all are drawn.
        state: The run so far.
    """

    def __init__(
        self,
        samples: int,
        tokens: int,
        answer: WantedKind,
        stop: str,
        state: AgentState,
    ) -> None:
        self.turns: list[Turn] = []
        """In the order of the samples."""
        self.stopped: Stop | None = None
        """Why no more are drawn although there could be more."""
        self._samples = samples
        self._tokens = tokens
        self._kind = wanted_kind(answer, state)
        self._labels = labels_of(self._kind, state)
        self._votes: Counter[str] = Counter()
        self._stop = "none" if self._kind == "free" else stop

    def next_wave(self) -> range:
        """The samples to draw next, at the same time; empty: no more.

        A wave is as large as it can be without drawing one answer more than one by one would.
        """
        drawn, left = len(self.turns), self._left()
        if left <= 0:
            return range(drawn, drawn)
        size = left
        if self._stop != "none":
            rule, standing = self._rule_and_standing(left)
            self.stopped = rule(standing) if drawn else None
            size = 0 if self.stopped else draws_until_possible(rule, standing)
        if self._tokens:
            size = min(size, max(1, drawn))  # what one takes is known the better, the more came
        return range(drawn, drawn + size)

    def take(self, turns: Sequence[Turn]) -> None:
        """Take in what a wave has brought."""
        self.turns += turns
        for turn in turns:
            if turn.error is None:
                answer = read_answer(unfenced(turn.text), self._kind, options=self._labels)
                self._votes.update(() if answer.key is None else (answer.key,))

    def _left(self) -> int:
        left = self._samples - len(self.turns)
        if not (self._tokens and self.turns):
            return left
        taken = sum(turn.prompt_tokens + turn.completion_tokens for turn in self.turns)
        each = taken / len(self.turns)
        return min(left, int((self._tokens - taken) / each)) if each else left

    def _rule_and_standing(self, left: int) -> tuple[Rule, Standing]:
        asked = len(self.turns)
        standing = Standing(
            self._votes,
            remaining=left,
            eligible=asked + left,
            # More than half of those asked must have given an answer that counts.
            to_quorum=max(0, asked - 2 * self._votes.total() + 1),
        )
        if self._stop == "auto":
            return default_rule(standing.eligible), standing
        return rule_of(self._stop), standing
