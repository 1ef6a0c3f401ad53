"""A model behind the wire of OpenAI that counts what it is asked, and never forgets it.

What it answers depends on the request's messages alone: who asks again gets the same answer, so
that a run that was disturbed can be compared with one that was not.
"""

import asyncio
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Self

from aiohttp import web

MODEL = "chaos-1"
STORM, CALM = "storm", "calm"
"""Whose requests are counted apart: those of runs that are disturbed, and of their likes."""
_ROLE = re.compile(r"# Your role: (\w+)")
_ISSUE = re.compile(r"\bC\d+\b")
_CLOSES = 5
"""One in so many refinements closes every issue, and ends its debate early."""


def digest(messages: Iterable[tuple[str, str]]) -> str:
    """What identifies a request: its messages, each as role and text."""
    said = json.dumps([list(message) for message in messages], ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()


class CountingUpstream:
    """Serves `POST /{storm,calm}/v1/chat/completions`.

    Args:
        slowest_s: Longest time that an answer takes; each takes a random part of it.
        chance: Decides how long.
    """

    def __init__(self, slowest_s: float, chance: random.Random) -> None:
        self.slowest_s = slowest_s
        self.asked: Counter[str] = Counter()
        """By digest: how often the disturbed runs have asked."""
        self.asked_calmly: Counter[str] = Counter()
        self.on_request: Callable[[int], None] = lambda _: None
        """Told of every request of a disturbed run as it arrives, and its number, from 1."""
        self.silence: asyncio.Event | None = None
        """Where `on_request` sets it, the request is not answered before it is over."""
        self.arrived = asyncio.Event()
        """Set by every request of a disturbed run."""
        self._number = 0
        self._chance = chance
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{whose}/v1/chat/completions", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def base_url(self, whose: str) -> str:
        """Where to ask."""
        return f"http://127.0.0.1:{self._port}/{whose}/v1"

    def count_anew(self) -> None:
        """Let the next request of a disturbed run be number 1."""
        self._number = 0
        self.on_request = lambda _: None
        self.silence = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        messages = [(message["role"], message["content"]) for message in body["messages"]]
        name = digest(messages)
        if request.match_info["whose"] == CALM:
            self.asked_calmly[name] += 1
        else:
            self.asked[name] += 1
            self._number += 1
            self.arrived.set()
            self.on_request(self._number)
            if self.silence is not None:
                await self.silence.wait()
        await asyncio.sleep(self._chance.uniform(0, self.slowest_s))
        text = answer("\n".join(text for _, text in messages), name[:12])
        if body.get("stream"):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            with suppress(ConnectionResetError):  # whoever has asked is dead
                await _stream(request, response, text)
            return response
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({**_FRAME, "choices": [choice], "usage": _usage(text)})


_FRAME = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": MODEL}


async def _stream(request: web.Request, response: web.StreamResponse, text: str) -> None:
    await response.prepare(request)
    middle = len(text) // 2
    for piece in (text[:middle], text[middle:]):
        await response.write(_event([{"index": 0, "delta": {"content": piece}}]))
    await response.write(_event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    await response.write(_event([], usage=_usage(text)) + b"data: [DONE]\n\n")
    await response.write_eof()


def _event(choices: list[Any], **more: Any) -> bytes:
    chunk = {**_FRAME, "object": "chat.completion.chunk", "choices": choices, **more}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _usage(text: str) -> dict[str, int]:
    return {"prompt_tokens": 100, "completion_tokens": len(text), "total_tokens": 100 + len(text)}


def answer(prompt: str, nonce: str) -> str:
    """What a role says.

    Args:
        prompt: All messages.
        nonce: What tells this answer from all others.
    """
    role = _ROLE.findall(prompt)[-1]
    if role == "challenger":
        return (
            f'Worst issue: [high] "the count of them": for the input {nonce} the count is zero, '
            f"and the division fails; return the value {nonce} instead."
        )
    draft = f"Draft {nonce}: add the numbers up, divide the sum by the count of them, mind {nonce}."
    if role == "refiner" and int(nonce, 16) % _CLOSES == 0:
        closed = sorted(set(_ISSUE.findall(prompt)))
        return "\n".join(
            [draft, *(f"{issue} fixed: the case {nonce} is named" for issue in closed)]
        )
    return draft
