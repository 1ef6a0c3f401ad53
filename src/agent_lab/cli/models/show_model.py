"""`agent-lab models show`."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent_lab.cli.models.gateway_session import with_gateway
from agent_lab.cli.models.model_rows import fit_told, model_row
from agent_lab.cli.options import AsJson
from agent_lab.cli.outputs import show, show_json
from agent_lab.cli.session import open_settings

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject
    from agent_lab.providers.model_survey import SurveyedModel
    from agent_lab.providers.provider_gateway import ProviderGateway
    from agent_lab.providers.registries.model_registry import ModelEntry


def show_model(
    key: Annotated[str, typer.Argument(help="A model key.")], *, as_json: AsJson = False
) -> None:
    """Show what is known of a model, and whether this machine has memory for it."""

    async def look(gateway: "ProviderGateway") -> "tuple[SurveyedModel, JsonObject]":
        from agent_lab.providers.model_survey import survey

        entry = gateway.models.get(key)
        await gateway.find_local_hosts()
        (seen,) = await survey(gateway, [entry])
        return seen, {**model_row(gateway, seen), "prices": await _prices(gateway, entry)}

    settings = open_settings()
    seen, row = with_gateway(settings, look)
    if as_json:
        show_json(row)
        return
    if seen.fit is not None:
        row["fit"] = fit_told(seen.fit, min(settings.local_context, seen.entry.context_window))
    for name, value in row.items():
        if value not in (None, "", [], {}):
            shown = "\n".join(value) if name == "sources" else value
            show(f"{name:19} {str(shown).replace(chr(10), chr(10) + ' ' * 20)}")


async def _prices(gateway: "ProviderGateway", entry: "ModelEntry") -> str:
    """What a model costs, for people."""
    prices = (await gateway.targets.get(entry)).prices
    if prices is None:
        return "unknown"
    return "; ".join(str(step) for step in prices.steps)
