"""Rules of a provider before its first call, between calls, and after its last."""

from agent_lab.errors import ConfigurationError, ProviderError
from agent_lab.providers.conformance.bench import Bench, benched
from agent_lab.providers.conformance.rules import checks_of
from agent_lab.providers.conformance.verdicts import (
    NotApplicableError,
    described,
    expect,
    shown,
)


async def a_model_that_can_be_asked_passes_the_check(bench: Bench) -> None:
    """`check` raises nothing for a model that can be asked."""
    error = await bench.failure(bench.doing(bench.provider.check(bench.subject.model)))
    expect(error is None, "no error", described(error) if error else "")


async def a_model_that_can_be_asked_is_ready(bench: Bench) -> None:
    """`ready` is True for a model that can be asked, once `served_models` asked the host."""
    await bench.failure(bench.doing(bench.provider.served_models()))
    ready = bench.provider.ready(bench.subject.model)
    expect(ready is True, "True", shown(ready))


async def asking_whether_costs_nothing(bench: Bench) -> None:
    """`check`, `ready` and `served_models` call no model."""
    asked, model = bench.subject.asked, bench.subject.model
    if asked is None:
        raise NotApplicableError("the host's calls are not counted; `asked` counts them")
    before = asked()
    await bench.failure(bench.doing(bench.provider.check(model)))
    bench.provider.ready(model)
    await bench.failure(bench.doing(bench.provider.served_models()))
    expect(asked() == before, "no call of the host", f"{asked() - before}")


async def a_model_that_cannot_be_asked_is_said(bench: Bench) -> None:
    """Of a model that cannot be asked, `ready` is False, and `check` raises the way out."""
    make, model = bench.subject.unready, bench.subject.model
    if make is None:
        raise NotApplicableError("no model that cannot be asked; `unready` stages one")
    async with benched(bench.subject, make) as lacking:
        ready = lacking.provider.ready(model)
        error = await lacking.failure(lacking.doing(lacking.provider.check(model)))
        raised = await lacking.failure(lacking.begin())
    expect(ready is False, "`ready` to be False", shown(ready))
    came = described(error) if error else "nothing"
    expect(isinstance(error, ConfigurationError), "a ConfigurationError of `check`", came)
    hint = error.hint if isinstance(error, ConfigurationError) else ""
    expect(bool(hint), "a hint that is the way out", "none")
    came = described(raised) if raised else "an answer"
    ours = isinstance(raised, (ConfigurationError, ProviderError))
    expect(ours, "a ConfigurationError or ProviderError of `generate`", came)


async def served_models_are_names_or_none(bench: Bench) -> None:
    """`served_models` is a tuple of the models' names at their host, or None; it never raises."""
    task = bench.doing(bench.provider.served_models())
    error = await bench.failure(task)
    expect(error is None, "names or None", described(error) if error else "")
    names = await bench.answered(task)
    good = names is None or (type(names) is tuple and all(names))
    expect(good, "a tuple of names, or None", shown(names))


async def a_warmed_model_needs_no_load(bench: Bench) -> None:
    """After `warm` no call has to load the model, nor say that it did."""
    model = bench.subject.model
    await bench.answered(bench.doing(bench.provider.warm(model)))
    answer = (await bench.ask()).answer
    expect(answer.model_warm is not False, "`model_warm` True or None", "False")
    seconds = answer.timings.load_time
    expect(seconds == 0, "a `load_time` of 0 s", f"{seconds:g}")
    loaded = [loaded.key for loaded in bench.provider.loaded()]
    expect(not loaded or model.key in loaded, f"{model.key} among `loaded`", shown(loaded))


async def a_provider_that_was_never_used_closes(bench: Bench) -> None:
    """`aclose` ends where nothing was loaded or connected."""
    await bench.answered(bench.doing(bench.provider.aclose()))


async def closing_twice_is_no_error(bench: Bench) -> None:
    """`aclose` frees what the provider holds, and does nothing the second time."""
    await bench.ask()
    for _ in range(2):
        await bench.answered(bench.doing(bench.provider.aclose()))


async def after_closing_it_answers_or_says_why_not(bench: Bench) -> None:
    """After `aclose` a call is answered, or raises a ProviderError."""
    await bench.ask()
    await bench.failure(bench.doing(bench.provider.aclose()))
    error = await bench.failure(bench.begin())
    came = described(error) if error else ""
    expect(error is None or isinstance(error, ProviderError), "an answer or a ProviderError", came)


LIFECYCLE_CHECKS = checks_of(
    a_model_that_can_be_asked_passes_the_check,
    a_model_that_can_be_asked_is_ready,
    asking_whether_costs_nothing,
    a_model_that_cannot_be_asked_is_said,
    served_models_are_names_or_none,
    a_warmed_model_needs_no_load,
    a_provider_that_was_never_used_closes,
    closing_twice_is_no_error,
    after_closing_it_answers_or_says_why_not,
)
