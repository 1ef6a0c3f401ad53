"""Rules of an answer, and of the pieces that it is shown in."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from agent_lab.contracts import Message
from agent_lab.errors import ProviderError
from agent_lab.providers.base import TokenCounts
from agent_lab.providers.conformance.bench import Bench, benched, some_turns
from agent_lab.providers.conformance.rules import checks_of
from agent_lab.providers.conformance.verdicts import NotApplicableError, expect, shown

FINISH_REASONS = ("stop", "length")
TINY = 8
"""Tokens of an answer that is cut off."""
WORDS_OF_A_TOKEN = 4
"""More than any tokenizer puts into one."""
CLOCK_S = 0.05
"""Seconds by which the clocks of provider and event loop may differ."""
_NAME = re.compile(r"^[a-z][a-z0-9_-]{0,63}$")
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


async def the_deltas_join_to_the_text(bench: Bench) -> None:
    """The deltas that are not reasoning join to `text`, and there is some."""
    heard = await bench.ask()
    text = heard.answer.text
    expect(bool(text.strip()), "some text", shown(text))
    joined = heard.text
    expect(joined == text, f"deltas that join to {shown(text)}", shown(joined))


async def the_reasoning_is_apart_from_the_text(bench: Bench) -> None:
    """What the model thinks is in `reasoning`, in deltas that say so, and not in `text`."""
    make = bench.subject.thinking
    async with benched(bench.subject, make) as thinker:
        heard = await thinker.ask()
    answer, thought = heard.answer, heard.reasoning
    if make is None and not (answer.reasoning or thought):
        raise NotApplicableError("the model did not think; `thinking` stages one that does")
    expect(bool(answer.reasoning), "some reasoning", shown(answer.reasoning))
    expect(
        thought == answer.reasoning,
        f"deltas of reasoning that join to {shown(answer.reasoning)}",
        shown(thought),
    )
    text = answer.text.lstrip()
    for leak in ("<think>", answer.reasoning.strip()):
        expect(not text.startswith(leak), f"a text without {shown(leak)}", shown(text))


async def a_streamed_answer_comes_in_pieces(bench: Bench) -> None:
    """An answer that somebody reads along is shown as it comes, not at its end."""
    if not bench.subject.streams:
        raise NotApplicableError("the subject does not stream")
    pieces = sum(bool(delta.text) for delta in (await bench.ask()).deltas)
    expect(pieces > 1, "several pieces", f"{pieces}")


async def no_delta_says_that_the_answer_restarted(bench: Bench) -> None:
    """`restarted` is the gateway's word: a provider gives an answer once, or raises."""
    deltas = (await bench.ask()).deltas
    restarted = sum(delta.restarted for delta in deltas)
    expect(not restarted, "no delta that is `restarted`", f"{restarted} of {len(deltas)}")


async def deltas_are_shown_in_the_thread_of_the_loop(bench: Bench) -> None:
    """`emit` is called in the event loop's thread: who listens has no locks."""
    heard = await bench.ask()
    strangers, deltas = heard.listener.strangers, len(heard.deltas)
    expect(not strangers, "every delta there", f"{strangers} of {deltas} in another thread")


async def nothing_is_shown_after_the_answer(bench: Bench) -> None:
    """Nothing is emitted after `generate` has returned."""
    heard = await bench.ask()
    await some_turns()
    await bench.close()
    await some_turns()
    late = len(heard.listener.deltas) - len(heard.deltas)
    expect(not late, "no more deltas", f"{late} after the answer")


async def the_finish_reason_is_one_of_ours(bench: Bench) -> None:
    """`finish_reason` is `stop`, or `length` where `max_tokens` or the window cut the answer."""
    reason = (await bench.ask()).answer.finish_reason
    expect(reason in FINISH_REASONS, "`stop` or `length`", shown(reason))


async def tokens_are_counted_or_none(bench: Bench) -> None:
    """`tokens` is None, or every count in it is possible."""
    call = bench.call()
    tokens = (await bench.ask(call)).answer.tokens
    if tokens is None:
        raise NotApplicableError("the provider did not count")
    for holds, wanted in _possible(tokens, call.params.get("max_tokens")):
        expect(holds, wanted, repr(tokens))


async def timings_are_in_seconds(bench: Bench) -> None:
    """`timings` are seconds of this call: none is negative, none is longer than the call took."""
    heard = await bench.ask()
    for name, value in heard.answer.timings.model_dump().items():
        if value is not None:
            expect(
                0 <= value <= heard.seconds * 1.01 + CLOCK_S,
                f"a `{name}` between 0 and the {heard.seconds:.3f} s that the call took",
                f"{value:g}",
            )


async def the_source_is_empty_or_a_name(bench: Bench) -> None:
    """`source` is empty, or the name of who answered: letters, digits, `_` and `-`."""
    source = (await bench.ask()).answer.source
    expect(source == "" or bool(_NAME.fullmatch(source)), "a name or nothing", shown(source))


async def dropped_params_were_asked_for(bench: Bench) -> None:
    """`dropped_params` names parameters of the call, and nothing else."""
    call = bench.call()
    dropped = (await bench.ask(call)).answer.dropped_params
    strange = [name for name in dropped if name not in call.params]
    expect(not strange, f"names out of {sorted(call.params)}", shown(dropped))


async def max_tokens_is_obeyed(bench: Bench) -> None:
    """An answer ends at `max_tokens`, with the finish reason `length`."""
    prompt = bench.subject.endless_prompt
    if prompt is None:
        raise NotApplicableError("the host cannot go on; `endless_prompt` makes it")
    if "max_tokens" in bench.subject.model.unsupported_params:
        raise NotApplicableError("the model does not take `max_tokens`")
    answer = (await bench.ask(bench.call(prompt, max_tokens=TINY))).answer
    reason, tokens = answer.finish_reason, answer.tokens
    expect(
        reason == "length", f"`length` after {TINY} tokens", f"{shown(reason)} ({answer.text!r})"
    )
    most = WORDS_OF_A_TOKEN * TINY
    expect(len(answer.text.split()) <= most, f"at most {most} words", shown(answer.text))
    if tokens is not None:
        expect(tokens.completion <= TINY, f"at most {TINY} tokens", f"{tokens.completion}")


async def an_answer_at_once_is_as_good(bench: Bench) -> None:
    """A call with `streamed` False is answered as one with True: text, finish reason, tokens."""
    call = bench.call(streamed=False)
    answer = (await bench.ask(call)).answer
    expect(bool(answer.text.strip()), "some text", shown(answer.text))
    reason = answer.finish_reason
    expect(reason in FINISH_REASONS, "`stop` or `length`", shown(reason))
    for holds, wanted in _possible(answer.tokens, call.params.get("max_tokens")):
        expect(holds, wanted, repr(answer.tokens))


async def an_empty_answer_is_not_dressed_up(bench: Bench) -> None:
    """Where the host answers with no text, `text` is empty: what to do is the gateway's."""
    make = bench.subject.empty
    if make is None:
        raise NotApplicableError("no host that answers with no text; `empty` stages one")
    async with benched(bench.subject, make) as silent:
        task = silent.begin()
        error = await silent.failure(task)
        if isinstance(error, ProviderError):
            return
        heard = await silent.answered(task)
    text = heard.answer.text + heard.text
    expect(not text.strip(), "no text, or a ProviderError", shown(text))


async def every_role_of_a_message_is_taken(bench: Bench) -> None:
    """A chat of system, user and assistant is answered."""
    chat = (
        Message(role="system", content="You are brief."),
        Message(role="user", content="Good morning."),
        Message(role="assistant", content="Good morning."),
    )
    call = bench.call()
    answer = (await bench.ask(call._replace(messages=chat + call.messages))).answer
    expect(bool(answer.text.strip()), "some text", shown(answer.text))


async def the_call_is_not_changed(bench: Bench) -> None:
    """`generate` leaves the call as it is: the gateway may send it again."""
    call = bench.call()
    params: dict[str, Any] = {**call.params}
    if "json_schema" in bench.subject.model.capabilities:
        params["response_schema"] = copy.deepcopy(_SCHEMA)
    before = copy.deepcopy(params)
    await bench.ask(call._replace(params=params))
    expect(params == before, f"the params {shown(before)}", shown(params))


def _possible(tokens: TokenCounts | None, most: int | None) -> Iterator[tuple[bool, str]]:
    """What must hold of counts."""
    if tokens is None:
        return
    yield min(tokens) >= 0, "no count below 0"
    yield tokens.prompt > 0, "tokens of the prompt"
    yield tokens.cached + tokens.cache_write <= tokens.prompt, "cached tokens within the prompt's"
    yield tokens.completion > 0, "tokens of the answer"
    yield tokens.reasoning <= tokens.completion, "reasoning within the answer's tokens"
    if most is not None:
        yield tokens.completion <= most, f"at most {most} tokens of the answer"


ANSWER_CHECKS = checks_of(
    the_deltas_join_to_the_text,
    the_reasoning_is_apart_from_the_text,
    a_streamed_answer_comes_in_pieces,
    no_delta_says_that_the_answer_restarted,
    deltas_are_shown_in_the_thread_of_the_loop,
    nothing_is_shown_after_the_answer,
    the_finish_reason_is_one_of_ours,
    tokens_are_counted_or_none,
    timings_are_in_seconds,
    the_source_is_empty_or_a_name,
    dropped_params_were_asked_for,
    max_tokens_is_obeyed,
    an_answer_at_once_is_as_good,
    an_empty_answer_is_not_dressed_up,
    every_role_of_a_message_is_taken,
    the_call_is_not_changed,
)
