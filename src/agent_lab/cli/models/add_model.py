"""`agent-lab models add`."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent_lab.cli.models.gateway_session import with_gateway
from agent_lab.cli.models.model_rows import fit_told, model_row
from agent_lab.cli.options import AsJson
from agent_lab.cli.outputs import say, show, show_json
from agent_lab.cli.pulling import pull_models
from agent_lab.cli.session import open_settings

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject
    from agent_lab.providers.model_survey import SurveyedModel
    from agent_lab.providers.provider_gateway import ProviderGateway


def add_model(
    source: Annotated[
        str,
        typer.Argument(
            metavar="hf:OWNER/REPO[@REVISION][#FILE]",
            help="A repository of the model hub; without a file, one is chosen.",
        ),
    ],
    *,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Its key; else made of the file's name.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Even if there is a model of this key.")
    ] = False,
    pull: Annotated[bool, typer.Option("--pull", help="Fetch its weights at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a GGUF model of the hub to your own models file.

    A server that runs already knows it once it is started anew.
    """

    async def add(gateway: "ProviderGateway") -> "tuple[SurveyedModel, JsonObject]":
        from agent_lab.providers.model_survey import survey

        entry = await gateway.new_models.add(source, key=key, replace=replace)
        (seen,) = await survey(gateway, [entry])
        return seen, model_row(gateway, seen)

    settings = open_settings()
    seen, row = with_gateway(settings, add)
    file = str(settings.own_models_file)
    if as_json:
        show_json({**row, "written_to": file})
    else:
        window = min(settings.local_context, seen.entry.context_window)
        _show(seen, window, file)
    if pull:
        pull_models(settings, [seen.entry.key])
    elif not seen.present:
        say(f"Its weights are not here yet. Try: agent-lab models pull {seen.entry.key}")


def _show(seen: "SurveyedModel", window: int, file: str) -> None:
    entry = seen.entry
    told = {
        "key": entry.key,
        "file": entry.file,
        "size": f"{entry.bytes / 1e9:.2f} GB",
        "licence": entry.licence,
        "window": f"{entry.context_window} tokens",
        "fit": fit_told(seen.fit, window) if seen.fit else seen.problem and seen.problem.message,
        "written to": file,
    }
    for name, value in told.items():
        show(f"{name:18} {value}")
