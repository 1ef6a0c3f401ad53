"""Asks one question through the lab: all draws of `self_consistency`, and one greedy answer."""

from typing import NamedTuple

from agent_lab.contracts import JsonObject, RunRecord, RunRequest
from agent_lab.flows.graph_configs import FlowConfig, get_flow_config
from agent_lab.lab import Lab
from deliberation_items.products import Product

FLOW = "self_consistency"
MAX_TOKENS = 48
"""Of one answer: a product needs no more, and small models do not stop by themselves."""


SHORT = "End with a last line like this one:\nANSWER: number"
"""All that is asked beside the question, for models that longer words lead astray."""


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


def flow_with(*, short: bool) -> FlowConfig:
    """The shipped flow.

    Args:
        short: With a short prompt instead of its own.
    """
    flow = get_flow_config(FLOW)
    if not short:
        return flow
    nodes = (
        node.model_copy(update={"prompt_template": SHORT}) if node.id == "solver" else node
        for node in flow.nodes
    )
    return flow.model_copy(update={"nodes": tuple(nodes)})


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
    keys = vote.get("positions", {})
    return Asked(
        item,
        tuple(keys.get(f"solver[{i}]") for i in range(samples)),
        vote["tally"].get("winner"),
        _vote(greedy)["tally"].get("winner"),
        sum(how == "last_number" for how in vote.get("parsed_by", {}).values()),
        calls=len(record.turns) + len(greedy.turns),
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


def _vote(record: RunRecord) -> JsonObject:
    """What the run has counted, as it is recorded."""
    [vote] = [step.vote for step in record.steps if step.vote is not None]
    return vote
