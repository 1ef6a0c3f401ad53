"""`agent-lab models`: the models that there are, and their weights."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from agent_lab.cli.options import AsJson
from agent_lab.cli.outputs import say
from agent_lab.cli.pulling import pull_models
from agent_lab.cli.session import open_settings

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject
    from agent_lab.providers.provider_gateway import ProviderGateway
    from agent_lab.providers.registries.model_registry import ModelEntry

Result = TypeVar("Result")

app = typer.Typer(help="The models that there are, and their weights.")


@app.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """List the models, which of them can be asked, and what servers on this machine serve."""
    import json

    found = _with_gateway(_survey)
    if as_json:
        typer.echo(json.dumps(found.rows, indent=2))
        return
    typer.echo(f"{'MODEL':20} {'PROVIDER':12} {'SIZE':>8} {'WINDOW':>8}  {'READY':10} LICENCE")
    for row in found.rows:
        size = f"{row['bytes'] / 1e9:.2f} GB" if row["bytes"] else ""
        ready = f"no {row['missing']}" if row["missing"] else "yes"
        typer.echo(
            f"{row['key']:20} {row['provider']:12} {size:>8} {row['context_window']:>8}  "
            f"{ready:10} {row['licence']}".rstrip()
        )
    for provider, names in found.served.items():
        say(f"`{provider}` runs on this machine and serves: {', '.join(names) or 'no model'}")


@app.command("show")
def show_model(
    key: Annotated[str, typer.Argument(help="A model key.")], *, as_json: AsJson = False
) -> None:
    """Show what is known of a model."""
    import json

    async def look(gateway: "ProviderGateway") -> "JsonObject":
        entry = gateway.models.get(key)
        await gateway.find_local_hosts()
        return {**_described(gateway, entry), "prices": await _prices(gateway, entry)}

    row = _with_gateway(look)
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


class _Survey(NamedTuple):
    rows: "list[JsonObject]"
    served: dict[str, tuple[str, ...]]


async def _survey(gateway: "ProviderGateway") -> _Survey:
    served = await gateway.find_local_hosts()
    return _Survey([_described(gateway, entry) for entry in gateway.models.all()], served)


def _with_gateway(look: "Callable[[ProviderGateway], Awaitable[Result]]") -> Result:
    import asyncio

    from agent_lab.providers.provider_gateway import ProviderGateway

    settings = open_settings()

    async def session() -> Result:
        gateway = ProviderGateway.from_settings(settings)
        try:
            return await look(gateway)
        finally:
            await gateway.aclose()

    return asyncio.run(session())


def _described(gateway: "ProviderGateway", entry: "ModelEntry") -> "JsonObject":
    local = entry.provider == "local"
    return {
        **entry.model_dump(mode="json"),
        "present": gateway.ready(entry),
        "path": str(gateway.weights.path(entry)) if local else None,
        "missing": _missing(gateway, entry),
        "key_variable": gateway.targets.hosts.get(entry.provider).api_key_env,
    }


def _missing(gateway: "ProviderGateway", entry: "ModelEntry") -> str:
    """What has to be there before a model can be asked; empty: nothing."""
    if gateway.ready(entry):
        return ""
    if entry.provider == "local":
        return "weights"
    return "host" if gateway.targets.provider(entry.provider).is_local else "key"


async def _prices(gateway: "ProviderGateway", entry: "ModelEntry") -> str:
    """What a model costs, for people."""
    prices = (await gateway.targets.get(entry)).prices
    if prices is None:
        return "unknown"
    return "; ".join(str(step) for step in prices.steps)
