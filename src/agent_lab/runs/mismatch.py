"""Says what is different about a turn that is asked again."""

from collections.abc import Iterator
from itertools import zip_longest

from agent_lab.contracts import Turn
from agent_lab.orchestrator.run_recorder import AskedTurn

_SHOWN = 40
"""Characters of a text around the place where it differs."""


def difference(known: Turn, asked: AskedTurn) -> str:
    """The first difference between a turn as the journal has it and as it is asked now.

    Args:
        known: As it was asked.
        asked: As it is asked now.
    """
    return next(_differences(known, asked), "its strategy, its limits or what it may use differ")


def _differences(known: Turn, asked: AskedTurn) -> Iterator[str]:
    if known.role != asked.role:
        yield f"the role was `{known.role}` and is `{asked.role}`"
    if known.model_key != asked.request.model_key:
        yield f"the model was `{known.model_key}` and is `{asked.request.model_key}`"
    now = asked.sampling()
    for name in sorted({*known.sampling, *now}):
        if known.sampling.get(name) != now.get(name):
            yield f"`{name}` was {known.sampling.get(name)} and is {now.get(name)}"
    messages = zip_longest(known.messages, asked.request.messages)
    for number, (before, after) in enumerate(messages, 1):
        if before is None or after is None:
            yield f"there were {len(known.messages)} messages, not {len(asked.request.messages)}"
        elif before.content != after.content:
            yield f"message {number} {_texts(before.content, after.content)}"


def _texts(before: str, after: str) -> str:
    pairs = zip(before, after, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(before), len(after)))
    begin = max(0, place - _SHOWN // 2)
    was, now = before[begin : begin + _SHOWN], after[begin : begin + _SHOWN]
    return f"differs from character {place + 1} on: it was `{was}` and is `{now}`"
