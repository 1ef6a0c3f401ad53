"""The command `agent-lab`: its groups of commands, and how errors end it."""

import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from agent_lab import __version__
from agent_lab.cli import ask, cache, db, flows, models, run, runs, serve
from agent_lab.cli.outputs import INTERRUPTED, Interrupted, fail, say
from agent_lab.errors import AgentLabError

app = typer.Typer(
    name="agent-lab",
    help="Language models deliberate on a question; you see the debate and what it took.",
    epilog='Try: agent-lab run challenge "Write a function that …"',
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("ask")(ask.ask)
app.command("serve")(serve.serve)
app.add_typer(runs.app, name="runs")
app.add_typer(flows.app, name="flows")
app.add_typer(models.app, name="models")
app.add_typer(cache.app, name="cache")
app.add_typer(db.app, name="db")


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agent-lab {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_say_version, is_eager=True),
    ] = False,
) -> None:
    """Language models deliberate on a question; you see the debate and what it took."""


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 the run failed, 2 wrong usage or unknown name, 3 validation
        failed, 4 configuration, 5 provider unavailable, 130 interrupted.
    """
    try:
        code: int | None = app(
            list(arguments) or ["--help"], prog_name="agent-lab", standalone_mode=False
        )
    except AgentLabError as error:
        return fail(error)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "agent-lab"
        message = re.sub(r"'([^']*)'", r"`\1`", error.format_message())
        say(f"{message.rstrip('.')}. Try: {command} --help")
        return error.exit_code
    except Interrupted as interrupted:
        say(f"Interrupted. {interrupted}")
        return INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # Typer makes this code, silently, of a KeyboardInterrupt
        say("Interrupted.")
    return code or 0


if __name__ == "__main__":
    main()
