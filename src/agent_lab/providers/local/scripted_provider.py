"""Answers from a script: for documentation, for tests, and for the tests of users' own flows.

ScriptedProvider(["first answer", "second answer"])
ScriptedProvider({"creator": "a draft", "challenger": ["a critique", TimeoutError()]})
ScriptedProvider(lambda call: call.messages[-1].content.upper())
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Self, TypeAlias

from typing_extensions import override

from agent_lab.config import Settings
from agent_lab.contracts import Timings
from agent_lab.errors import ProviderRequestError, ProviderUnavailableError
from agent_lab.providers.base import (
    Delta,
    Emit,
    Provider,
    ProviderAnswer,
    ProviderCall,
    TokenCounts,
    provider,
)
from agent_lab.providers.registries.provider_registry import ProviderEntry

_WORD = re.compile(r"\s*\S+\s*")


class ScriptedReply(NamedTuple):
    """One answer with everything that can be set about it."""

    text: str = ""
    error: Exception | None = None
    """Raised after the delay instead of answering."""
    delay_s: float = 0.0
    """Seconds before each word, so that a slow answer can be cut in its middle."""
    reasoning: str = ""
    finish_reason: str = "stop"
    tokens: TokenCounts | None = None
    """None: a word counts as a token."""


Reply: TypeAlias = str | Exception | ScriptedReply
Script: TypeAlias = (
    Sequence[Reply] | Mapping[str, Reply | Sequence[Reply]] | Callable[[ProviderCall], Reply]
)


@provider("scripted")
class ScriptedProvider(Provider):
    """Plays a script, and keeps every call that it got.

    Args:
        script: Answers in the order of the calls; or for each role one answer to every call, or
            a list of answers; or a function of the call.
        sleep: How delays pass; a test's own clock can stand in.
    """

    is_local = True

    def __init__(
        self,
        script: Script | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._reply = _player(script) if script is not None else _from_options
        self._sleep = sleep
        self.calls: list[ProviderCall] = []

    @override
    @classmethod
    def from_settings(cls, settings: Settings, entry: ProviderEntry) -> Self:
        """A provider whose models carry their script in models.toml, as `options.answers`."""
        return cls()

    @override
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        self.calls.append(call)
        reply = _as_reply(self._reply(call))
        if reply.reasoning:
            emit(Delta(reply.reasoning, reasoning=True))
        for word in _WORD.findall(reply.text):
            await self._sleep(reply.delay_s)
            emit(Delta(word))
        if reply.error is not None:
            await self._sleep(reply.delay_s)
            raise _classified(reply.error, call)
        return ProviderAnswer(
            text=reply.text,
            reasoning=reply.reasoning,
            finish_reason=reply.finish_reason,
            tokens=reply.tokens or _counted(call, reply),
            timings=Timings(),
            model_warm=True,
            source="scripted",
        )


def _player(script: Script) -> Callable[[ProviderCall], Reply]:
    if callable(script):
        return script
    if isinstance(script, Mapping):
        lists = {
            role: iter(replies)
            for role, replies in script.items()
            if not isinstance(replies, Reply)
        }
        return lambda call: _by_role(script, lists, call)
    replies = iter(script)
    return lambda call: _next(replies, call, "the script")


def _by_role(
    script: Mapping[str, Reply | Sequence[Reply]],
    lists: Mapping[str, Iterator[Reply]],
    call: ProviderCall,
) -> Reply:
    if call.role not in script:
        raise ProviderRequestError(
            f"The script has no answer for role `{call.role}`; it has "
            + ", ".join(f"`{role}`" for role in script)
            + ".",
            provider="scripted",
            model=call.model.key,
        )
    reply = script[call.role]
    if isinstance(reply, Reply):
        return reply
    return _next(lists[call.role], call, f"the script of role `{call.role}`")


def _next(replies: Iterator[Reply], call: ProviderCall, whose: str) -> Reply:
    try:
        return next(replies)
    except StopIteration:
        raise ProviderRequestError(
            f"No answer is left in {whose}.", provider="scripted", model=call.model.key
        ) from None


def _from_options(call: ProviderCall) -> Reply:
    answers: Mapping[str, str] = call.model.options.get("answers", {})
    text = answers.get(call.role) or answers.get("default")
    if text is None:
        raise ProviderRequestError(
            f"`{call.model.key}` has no answer for role `{call.role}`.",
            provider="scripted",
            model=call.model.key,
            hint=f'[models."{call.model.key}".options.answers] {call.role or "default"} = "…"',
        )
    return ScriptedReply(text, delay_s=float(call.model.options.get("delay_s", 0)))


def _as_reply(reply: Reply) -> ScriptedReply:
    if isinstance(reply, ScriptedReply):
        return reply
    return ScriptedReply(reply) if isinstance(reply, str) else ScriptedReply(error=reply)


def _classified(error: Exception, call: ProviderCall) -> Exception:
    if isinstance(error, (OSError, asyncio.TimeoutError)):
        return ProviderUnavailableError(
            f"Scripted failure of `{call.model.key}`: {error!r}.",
            provider="scripted",
            model=call.model.key,
        )
    return error


def _counted(call: ProviderCall, reply: ScriptedReply) -> TokenCounts:
    return TokenCounts(
        prompt=sum(len(message.content.split()) for message in call.messages),
        completion=len(reply.text.split()),
    )
