"""`agent-lab models list`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from agent_lab.cli.models.gateway_session import with_gateway
from agent_lab.cli.models.model_rows import fits_word, model_row
from agent_lab.cli.options import AsJson
from agent_lab.cli.outputs import fail, say, show, show_json
from agent_lab.cli.session import open_settings

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject
    from agent_lab.providers.model_survey import SurveyedModel
    from agent_lab.providers.provider_gateway import ProviderGateway

LINE = 100
"""Columns of a line; what is too long for them is cut."""
_HEAD = ("MODEL", "PROVIDER", "SIZE", "NEED", "WINDOW", "FITS", "READY", "LICENCE")
_NUMBERS = ("SIZE", "NEED", "WINDOW")


class _Listed(NamedTuple):
    models: "list[SurveyedModel]"
    rows: "list[JsonObject]"
    served: dict[str, tuple[str, ...]]


def list_models(*, as_json: AsJson = False) -> None:
    """List the models: which can be asked, and which this machine has memory for."""
    found = with_gateway(open_settings(), _look)
    if as_json:
        show_json(found.rows)
        return
    cells = map(_cells, found.models, found.rows)
    for line in _table([_HEAD, *cells]):
        show(line)
    for problem in {m.problem.message: m.problem for m in found.models if m.problem}.values():
        fail(problem)
    for provider, names in found.served.items():
        say(f"`{provider}` runs on this machine and serves: {', '.join(names) or 'no model'}")


async def _look(gateway: "ProviderGateway") -> _Listed:
    from agent_lab.providers.model_survey import survey

    served = await gateway.find_local_hosts()
    models = await survey(gateway, gateway.models.all())
    return _Listed(models, [model_row(gateway, model) for model in models], served)


def _cells(model: "SurveyedModel", row: "JsonObject") -> tuple[str, ...]:
    entry, fit = model.entry, model.fit
    return (
        entry.key,
        entry.provider,
        f"{entry.bytes / 1e9:.2f} GB" if entry.bytes else "",
        f"{fit.need_gb:.2f} GB" if fit else "",
        str(entry.context_window),
        fits_word(model),
        f"no {row['missing']}" if row["missing"] else "yes",
        entry.licence,
    )


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table; only its last column is cut."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(
            text.rjust(width) if name in _NUMBERS else text.ljust(width)
            for name, text, width in zip(_HEAD, row, widths, strict=True)
        ).rstrip()
        yield line if len(line) <= LINE else f"{line[: LINE - 1]}…"
