"""Rules of a call that fails."""

from typing import NamedTuple

from agent_lab.errors import ContextLengthError, ProviderError
from agent_lab.providers.conformance.bench import Bench, benched
from agent_lab.providers.conformance.rules import checks_of
from agent_lab.providers.conformance.verdicts import NotApplicableError, described, expect


class _Failure(NamedTuple):
    """What came of a call whose host failed."""

    kind: type[ProviderError]
    """How it failed."""
    error: BaseException | None
    asked: int
    """How often the host was asked; 0: nobody counts."""
    next_error: BaseException | None
    """What the next call raised, if it was made."""

    @property
    def came(self) -> str:
        """What came, for messages."""
        return described(self.error) if self.error else "an answer"


async def a_failure_is_raised_as_what_it_is(bench: Bench) -> None:
    """Whatever goes wrong is raised as the ProviderError that says what it is."""
    for failure in await _failures(bench):
        name, came = failure.kind.__name__, failure.came
        expect(isinstance(failure.error, failure.kind), f"a {name}", came)
        if isinstance(failure.error, ProviderError):
            same = failure.error.retryable == failure.kind.retryable
            expect(same, f"a {name} that is as retryable as that class", came)


async def a_failure_names_provider_and_model(bench: Bench) -> None:
    """A ProviderError says in `provider` who failed, and in `model` the key that was asked."""
    for failure in await _failures(bench):
        error, key = failure.error, bench.subject.model.key
        if isinstance(error, ProviderError):
            expect(bool(error.provider), f"a `provider` in {failure.came}", "none")
            expect(error.model == key, f"the `model` {key!r} in {failure.came}", repr(error.model))


async def a_failed_call_is_not_repeated(bench: Bench) -> None:
    """`generate` asks once: whether a call is repeated is the gateway's decision alone."""
    for failure in await _failures(bench):
        name = failure.kind.__name__
        expect(failure.error is not None, f"the {name} of the first call", "a second one's answer")
        expect(failure.asked <= 1, "1 call of the host", f"{failure.asked}")


async def a_failed_call_leaves_the_provider_usable(bench: Bench) -> None:
    """After a failed call the next one is answered, once the host does."""
    for failure in await _failures(bench, twice=True):
        error = failure.next_error
        wanted = f"an answer to the call after the {failure.kind.__name__}"
        expect(error is None, wanted, described(error) if error else "")


async def a_prompt_over_the_window_is_refused(bench: Bench) -> None:
    """A prompt over the model's window is a ContextLengthError, and asking again is no use."""
    prompt = bench.subject.long_prompt
    if prompt is None:
        raise NotApplicableError("no prompt that the host refuses; `long_prompt` is one")
    error = await bench.failure(bench.begin(bench.call(prompt)))
    came = described(error) if error else "an answer"
    expect(isinstance(error, ContextLengthError), "a ContextLengthError", came)
    retryable = isinstance(error, ProviderError) and error.retryable
    expect(not retryable, "one that is not retryable", came)


async def _failures(bench: Bench, *, twice: bool = False) -> list[_Failure]:
    """Ask each provider whose host fails: once, or once more when it does not."""
    subject, failures = bench.subject, []
    if not subject.failing:
        raise NotApplicableError("no host that fails; `failing` stages them")
    for kind, make in subject.failing.items():
        async with benched(subject, make) as failing:
            before = subject.asked() if subject.asked else 0
            error = await failing.failure(failing.begin())
            asked = subject.asked() - before if subject.asked else 0
            next_error = await failing.failure(failing.begin()) if twice else None
            failures.append(_Failure(kind, error, asked, next_error))
    return failures


FAILURE_CHECKS = checks_of(
    a_failure_is_raised_as_what_it_is,
    a_failure_names_provider_and_model,
    a_failed_call_is_not_repeated,
    a_failed_call_leaves_the_provider_usable,
    a_prompt_over_the_window_is_refused,
)
