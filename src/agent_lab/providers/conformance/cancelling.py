"""Rules of a call that is cancelled, or interrupted."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any

from agent_lab.providers.conformance.bench import LONG, Bench, Listener, some_turns
from agent_lab.providers.conformance.rules import checks_of
from agent_lab.providers.conformance.verdicts import (
    NotApplicableError,
    described,
    expect,
    shown,
)

GRACE_S = 2.0
"""Seconds in which a cancelled call may still tidy up."""


class _Interrupt(BaseException):
    """Stands for KeyboardInterrupt, which would end the loop as well."""


async def cancelling_raises_cancelled_error(bench: Bench) -> None:
    """A cancelled `generate` raises CancelledError: it neither answers nor makes an error of it."""
    task = (await bench.cut()).task
    if not task.cancelled():
        error = task.exception()
        came = described(error) if error else f"the answer {shown(task.result().answer.text)}"
        expect(False, "CancelledError", came)


async def a_cancelled_call_leaves_no_work_behind(bench: Bench) -> None:
    """Being cancelled stops the work behind the call: no task goes on, no piece comes."""
    await bench.ask()  # connections that are kept may have tasks of their own
    before = len(bench.made)
    cut = await bench.cut()
    await some_turns()
    made = bench.made[before:]
    if pending := [task for task in made if not task.done()]:
        await asyncio.wait(pending, timeout=min(GRACE_S, bench.subject.patience_s))
    left = [task.get_name() for task in made if not task.done()]
    expect(not left, "no task that goes on", ", ".join(left))
    more = cut.shown - cut.before
    expect(more < LONG // 2, "an end of the pieces", f"{more} more before `generate` raised")
    await bench.ended(bench.begin())
    late = len(cut.listener.deltas) - cut.shown
    expect(not late, "no piece after `generate` raised", f"{late}")


async def a_cancelled_call_leaves_the_provider_usable(bench: Bench) -> None:
    """After a cancelled call the next one is answered."""
    await bench.cut()
    text = (await bench.ask()).answer.text
    expect(bool(text.strip()), "some text", shown(text))


async def cancelling_one_call_leaves_the_others_alone(bench: Bench) -> None:
    """Of calls at a time, the one that is cancelled ends, and the others are answered."""
    listener = Listener()
    victim = bench.begin(bench.long_call(), listener)
    other = bench.begin()
    await bench.until_begun(listener, victim)
    victim.cancel()
    await bench.ended(victim)
    text = (await bench.answered(other)).answer.text
    expect(bool(text.strip()), "some text to the other call", shown(text))


async def an_interrupt_is_not_swallowed(bench: Bench) -> None:
    """What is no Exception (KeyboardInterrupt) passes through `generate` as it is."""
    await bench.ask()  # what it loads and connects is there: what it waits for is the answer
    listener = Listener()
    thrown = [
        await _comes_out(bench, listener, lambda: True),
        await _comes_out(bench, listener, lambda: bool(listener.deltas)),
    ]
    if not any(thrown):
        raise NotApplicableError("`generate` waited for nothing")


async def _comes_out(bench: Bench, listener: Listener, due: Callable[[], bool]) -> bool:
    """Whether an interrupt was due before the answer; if so, it came out."""
    thrown: list[BaseException] = []
    listener.deltas.clear()

    async def interrupted() -> None:
        await _interrupted(bench.provider.generate(bench.call(), listener), due, thrown)

    error = await bench.failure(bench.doing(interrupted()))
    came = described(error) if error else "an answer"
    expect(not thrown or error is thrown[0], "what was thrown", came)
    return bool(thrown)


@coroutine
def _interrupted(
    work: Coroutine[Any, Any, object], due: Callable[[], bool], thrown: list[BaseException]
) -> Generator[Any, Any, None]:
    """Run a coroutine; the first time that it waits when it is due, throw an interrupt into it."""
    step: Callable[[], Any] = partial(work.send, None)
    while True:
        try:
            waits_for = step()
        except StopIteration:
            return
        if not thrown and due():
            thrown.append(_Interrupt("an interrupt"))
            if isinstance(waits_for, asyncio.Future):
                waits_for.add_done_callback(_seen)
            step = partial(work.throw, thrown[0])
            continue
        try:
            sent = yield waits_for
        except BaseException as error:  # noqa: BLE001 - the event loop's, for the coroutine
            step = partial(work.throw, error)
        else:
            step = partial(work.send, sent)


def _seen(future: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more: asyncio need not warn of how it ends."""
    if not future.cancelled():
        future.exception()


CANCELLING_CHECKS = checks_of(
    cancelling_raises_cancelled_error,
    a_cancelled_call_leaves_no_work_behind,
    a_cancelled_call_leaves_the_provider_usable,
    cancelling_one_call_leaves_the_others_alone,
    an_interrupt_is_not_swallowed,
)
