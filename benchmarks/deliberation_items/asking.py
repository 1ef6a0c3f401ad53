"""Asks one question through the lab: all draws of `self_consistency`, and one greedy answer."""

from typing import NamedTuple

from agent_lab.contracts import RunRecord, RunRequest
from agent_lab.deliberation.votes import Vote
from agent_lab.lab import Lab
from deliberation_items.products import Product

FLOW = "self_consistency"
MAX_TOKENS = 48
"""Of one answer: a product needs no more, and small models do not stop by themselves."""


class Asked(NamedTuple):
    """One question with all that was answered."""

    item: Product
    draws: tuple[str | None, ...]
    """The key of each draw; None: unparsed, or the call failed."""
    winner: str | None
    """Of the vote."""
    greedy: str | None
    """At temperature 0."""
    guessed: int
    """Draws of which only the last number was taken."""
    calls: int
    seconds: float
    """Of the draws."""

    @property
    def right(self) -> tuple[bool, ...]:
        """By draw: whether it is right."""
        return tuple(key == self.item.key for key in self.draws)

    @property
    def vote_right(self) -> bool:
        """Whether the vote is right."""
        return self.winner == self.item.key

    @property
    def modal_share(self) -> float:
        """Share of the draws that give the commonest answer."""
        keys = [key for key in self.draws if key is not None]
        return max(map(keys.count, keys), default=0) / len(self.draws)


async def ask(lab: Lab, model: str, samples: int, item: Product) -> Asked:
    """Ask one question.

    Args:
        lab: Runs the flow.
        model: Key of the model.
        samples: How many answers are drawn.
        item: The question.
    """
    record = await _run(lab, model, item, samples=samples)
    greedy = await _run(lab, model, item, temperature=0.0)
    vote = _vote(record)
    draws = tuple(vote.positions.get(f"solver[{i}]") for i in range(samples))
    return Asked(
        item,
        draws,
        vote.tally.winner,
        _vote(greedy).tally.winner,
        sum(how == "last_number" for how in vote.parsed_by.values()),
        calls=len(record.turns) + len(greedy.turns),
        seconds=sum(step.seconds for step in record.steps),
    )


async def _run(
    lab: Lab, model: str, item: Product, *, samples: int = 1, temperature: float | None = None
) -> RunRecord:
    request = RunRequest(
        flow=FLOW,
        input=item.question,
        inputs={"samples": samples, "stop": "none", "answer": "number"},
        model=model,
        max_tokens=MAX_TOKENS,
        temperature=temperature,
        seed=item.seed,
        lang="en",
        cache="off",
    )
    return await lab.runs.run(request)


def _vote(record: RunRecord) -> Vote:
    """What the run has counted."""
    [vote] = [step.vote for step in record.steps if step.vote is not None]
    return Vote.model_validate(vote)
