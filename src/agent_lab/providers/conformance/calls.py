"""Rules of many calls at a time, and of what a call does to the event loop."""

import asyncio
from collections.abc import Sequence

from agent_lab.providers.conformance.bench import Bench, Heard
from agent_lab.providers.conformance.rules import checks_of
from agent_lab.providers.conformance.verdicts import NotApplicableError, expect, shown

WORDS = ("kiwi", "mango", "papaya")
"""One to say for each of some calls at a time."""
MANY = 32
"""Pieces that do not come all at one moment."""


async def concurrent_calls_are_all_answered(bench: Bench) -> None:
    """Calls at a time are all answered, and each is shown its own answer."""
    for heard in await _at_a_time(bench, [bench.subject.prompt for _ in WORDS]):
        text, joined = heard.answer.text, heard.text
        expect(bool(text.strip()), "some text to each call", shown(text))
        expect(joined == text, f"deltas that join to {shown(text)}", shown(joined))


async def concurrent_calls_are_not_mixed_up(bench: Bench) -> None:
    """Calls at a time each get the answer to their own messages."""
    if not bench.subject.echoes:
        raise NotApplicableError("the host does not echo, so one answer is like another")
    every = await _at_a_time(bench, [f"Say only this word: {word}" for word in WORDS])
    for own, heard in zip(WORDS, every, strict=True):
        text = heard.answer.text + heard.text
        said = [word for word in WORDS if word in text]
        expect(said == [own], f"the answer with {own!r}", shown(text))


async def one_call_asks_the_host_once(bench: Bench) -> None:
    """One `generate` is one call of the host: each costs."""
    asked = bench.subject.asked
    if asked is None:
        raise NotApplicableError("the host's calls are not counted; `asked` counts them")
    before = asked()
    await bench.ask()
    expect(asked() - before == 1, "1 call of the host", f"{asked() - before}")


async def the_event_loop_turns_while_it_answers(bench: Bench) -> None:
    """`generate` does not block the event loop: the work of others goes on while it answers."""
    # A host whose whole answer lies ready proves nothing: its provider has nothing to wait for.
    call = bench.call(bench.subject.endless_prompt, max_tokens=2 * MANY)
    listener = (await bench.ask(call)).listener
    expect(listener.turns > 0, "turns of the event loop before the answer", "none")
    pieces = len(listener.turns_at)
    if bench.subject.streams and pieces >= MANY:
        turns = listener.turns_at[-1] - listener.turns_at[0]
        expect(turns > 0, f"turns of the event loop between {pieces} pieces", "none")


async def _at_a_time(bench: Bench, prompts: Sequence[str]) -> list[Heard]:
    calls = [bench.begin(bench.call(prompt)) for prompt in prompts]
    await asyncio.gather(*(bench.ended(call) for call in calls))
    return [await bench.answered(call) for call in calls]


CALL_CHECKS = checks_of(
    concurrent_calls_are_all_answered,
    concurrent_calls_are_not_mixed_up,
    one_call_asks_the_host_once,
    the_event_loop_turns_while_it_answers,
)
