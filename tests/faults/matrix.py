"""The fault matrix: what a caller of the gateway gets, for every way in which a host can behave.

    .venv/bin/python -m tests.faults.matrix

A row is a mode of the faulty upstream on one wire. Its calls: whole and streamed, alone and with
a fallback at a healthy host on the other wire; the streamed one also with `midstream="restart"`.
What each must come to is data (`TABLE`); a hang, an answer without text, an error that is not
ours, a task or connection that stays are failures whatever the table says.
"""

import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from agent_lab import errors
from agent_lab.config import load_settings
from agent_lab.contracts import GenerationResult
from agent_lab.providers.pricing import price_table
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.providers.resilience import retry_policy
from tests.faults.modes import Mode
from tests.faults.upstream import DEFAULT_TEXT, FaultyUpstream

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}
"""Who is asked on each wire, and who stands in on the other; the second has the larger window."""
OTHER = {"openai": "anthropic", "anthropic": "openai"}
USAGE = {"openai": (11, 3, 0, 7, 2), "anthropic": (13, 3, 2, 7, 0)}
"""Tokens: prompt, cached, cache write, completion, reasoning."""
THOUGHT, ELSEWHERE = "Six times seven.", "It is 42, says another."
DEADLINE_S, BRIEF_S, GRACE_S, PATIENCE_S = 5.0, 0.9, 2.0, 3.0
"""A call's budget, that of one that waits for its end, after it a hang; for tasks to go."""
SHORT_S = 1.0
"""A timeout that is due: longer than one process, host and client in it, may stand still."""


def _timeouts(first: float, between: float) -> str:
    fields = f"first_token_s = {first}\nbetween_tokens_s = {between}\n"
    return "".join(f"[providers.{name}.timeouts]\n{fields}" for name in MODELS)


FILES = {
    # Timeouts are small only where one is due: a busy machine is no slow host.
    "models.toml": _timeouts(DEADLINE_S, DEADLINE_S),
    "first_token.toml": _timeouts(SHORT_S, DEADLINE_S),
    "between_tokens.toml": _timeouts(DEADLINE_S, SHORT_S),
    "strategies.toml": "".join(
        f"[strategies.{name}]\n"
        "sampling = { temperature = 0.0, top_p = 1.0, top_k = 1 }\n"
        "limits = { max_tokens = 64, timeout_s = 60 }\n"
        f"fallbacks = {list(MODELS.values())}\nfallback_when_filtered = {filtered}\n"
        for name, filtered in (("moving", "false"), ("always_moving", "true"))
    ),
}


class Answers(NamedTuple):
    """A mode that a caller does not notice."""

    text: str = DEFAULT_TEXT
    reasoning: str = ""
    finish: str = "stop"
    counted: bool = True
    """Whether tokens and price are known."""
    calls_before: int = 0
    """Calls of the same gateway that went well before."""
    after: tuple[type[errors.AgentLabError], ...] = ()
    """How the tries before the one that answered failed."""


class Fails(NamedTuple):
    """A mode that ends in an error, or in a fallback's answer."""

    error: type[errors.AgentLabError]
    tries: int = 1
    phase: str = ""
    midway: bool = False
    """Whether a stream has shown a piece by then: unless it may restart, it is the last try."""
    fallback: bool = True
    """Whether another model is asked."""
    seconds: float = DEADLINE_S


Case = Answers | Fails

_OK, _THOUGHT = Answers(), Answers(reasoning=THOUGHT)
_TAGGED = Answers(f"<think>{THOUGHT}</think>\n\n{DEFAULT_TEXT}")
_BROKEN = Fails(errors.ProviderUnavailableError, tries=2)
_MISTAKEN = _BROKEN._replace(tries=1)
_BROKEN_MIDWAY = _BROKEN._replace(midway=True)
_BUSY = Fails(errors.ProviderOverloadedError, tries=2)
_BUSY_MIDWAY = _BUSY._replace(midway=True)
_LIMITED = Fails(errors.ProviderRateLimitError, tries=2)
_TOO_LONG = Fails(errors.ContextLengthError)
_CUT = Fails(errors.TruncatedAnswerError)
_CUT_MIDWAY = _CUT._replace(midway=True)
_FILTERED = Fails(errors.ContentFilteredError, fallback=False)
_OUT_OF_TIME = Fails(errors.ProviderTimeoutError, phase="total", fallback=False, seconds=BRIEF_S)
_MUTE = Fails(errors.ProviderTimeoutError, phase="first_token")
_SILENT = Fails(errors.ProviderTimeoutError, phase="between_tokens", midway=True)

SAME: Mapping[Case, str] = {
    _OK: "ok slow crlf",
    _THOUGHT: "reasoning",
    Answers(finish="length"): "finish_length",
    Answers(counted=False): "usage_missing",
    Answers(calls_before=1, after=(errors.ProviderUnavailableError,)): "stale_connection",
    _BROKEN: """server_error gateway_timeout request_timeout bad_gateway huge_error echo_key_header
        reset""",
    _MISTAKEN: "no_retry wrong_content_type redirect gzip gzip_cut gzip_bomb",
    _BROKEN_MIDWAY: "echo_key_event reset_mid_stream cut_chunked cut_length",
    _BUSY: "overloaded conflict",
    _BUSY._replace(tries=1, seconds=BRIEF_S): "at_capacity",
    _LIMITED: "rate_limit rate_limit_ms",
    _LIMITED._replace(tries=1, seconds=BRIEF_S): "rate_limit_long rate_limit_date",
    Fails(errors.ProviderSpendCapError): "quota credit_exhausted spend_limit",
    Fails(errors.ProviderAuthError): "unauthorized forbidden echo_key",
    Fails(errors.ModelNotServedError): "not_found",
    Fails(errors.ProviderRequestError, fallback=False): "bad_request unprocessable too_large",
    _FILTERED: "prompt_filtered",
    _FILTERED._replace(midway=True): "content_filter",
    _CUT: "empty_content",
    _CUT_MIDWAY: "finish_missing invalid_utf8 cut_close half_json",
}
# Each: OpenAI's wire whole and streamed, Anthropic's whole and streamed.
TABLE: Mapping[Mode, tuple[Case, ...]] = {
    **{Mode(name): (case,) * 4 for case, names in SAME.items() for name in names.split()},
    # Tags are a habit of open models behind OpenAI's wire; Anthropic's has blocks for thoughts.
    Mode.THINK_TAGS: (_THOUGHT, _THOUGHT, _TAGGED, _TAGGED),
    Mode.NO_DONE: (_OK, _OK, _OK, _CUT_MIDWAY),
    Mode.SLOW_DOWN: (_BUSY, _BUSY, _LIMITED, _LIMITED),
    Mode.CONTEXT_LENGTH: (_TOO_LONG, _TOO_LONG, *(_TOO_LONG._replace(fallback=False),) * 2),
    Mode.ERROR_EVENT: (_BROKEN_MIDWAY, _BROKEN_MIDWAY, _BUSY_MIDWAY, _BUSY_MIDWAY),
    # An answer that comes at once is its own first token.
    Mode.HANG_BEFORE_HEADERS: (_MUTE,) * 4,
    Mode.HANG_MID_STREAM: (_MUTE, _SILENT, _MUTE, _SILENT),
    Mode.KEEPALIVE_FOREVER: (_MUTE,) * 4,
    # A host that does not stream is one that answers.
    Mode.STREAM_FLIPPED: (_MISTAKEN, _OK, _MISTAKEN, _OK),
    Mode.HUGE_BODY: (_MISTAKEN, _CUT, _MISTAKEN, _CUT),
    Mode.ENDLESS_STREAM: (_MISTAKEN, _OUT_OF_TIME, _MISTAKEN, _OUT_OF_TIME),
}


class Way(NamedTuple):
    """How a call is made; the strategy `optimized` has no fallbacks."""

    streamed: bool
    strategy: str = "optimized"
    restart: bool = False


WAYS = {
    "whole": Way(streamed=False),
    "stream": Way(streamed=True),
    "whole, moving": Way(streamed=False, strategy="moving"),
    "stream, moving": Way(streamed=True, strategy="moving"),
    "restart, moving": Way(streamed=True, strategy="moving", restart=True),
}


class Row(NamedTuple):
    """A mode on a wire."""

    mode: Mode
    wire: str

    def case(self, way: Way) -> Case:
        return TABLE[self.mode][2 * (self.wire == "anthropic") + way.streamed]


class Outcome(NamedTuple):
    """What came of a call, or must come of it."""

    what: str
    """`answer`, or the class of the error and, of a timeout, its phase."""
    tries: tuple[str, ...] = ()
    """How each attempt ended, as the result or the error says."""
    requests: int = 0
    """That the host got."""
    requests_elsewhere: int = 0
    model: str = ""
    text: str = ""
    reasoning: str = ""
    finish: str = ""
    usage: tuple[int, ...] = ()
    priced: bool = False


Problems = tuple[tuple[str, str], ...]  # kind and words of each


class Call(NamedTuple):
    """One that was made."""

    outcome: Outcome
    seconds: float
    problems: Problems


ROWS = [Row(mode, wire) for mode in Mode for wire in MODELS]


def expected(row: Row, way: Way) -> Outcome:
    """What must come of a call."""
    case, wire = row.case(way), row.wire
    if isinstance(case, Answers):
        tries = (*(error.code for error in case.after), "ok")
        return _answer(wire, case, tries, case.calls_before + len(tries))
    stays = case.midway and way.streamed and not way.restart
    tries = (case.error.code,) * (1 if stays else case.tries)
    filtered = case.error is errors.ContentFilteredError and way.strategy == "always_moving"
    if way.strategy != "optimized" and (case.fallback or filtered) and not stays:
        return _answer(OTHER[wire], Answers(ELSEWHERE), (*tries, "ok"), len(tries), 1)
    return Outcome(f"{case.error.__name__} {case.phase}".strip(), tries, len(tries))


def _answer(
    wire: str, case: Answers, tries: tuple[str, ...], requests: int, elsewhere: int = 0
) -> Outcome:
    usage = USAGE[wire] if case.counted else (0,) * 5
    said = (case.text, case.reasoning, case.finish, usage, case.counted)
    return Outcome("answer", tries, requests, elsewhere, MODELS[wire], *said)


async def make_call(row: Row, way: Way, folder: Path) -> Call:
    """Make one call in a world of its own: two hosts and a gateway; `folder` holds `FILES`."""
    case = row.case(way)
    budget, phase = getattr(case, "seconds", DEADLINE_S), getattr(case, "phase", "")
    models = f"{phase}.toml" if f"{phase}.toml" in FILES else "models.toml"
    request = {
        "prompt": "What is six times seven?",
        "model_key": MODELS[row.wire],
        "strategy": way.strategy,
        "cache": "off",
        "midstream": "restart" if way.restart else "fail",
        "constraints": {"latency_budget_s": budget},
    }
    async with FaultyUpstream(row.mode) as host, FaultyUpstream(text=ELSEWHERE) as healthy:
        gateway = gateway_for({row.wire: host, OTHER[row.wire]: healthy}, folder, models)
        for _ in range(getattr(case, "calls_before", 0)):
            await ask(gateway, request, streamed=way.streamed)
        started = time.perf_counter()
        call = asyncio.create_task(ask(gateway, request, streamed=way.streamed))
        # Not asyncio.timeout: it would wait for ever for a call that cannot be cancelled.
        await asyncio.wait({call}, timeout=budget + GRACE_S)
        seconds = time.perf_counter() - started
        outcome = _outcome(call, len(host.requests), len(healthy.requests))
        problems = problems_of(outcome, expected(row, way))
        call.cancel()
        idle = await comes_true(lambda: not host.under_way + healthy.under_way)
        await gateway.aclose()
        closed = await comes_true(lambda: not host.open_connections + healthy.open_connections)
    if not (idle and closed):
        problems += (("leak", "a connection is left"),)
    return Call(outcome, seconds, problems)


def gateway_for(hosts: Mapping[str, FaultyUpstream], folder: Path, models: str) -> ProviderGateway:
    """A gateway whose providers are some upstreams, by wire."""
    keys = {f"{wire}_api_key": f"the key of {wire}" for wire in hosts}
    urls = {f"{wire}_base_url": host.url for wire, host in hosts.items()}
    urls["openai_base_url"] += "/v1"
    files = {"models_file": folder / models, "strategies_file": folder / "strategies.toml"}
    return ProviderGateway.from_settings(load_settings(**keys, **urls, **files, max_attempts=2))


async def ask(
    gateway: ProviderGateway, request: Mapping[str, Any], *, streamed: bool
) -> GenerationResult:
    """Make a call; what a stream showed must be what its result says."""
    if not streamed:
        return await gateway.generate(request)
    result, shown = None, ["", ""]
    async for chunk in gateway.stream(request):
        if chunk.restarted:
            shown = ["", ""]
        shown[chunk.reasoning] += chunk.text
        result = chunk.result
    assert result is not None
    assert [result.text, result.reasoning] == shown, shown
    return result


def _outcome(call: asyncio.Task[GenerationResult], requests: int, elsewhere: int) -> Outcome:
    if not call.done():
        return Outcome("hang", (), requests, elsewhere)
    error = asyncio.CancelledError() if call.cancelled() else call.exception()
    if isinstance(error, errors.AgentLabError):
        tries = tuple(attempt["outcome"] for attempt in error.details.get("attempts", ()))
        what = f"{type(error).__name__} {error.details.get('phase', '')}".strip()
        return Outcome(what, tries, requests, elsewhere)
    if error is not None:
        return Outcome(f"untyped error: {error!r}", (), requests, elsewhere)
    result = call.result()
    tries = tuple(attempt.outcome for attempt in result.attempts)
    *tokens, cost = result.usage.model_dump().values()
    said = (result.text, result.reasoning, result.finish_reason, tuple(tokens), cost is not None)
    return Outcome("answer", tries, requests, elsewhere, result.model_resolved, *said)


def problems_of(outcome: Outcome, due: Outcome) -> Problems:
    """What is wrong with an outcome: what none may be, else what is not as it is due."""
    kind = outcome.what.partition(":")[0]
    if kind in {"hang", "untyped error"}:
        return ((kind, outcome.what),)
    if kind == "answer" and not outcome.text.strip():
        return (("empty success", "an answer without text"),)
    fields = zip(Outcome._fields, outcome, due, strict=True)
    wrong = [f"{name} {is_!r}, not {shall!r}" for name, is_, shall in fields if is_ != shall]
    return (("unexpected", "; ".join(wrong)),) if wrong else ()


async def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether something is so, soon."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - connections and tasks end without an event
                await asyncio.sleep(0.001)
    except TimeoutError:
        return False
    return True


async def make_row(row: Row, folder: Path, ways: Iterable[Way] = WAYS.values()) -> list[Call]:
    """Make the calls of a row, all at once."""
    before, loop, complaints = asyncio.all_tasks(), asyncio.get_running_loop(), list[str]()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    calls = await asyncio.gather(*(make_call(row, way, folder) for way in ways))
    if not await comes_true(lambda: asyncio.all_tasks() <= before):
        complaints.append(f"left: {asyncio.all_tasks() - before}")
    loop.set_exception_handler(None)
    leaks = tuple(("leak", complaint) for complaint in complaints)
    return [call._replace(problems=call.problems + leaks) for call in calls]


@contextmanager
def prepared(folder: Path) -> Iterator[None]:
    """Write `FILES`; try again almost at once; have the price table, which is slow to read."""
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    price_table()
    with mock.patch.object(retry_policy, "FIRST_PAUSE_S", 0.02):
        yield


def cells(calls: Sequence[Call]) -> tuple[str, str, str]:
    """What came of a row: whole, streamed, with a fallback."""
    told = [call.outcome.what.replace("Provider", "").replace("Error", "") for call in calls]
    moved = [
        way.split(",")[0]
        for way, call in zip(WAYS, calls, strict=True)
        if call.outcome.requests_elsewhere and call.outcome.what == "answer"
    ]
    nobody = "not needed" if set(told) == {"answer"} else "no"
    fallback = {0: nobody, 3: "answers"}.get(len(moved), f"answers ({', '.join(moved)})")
    return told[0], told[1], fallback


def table(rows: Mapping[Row, Sequence[Call]]) -> str:
    """Every row, those of both wires as one where they are the same."""
    lines = [("mode", "wire", "whole", "stream", "the fallback", "seconds")]
    for mode, of_mode in groupby(rows, key=lambda row: row.mode):
        for told, alike in groupby(of_mode, key=lambda row: cells(rows[row])):
            same = list(alike)
            seconds = max(call.seconds for row in same for call in rows[row])
            wire = "both" if len(same) == len(MODELS) else same[0].wire
            lines.append((mode, wire, *told, f"{seconds:7.2f}"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


async def run(folder: Path) -> int:
    """Make every row; print the table, what is wrong, and the totals."""
    started = time.perf_counter()
    rows = {row: await make_row(row, folder) for row in ROWS}
    problems = [
        (kind, f"{row.mode}, {row.wire}, {way}: {kind}: {words}")
        for row, calls in rows.items()
        for way, call in zip(WAYS, calls, strict=True)
        for kind, words in call.problems
    ]
    kinds = ("hang", "empty success", "untyped error", "leak", "unexpected")
    counts = [f"{kind}: {sum(kind == k for k, _ in problems)}" for kind in kinds]
    totals = [f"{len(rows)} rows", f"{len(rows) * len(WAYS)} calls", *counts]
    said = [table(rows), *(words for _, words in problems), ", ".join(totals)]
    sys.stdout.write("\n\n".join(said) + f"; {time.perf_counter() - started:.0f} s\n")
    return 1 if problems else 0


def main() -> int:
    """Run the matrix; 1: something is not as it should be."""
    logging.disable()
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder)):
        return asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
