"""An honest provider, in memory, and providers that are the same but for one fault each."""

import asyncio
import contextlib
import threading
import time
from typing import Self

from typing_extensions import override

from agent_lab import errors
from agent_lab.config import Settings
from agent_lab.contracts import LoadedModel, Timings
from agent_lab.providers.base import (
    Delta,
    Emit,
    Provider,
    ProviderAnswer,
    ProviderCall,
    TokenCounts,
)
from agent_lab.providers.conformance import Subject
from agent_lab.providers.registries.model_registry import ModelEntry
from agent_lab.providers.registries.provider_registry import ProviderEntry
from tests.loaded import loaded_model

WINDOW = 600
"""Words."""
MODEL = ModelEntry(
    key="planted-1",
    provider="planted",
    context_window=WINDOW,
    capabilities=("chat", "stream", "json_schema"),
)
ENDLESS = Subject._field_defaults["endless_prompt"]
THOUGHT = "Let me see."


class Host:
    """What a host has in its memory, whoever asks."""

    def __init__(self) -> None:
        self.asked = 0


class Honest(Provider):
    """Says the words of the last message back, one at each turn of the event loop.

    Args:
        host: Counts the calls.
        fails: How the host fails at the first call.
        thinks: Whether the model thinks before it answers.
        silent: Whether it says nothing.
        keyless: Whether the key is missing.
    """

    def __init__(
        self,
        host: Host,
        *,
        fails: type[errors.ProviderError] | None = None,
        thinks: bool = False,
        silent: bool = False,
        keyless: bool = False,
    ) -> None:
        self.host = host
        self.fails = fails
        self.thinks = thinks
        self.silent = silent
        self.keyless = keyless
        self.warmed = False

    @override
    @classmethod
    def from_settings(cls, settings: Settings, entry: ProviderEntry) -> Self:
        return cls(Host())

    @override
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        self.accept(call)
        self.host.asked += 1
        warm, self.warmed = self.warmed, True
        self.fail(call)
        deltas = self.deltas(call)
        await self.show(deltas, emit)
        text = "".join(delta.text for delta in deltas if not delta.reasoning)
        reasoning = "".join(delta.text for delta in deltas if delta.reasoning)
        return ProviderAnswer(
            text=text,
            finish_reason=self.finish_reason(call),
            tokens=TokenCounts(
                prompt=len(prompt_of(call)),
                completion=len(f"{text} {reasoning}".split()),
                reasoning=len(reasoning.split()),
            ),
            timings=Timings(queue=0.0, load_time=0.0, decode=0.0),
            reasoning=reasoning,
            model_warm=warm,
            source="planted",
        )

    @override
    async def check(self, model: ModelEntry) -> None:
        if self.keyless:
            raise errors.MissingKeyError("The key is not set.", hint="PLANTED_KEY=…")

    @override
    def ready(self, model: ModelEntry) -> bool:
        return not self.keyless

    @override
    async def served_models(self) -> tuple[str, ...] | None:
        return ("planted-1",)

    @override
    async def load(self, model: ModelEntry) -> None:
        self.warmed = True

    @override
    def loaded(self) -> tuple[LoadedModel, ...]:
        return (loaded_model(MODEL.key),) if self.warmed else ()

    def accept(self, call: ProviderCall) -> None:
        if self.keyless:
            raise errors.MissingKeyError("The key is not set.", hint="PLANTED_KEY=…")
        if len(prompt_of(call)) > WINDOW:
            raise self.error(call, errors.ContextLengthError)

    def fail(self, call: ProviderCall) -> None:
        kind, self.fails = self.fails, None
        if kind is not None:
            raise self.error(call, kind)

    def error(self, call: ProviderCall, kind: type[errors.ProviderError]) -> errors.ProviderError:
        return kind("The host failed.", provider="planted", model=call.model.key)

    def words(self, call: ProviderCall) -> list[str]:
        if self.silent:
            return []
        words = prompt_of(call)
        return ["on"] * 2 * WINDOW if call.messages[-1].content == ENDLESS else words

    def limit(self, call: ProviderCall) -> int:
        return int(call.params["max_tokens"])

    def deltas(self, call: ProviderCall) -> list[Delta]:
        said = [f"{word} " for word in self.words(call)]
        thought = [Delta(THOUGHT, reasoning=True)] if self.thinks else []
        return [*thought, *map(Delta, said[: self.limit(call)])]

    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        for delta in deltas:
            await asyncio.sleep(0)
            emit(delta)

    def finish_reason(self, call: ProviderCall) -> str:
        return "length" if len(self.words(call)) > self.limit(call) else "stop"


def prompt_of(call: ProviderCall) -> list[str]:
    return call.messages[-1].content.split()


def subject(of: type[Honest], *, patience_s: float = 60.0) -> Subject:
    """A provider with every stage that there is."""
    host = Host()
    return Subject(
        make=lambda: of(host),
        model=MODEL,
        endless_prompt=ENDLESS,
        echoes=True,
        long_prompt="word " * (WINDOW + 1),
        failing={
            errors.ProviderRateLimitError: lambda: of(host, fails=errors.ProviderRateLimitError),
            errors.ProviderAuthError: lambda: of(host, fails=errors.ProviderAuthError),
        },
        thinking=lambda: of(host, thinks=True),
        empty=lambda: of(host, silent=True),
        unready=lambda: of(host, keyless=True),
        asked=lambda: host.asked,
        patience_s=patience_s,
    )


FAULTS: dict[type[Honest], set[str]] = {}
"""Every fault, with the checks that are meant for it."""


def found_by(*checks: str):
    """Decorator: says which checks find a fault."""

    def register(faulty: type[Honest]) -> type[Honest]:
        FAULTS[faulty] = set(checks)
        return faulty

    return register


@found_by("the_deltas_join_to_the_text", "concurrent_calls_are_all_answered")
class LosesTheLastPiece(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        await super().show(deltas[:-1], emit)


@found_by("the_reasoning_is_apart_from_the_text")
class ShowsThoughtsAsText(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        await super().show([delta._replace(reasoning=False) for delta in deltas], emit)


@found_by("the_reasoning_is_apart_from_the_text")
class LeavesThoughtsInTheText(Honest):
    @override
    def deltas(self, call: ProviderCall) -> list[Delta]:
        return [
            Delta(f"<think>{delta.text}</think>") if delta.reasoning else delta
            for delta in super().deltas(call)
        ]


@found_by("the_reasoning_is_apart_from_the_text")
class RepeatsThoughtsInTheText(Honest):
    @override
    def deltas(self, call: ProviderCall) -> list[Delta]:
        deltas = super().deltas(call)
        return [*deltas[:1], Delta(THOUGHT), *deltas[1:]] if self.thinks else deltas


@found_by("a_streamed_answer_comes_in_pieces")
class ShowsAllAtTheEnd(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        await super().show(deltas, lambda _: None)
        for reasoning in (True, False):
            of_a_kind = [delta.text for delta in deltas if delta.reasoning is reasoning]
            if of_a_kind:
                emit(Delta("".join(of_a_kind), reasoning))


@found_by("no_delta_says_that_the_answer_restarted")
class SaysThatItRestarted(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        await super().show([delta._replace(restarted=True) for delta in deltas], emit)


@found_by("deltas_are_shown_in_the_thread_of_the_loop")
class ShowsInAnotherThread(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        for delta in deltas:
            await asyncio.sleep(0)
            thread = threading.Thread(target=emit, args=(delta,))
            thread.start()
            thread.join()


@found_by("nothing_is_shown_after_the_answer")
class ShowsOneMoreLater(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        await super().show(deltas, emit)
        asyncio.get_running_loop().call_soon(emit, Delta("more"))


@found_by("the_finish_reason_is_one_of_ours", "an_answer_at_once_is_as_good")
class FinishesInItsHostsWords(Honest):
    @override
    def finish_reason(self, call: ProviderCall) -> str:
        return super().finish_reason(call).replace("stop", "end_turn")


class Altered(Honest):
    """Its answers are altered at the end."""

    @override
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        return self.altered(await super().generate(call, emit), call)

    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        raise NotImplementedError


@found_by("tokens_are_counted_or_none", "an_answer_at_once_is_as_good")
class CountsCachedTokensApart(Altered):
    @override
    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        assert answer.tokens
        return answer._replace(tokens=answer.tokens._replace(cached=answer.tokens.prompt + 1))


@found_by("tokens_are_counted_or_none", "an_answer_at_once_is_as_good")
class CountsNothingAsZero(Altered):
    @override
    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        return answer._replace(tokens=TokenCounts())


@found_by("tokens_are_counted_or_none", "an_answer_at_once_is_as_good")
class CountsThoughtsApart(Altered):
    @override
    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        assert answer.tokens
        more = answer.tokens.completion + 1
        return answer._replace(tokens=answer.tokens._replace(reasoning=more))


@found_by("timings_are_in_seconds")
class MeasuresInMilliseconds(Altered):
    @override
    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        return answer._replace(timings=Timings(decode=120.0))


@found_by("the_source_is_empty_or_a_name")
class IsCalledByASentence(Altered):
    @override
    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        return answer._replace(source="The best provider (beta)")


@found_by("dropped_params_were_asked_for")
class DropsWhatWasNotAsked(Altered):
    @override
    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        return answer._replace(dropped_params=("logit_bias",))


@found_by("max_tokens_is_obeyed")
class IgnoresMaxTokens(Honest):
    @override
    def limit(self, call: ProviderCall) -> int:
        return 10 * WINDOW


@found_by("max_tokens_is_obeyed")
class CutsWithoutAWord(Honest):
    @override
    def finish_reason(self, call: ProviderCall) -> str:
        return "stop"


@found_by("an_answer_at_once_is_as_good")
class AnswersOnlyWhoReadsAlong(Honest):
    @override
    def words(self, call: ProviderCall) -> list[str]:
        return super().words(call) if call.streamed else []


@found_by("an_empty_answer_is_not_dressed_up")
class ApologisesForSilence(Honest):
    @override
    def words(self, call: ProviderCall) -> list[str]:
        return super().words(call) or ["(no", "answer)"]


@found_by("every_role_of_a_message_is_taken")
class TakesNoSystemMessage(Honest):
    @override
    def accept(self, call: ProviderCall) -> None:
        super().accept(call)
        if any(message.role == "system" for message in call.messages):
            raise self.error(call, errors.ProviderRequestError)


@found_by("the_call_is_not_changed")
class RenamesInTheCall(Altered):
    @override
    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        assert isinstance(call.params, dict)
        call.params["max_completion_tokens"] = call.params.pop("max_tokens")
        return answer


@found_by("the_call_is_not_changed")
class TakesTheSchemaOutOfTheCall(Altered):
    @override
    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        assert isinstance(call.params, dict)
        call.params.get("response_schema", {}).pop("required", None)
        return answer


@found_by(
    "concurrent_calls_are_all_answered",
    "concurrent_calls_are_not_mixed_up",
    "cancelling_one_call_leaves_the_others_alone",
)
class TakesOneCallAtATime(Honest):
    busy = False

    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        if self.busy:
            raise errors.ProviderOverloadedError("Busy.", provider="planted", model=MODEL.key)
        self.busy = True
        try:
            await super().show(deltas, emit)
        finally:
            self.busy = False


@found_by("concurrent_calls_are_not_mixed_up")
class KeepsTheCallInItself(Honest):
    @override
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        self.call = call
        await asyncio.sleep(0)
        return await super().generate(self.call, emit)


@found_by("concurrent_calls_are_all_answered", "concurrent_calls_are_not_mixed_up")
class KeepsTheTextInItself(Altered):
    text = ""

    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        self.text = ""

        def kept(delta: Delta) -> None:
            self.text += "" if delta.reasoning else delta.text
            emit(delta)

        await super().show(deltas, kept)

    @override
    def altered(self, answer: ProviderAnswer, call: ProviderCall) -> ProviderAnswer:
        return answer._replace(text=self.text)


@found_by("one_call_asks_the_host_once")
class AsksTwice(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        self.host.asked += 1
        await super().show(deltas, emit)


@found_by("the_event_loop_turns_while_it_answers")
class BlocksTheLoop(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        for delta in deltas:
            time.sleep(0.0001)  # noqa: ASYNC251 - the fault
            emit(delta)


@found_by("the_event_loop_turns_while_it_answers")
class BlocksTheLoopOnceItHasBegun(BlocksTheLoop):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        await asyncio.sleep(0)
        await super().show(deltas, emit)


@found_by("cancelling_raises_cancelled_error")
class AnswersWhenCancelled(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await super().show(deltas, emit)


@found_by("cancelling_raises_cancelled_error")
class CallsCancellingATimeout(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        try:
            await super().show(deltas, emit)
        except asyncio.CancelledError:
            raise errors.ProviderTimeoutError(
                "Too slow.", provider="planted", model=MODEL.key
            ) from None


@found_by("a_cancelled_call_leaves_no_work_behind")
class GoesOnWhenCancelled(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        self.work = asyncio.create_task(super().show(deltas, emit))
        await asyncio.shield(self.work)


@found_by("a_cancelled_call_leaves_no_work_behind")
class EndsItsWorkWhenCancelled(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        work = asyncio.create_task(super().show(deltas, emit))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await work
            raise


@found_by("a_cancelled_call_leaves_no_work_behind")
class LeavesATaskBehind(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        self.pinging = asyncio.create_task(asyncio.Event().wait())
        await super().show(deltas, emit)
        self.pinging.cancel()


@found_by("a_cancelled_call_leaves_the_provider_usable")
class IsBrokenByCancelling(Honest):
    broken = False

    @override
    def accept(self, call: ProviderCall) -> None:
        super().accept(call)
        if self.broken:
            raise self.error(call, errors.ProviderUnavailableError)

    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        try:
            await super().show(deltas, emit)
        except asyncio.CancelledError:
            self.broken = True
            raise


@found_by("cancelling_one_call_leaves_the_others_alone")
class CancelsEveryCall(Honest):
    cancelled = 0

    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        before = self.cancelled

        def unless_cancelled(delta: Delta) -> None:
            if self.cancelled > before:
                raise errors.ProviderUnavailableError("Cut.", provider="planted", model=MODEL.key)
            emit(delta)

        try:
            await super().show(deltas, unless_cancelled)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@found_by("an_interrupt_is_not_swallowed")
class SwallowsInterrupts(Honest):
    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        try:
            await super().show(deltas, emit)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            raise errors.ProviderUnavailableError(
                "Something.", provider="planted", model=MODEL.key
            ) from error


@found_by("a_failure_is_raised_as_what_it_is")
class RaisesWhatItCaught(Honest):
    @override
    def fail(self, call: ProviderCall) -> None:
        try:
            super().fail(call)
        except errors.ProviderError as error:
            raise ConnectionError("as the client raises it") from error


@found_by("a_failure_is_raised_as_what_it_is")
class CallsEveryFailureTheSame(Honest):
    @override
    def fail(self, call: ProviderCall) -> None:
        try:
            super().fail(call)
        except errors.ProviderError as error:
            raise self.error(call, errors.ProviderUnavailableError) from error


@found_by("a_failure_names_provider_and_model")
class FailsWithoutAName(Honest):
    @override
    def error(self, call: ProviderCall, kind: type[errors.ProviderError]) -> errors.ProviderError:
        return kind("The host failed.")


@found_by("a_failure_names_provider_and_model")
class NamesTheHostsModel(Honest):
    @override
    def error(self, call: ProviderCall, kind: type[errors.ProviderError]) -> errors.ProviderError:
        return kind("The host failed.", provider="planted", model="gpt-planted-2026")


@found_by("a_failure_is_raised_as_what_it_is", "a_failed_call_is_not_repeated")
class RepeatsByItself(Honest):
    @override
    async def generate(self, call: ProviderCall, emit: Emit) -> ProviderAnswer:
        try:
            return await super().generate(call, emit)
        except errors.ContextLengthError:
            raise
        except errors.ProviderError:
            return await super().generate(call, emit)


@found_by("a_failed_call_is_not_repeated")
class RepeatsInVain(Honest):
    @override
    def fail(self, call: ProviderCall) -> None:
        try:
            super().fail(call)
        except errors.ProviderError:
            self.host.asked += 1
            raise


@found_by("a_failed_call_leaves_the_provider_usable")
class IsBrokenByAFailure(Honest):
    broken: errors.ProviderError | None = None

    @override
    def fail(self, call: ProviderCall) -> None:
        if self.broken:
            raise self.broken
        try:
            super().fail(call)
        except errors.ProviderError as error:
            self.broken = error
            raise


@found_by("a_prompt_over_the_window_is_refused")
class CutsLongPrompts(Honest):
    @override
    def accept(self, call: ProviderCall) -> None:
        if self.keyless:
            super().accept(call)


@found_by("a_prompt_over_the_window_is_refused")
class CallsLongPromptsWrong(Honest):
    @override
    def error(self, call: ProviderCall, kind: type[errors.ProviderError]) -> errors.ProviderError:
        long = kind is errors.ContextLengthError
        return super().error(call, errors.ProviderRequestError if long else kind)


@found_by("a_model_that_can_be_asked_passes_the_check")
class ChecksInVain(Honest):
    @override
    async def check(self, model: ModelEntry) -> None:
        raise errors.ConfigurationError("Not checked.", hint="ask")


@found_by("a_model_that_can_be_asked_is_ready")
class IsNeverReady(Honest):
    @override
    def ready(self, model: ModelEntry) -> bool:
        return False


@found_by("asking_whether_costs_nothing")
class ChecksByACall(Honest):
    @override
    async def check(self, model: ModelEntry) -> None:
        await super().check(model)
        self.host.asked += 1


@found_by("a_model_that_cannot_be_asked_is_said")
class IsAlwaysReady(Honest):
    @override
    def ready(self, model: ModelEntry) -> bool:
        return True


@found_by("a_model_that_cannot_be_asked_is_said")
class ChecksNothing(Honest):
    @override
    async def check(self, model: ModelEntry) -> None:
        """Nothing."""


@found_by("a_model_that_cannot_be_asked_is_said")
class KnowsNoWayOut(Honest):
    @override
    async def check(self, model: ModelEntry) -> None:
        if self.keyless:
            raise errors.MissingKeyError("The key is not set.")


@found_by("served_models_are_names_or_none")
class CannotBeAskedForItsModels(Honest):
    @override
    async def served_models(self) -> tuple[str, ...] | None:
        raise ConnectionError("nobody is there")


@found_by("served_models_are_names_or_none")
class ServesAList(Honest):
    @override
    async def served_models(self) -> tuple[str, ...] | None:
        return ["planted-1"]  # type: ignore[return-value] # the fault


@found_by("a_warmed_model_needs_no_load")
class WarmsNothing(Honest):
    @override
    async def load(self, model: ModelEntry) -> None:
        """Nothing."""


@found_by("a_warmed_model_needs_no_load")
class LoadsSomethingElse(Honest):
    @override
    def loaded(self) -> tuple[LoadedModel, ...]:
        return (loaded_model("another"),)


@found_by("a_provider_that_was_never_used_closes")
class ClosesWhatItNeverOpened(Honest):
    @override
    async def aclose(self) -> None:
        if not self.warmed:
            raise AttributeError("'NoneType' object has no attribute 'close'")


@found_by("closing_twice_is_no_error")
class ClosesOnce(Honest):
    closed = False

    @override
    async def aclose(self) -> None:
        if self.closed:
            raise RuntimeError("already closed")
        self.closed = True


@found_by("after_closing_it_answers_or_says_why_not")
class BreaksWhenClosed(Honest):
    closed = False

    @override
    async def aclose(self) -> None:
        self.closed = True

    @override
    def accept(self, call: ProviderCall) -> None:
        if self.closed:
            raise RuntimeError("Session is closed")
        super().accept(call)


class StaysLocked(Honest):
    """Hangs: not in the table, as each of its checks takes as long as the subject's patience."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.lock = asyncio.Lock()

    @override
    async def show(self, deltas: list[Delta], emit: Emit) -> None:
        await self.lock.acquire()
        await super().show(deltas, emit)
        self.lock.release()
