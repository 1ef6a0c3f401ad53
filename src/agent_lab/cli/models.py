"""`agent-lab models`: the models that there are, and their weights."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent_lab.cli.options import AsJson
from agent_lab.cli.pulling import pull_models
from agent_lab.cli.session import open_settings

if TYPE_CHECKING:
    from agent_lab.config import Settings
    from agent_lab.contracts import JsonObject
    from agent_lab.providers.provider_gateway import ProviderGateway
    from agent_lab.providers.registries.model_registry import ModelEntry

app = typer.Typer(help="The models that there are, and their weights.")


@app.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """List the models, and which of them are on this machine."""
    import json

    gateway = _gateway(open_settings())
    rows = [_described(gateway, entry) for entry in gateway.models.all()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    typer.echo(f"{'MODEL':24} {'PROVIDER':10} {'SIZE':>8} {'WINDOW':>8}  {'HERE':5} LICENCE")
    for row in rows:
        size = f"{row['bytes'] / 1e9:.2f} GB" if row["bytes"] else ""
        here = "yes" if row["present"] else "no"
        typer.echo(
            f"{row['key']:24} {row['provider']:10} {size:>8} {row['context_window']:>8}  "
            f"{here:5} {row['licence']}"
        )


@app.command("show")
def show_model(
    key: Annotated[str, typer.Argument(help="A model key.")], *, as_json: AsJson = False
) -> None:
    """Show what is known of a model."""
    import json

    gateway = _gateway(open_settings())
    row = _described(gateway, gateway.models.get(key))
    if as_json:
        typer.echo(json.dumps(row, indent=2))
        return
    for name, value in row.items():
        if value not in (None, "", [], {}):
            shown = "\n".join(value) if name == "sources" else value
            typer.echo(f"{name:18} {str(shown).replace(chr(10), chr(10) + ' ' * 19)}")


@app.command("pull")
def pull(
    keys: Annotated[list[str], typer.Argument(metavar="KEY…", help="Model keys.")],
    *,
    force: Annotated[bool, typer.Option(help="Fetch again what is here already.")] = False,
) -> None:
    """Fetch the weights of local models; what is here already is not fetched again."""
    pull_models(open_settings(), keys, force=force)


def _gateway(settings: "Settings") -> "ProviderGateway":
    from agent_lab.providers.provider_gateway import ProviderGateway

    return ProviderGateway.from_settings(settings)


def _described(gateway: "ProviderGateway", entry: "ModelEntry") -> "JsonObject":
    local = entry.provider == "local"
    return {
        **entry.model_dump(mode="json"),
        "present": gateway.weights.present(entry) if local else True,
        "path": str(gateway.weights.path(entry)) if local else None,
    }
