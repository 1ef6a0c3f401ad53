"""What a flow can take at the most: calls, tokens, money; computed from the flow alone.

Every call is thought to read the longest texts that those before it can write, and to write until
its own limit. Attempts that the gateway repeats are not counted: they are rarely billed.
"""

from collections.abc import Iterator

from agent_lab.contracts import Contract, RunRequest
from agent_lab.flows.catalogue import Catalogue
from agent_lab.flows.course import Course
from agent_lab.flows.flow_plan import FlowPlan
from agent_lab.flows.graph_configs import NodeConfig
from agent_lab.flows.text_sizes import TextSizes

TURNS_OF_JUDGE = 2
"""A judge whose verdict cannot be read is asked once more."""


class NodeCost(Contract):
    """One node's share."""

    node: str
    calls: int
    model: str | None
    """None: nobody would answer."""
    prompt_tokens: int
    """Of all its calls together."""
    completion_tokens: int
    cost_usd: float | None
    """None: the price is unknown."""
    unpriced: tuple[str, ...] = ()
    """The models that may answer and whose price is unknown."""
    longest_prompt: int
    """Tokens of the longest single prompt."""


class WorstCase(Contract):
    """What a run can take at the most."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    """US dollars; None: the price of a model is unknown."""
    unpriced: tuple[str, ...] = ()
    """Models whose price is unknown."""
    longest_prompt: int
    """Tokens of the longest single prompt."""
    nodes: tuple[NodeCost, ...] = ()

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt_tokens + self.completion_tokens


def worst_case(
    plan: FlowPlan, catalogue: Catalogue, request: RunRequest | None = None
) -> WorstCase:
    """Compute what a run of a flow can take at the most.

    Args:
        plan: A flow that can run.
        catalogue: With models and strategies, else tokens and cost are 0 and unknown.
        request: What is asked; None: a task of 500 tokens, and no wishes.
    """
    nodes = tuple(_bill(TextSizes(plan, Course(plan), catalogue, request)))
    prices = [cost.cost_usd for cost in nodes]
    return WorstCase(
        calls=sum(cost.calls for cost in nodes),
        prompt_tokens=sum(cost.prompt_tokens for cost in nodes),
        completion_tokens=sum(cost.completion_tokens for cost in nodes),
        cost_usd=None if None in prices else sum(price for price in prices if price is not None),
        unpriced=tuple(sorted({key for cost in nodes for key in cost.unpriced})),
        longest_prompt=max((cost.longest_prompt for cost in nodes), default=0),
        nodes=nodes,
    )


def _bill(sizes: TextSizes) -> Iterator[NodeCost]:
    """The share of every node that asks a model, and of those of the flows that nodes run."""
    for node in sizes.plan.nodes:
        kind = sizes.catalogue.kinds.get(node.type)
        options = kind.options_or_none(node.config) if kind else None
        passes = sizes.course.passes(node.id)
        if options is not None and options.subflow() is not None:
            inner = sizes.within(node)
            for cost in _bill(inner) if inner else ():
                yield _as_part(cost, node, passes)
            continue
        own = sizes.model(node)
        if kind is None or kind.asks_a_model(node.prompt_template):
            turns = passes * (options.most_turns(sizes.plan) if options else 1)
            yield _cost(sizes, node, own, turns, sizes.prompt(node), sizes.answer(node))
        for judge in options.judges() if options else ():
            prompt, answer = sizes.judge_prompt(node), sizes.verdict(node)
            yield _cost(sizes, node, judge or own, passes * TURNS_OF_JUDGE, prompt, answer)


def _cost(
    sizes: TextSizes, node: NodeConfig, model: str | None, calls: int, prompt: int, answer: int
) -> NodeCost:
    models = sizes.catalogue.models or {}
    strategy = (sizes.catalogue.strategies or {}).get(sizes.strategy(node, model) or "")
    candidates = [key for key in (model, *(strategy.fallbacks if strategy else ())) if key]
    facts = [models[key] for key in candidates if key in models]
    # What is thought before the answer is written, and paid, beside it.
    longest = answer + max((each.reasoning_tokens for each in facts), default=0)
    prices = {
        key: models[key].worst_usd(prompt, answer + models[key].reasoning_tokens)
        if key in models
        else None
        for key in candidates
    }
    known = [price for price in prices.values() if price is not None]
    return NodeCost(
        node=node.id,
        calls=calls,
        model=model,
        prompt_tokens=calls * prompt,
        completion_tokens=calls * longest,
        cost_usd=calls * max(known) if known and len(known) == len(prices) else None,
        unpriced=tuple(key for key, price in prices.items() if price is None),
        longest_prompt=prompt,
    )


def _as_part(cost: NodeCost, node: NodeConfig, passes: int) -> NodeCost:
    """The share of a node of a flow, as a part of the node that runs it."""
    return cost.model_copy(
        update={
            "node": f"{node.id}.{cost.node}",
            "calls": passes * cost.calls,
            "prompt_tokens": passes * cost.prompt_tokens,
            "completion_tokens": passes * cost.completion_tokens,
            "cost_usd": None if cost.cost_usd is None else passes * cost.cost_usd,
        }
    )
