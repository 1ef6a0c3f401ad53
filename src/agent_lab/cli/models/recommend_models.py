"""`agent-lab models recommend`."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from agent_lab.cli.models.gateway_session import with_gateway
from agent_lab.cli.options import AsJson
from agent_lab.cli.outputs import say, show, show_json
from agent_lab.cli.session import open_settings
from agent_lab.errors import InvalidRequestError, UnknownCapabilityError

if TYPE_CHECKING:
    from agent_lab.providers.model_survey import Advice
    from agent_lab.providers.provider_gateway import ProviderGateway
    from agent_lab.providers.registries.model_registry import Capability

MOST_SHOWN = 5
"""Models; `--json` has all that fit."""
_LANGUAGE = re.compile("[a-z]{2,3}")


def recommend_models(
    *,
    language: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="One that the models must speak: en, es, fr, …"),
    ] = None,
    capability: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What they must be able to do: json_schema, tools, …"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recommend local models for this machine: the best first, and two for a debate."""
    spoken = None if language is None else _language(language)
    able = None if capability is None else _capability(capability)

    async def look(gateway: "ProviderGateway") -> "Advice":
        from agent_lab.providers.model_survey import advise

        return await advise(gateway, language=spoken, capability=able)

    advice = with_gateway(open_settings(), look)
    if as_json:
        show_json(advice.model_dump(mode="json"))
    elif advice.models:
        show("\n".join(_lines(advice)))
    else:
        say("No local model suits. Try: agent-lab models list shows what each needs")


def _language(code: str) -> str:
    if not _LANGUAGE.fullmatch(code.lower()):
        raise InvalidRequestError(
            f"`{code}` is no code of a language (ISO 639-1).",
            hint="agent-lab models recommend --language es",
        )
    return code.lower()


def _capability(name: str) -> "Capability":
    from agent_lab.providers.registries.model_registry import Capability

    known: tuple[Capability, ...] = get_args(Capability)
    for capability in known:
        if capability == name:
            return capability
    raise UnknownCapabilityError(name, known, "agent-lab models recommend --help")


def _lines(advice: "Advice") -> Iterator[str]:
    for number, model in enumerate(advice.models[:MOST_SHOWN], 1):
        yield f"{number}. {model.key}"
        yield from (f"   {reason}" for reason in model.reasons)
    best = advice.models[0].key
    yield f"\nThe best: {best}"
    yield from _commands(advice, (best,), f"--model {best}")
    if advice.pair is not None:
        first, second = advice.pair
        yield f"\nFor a debate: {first} and {second}"
        yield from _commands(advice, advice.pair, f"--model {first} --role challenger={second}")


def _commands(advice: "Advice", keys: tuple[str, ...], options: str) -> Iterator[str]:
    """What there is to type, to ask some models."""
    here = {model.key for model in advice.models if model.present}
    if missing := [key for key in keys if key not in here]:
        yield f"   agent-lab models pull {' '.join(missing)}"
    yield f'   agent-lab run challenge "…" {options}'
