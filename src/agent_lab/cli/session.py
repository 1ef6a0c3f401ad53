"""What every command does at its edge: settings, logs, the lab, and weights that are missing."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from agent_lab.cli.interrupts import run_interruptible
from agent_lab.cli.outputs import say
from agent_lab.cli.pulling import pull_models
from agent_lab.errors import WeightsMissingError

if TYPE_CHECKING:
    from agent_lab.config import Settings
    from agent_lab.flows.graph_configs import FlowConfig
    from agent_lab.lab import Lab

Result = TypeVar("Result")


def open_settings(**overrides: Any) -> "Settings":
    """Read the settings and send the logs where they say.

    Args:
        overrides: What options of the command say; None: nothing.
    """
    from agent_lab.config import load_settings
    from agent_lab.observability.logger import configure_logging
    from agent_lab.observability.redaction import Redactor

    settings = load_settings(**overrides)
    configure_logging(
        settings.log_level,
        "json" if settings.app_env == "prod" else "text",
        Redactor(settings.secrets()),
    )
    return settings


def with_lab(
    settings: "Settings",
    work: "Callable[[Lab], Awaitable[Result]]",
    own: "FlowConfig | None" = None,
    *,
    last_words: Callable[[], str] | None = None,
) -> Result:
    """Build a lab, do some work with it, and free its models.

    On a terminal, weights that are missing are offered to be pulled; then the work begins again.

    Args:
        settings: The settings.
        work: What is done.
        own: A flow that the lab has beside those that are shipped.
        last_words: What a second Ctrl-C leaves behind; None: nothing worth saying.
    """
    from ulid import ULID

    from agent_lab.flows.graph_configs import FLOW_CONFIGS
    from agent_lab.lab import build
    from agent_lab.observability.logger import log_context

    flows = FLOW_CONFIGS if own is None else {**FLOW_CONFIGS, own.name: own}

    async def session() -> Result:
        with log_context(request_id=str(ULID())):
            async with build(settings, flows=flows) as lab:
                return await work(lab)

    try:
        return run_interruptible(session(), last_words)
    except WeightsMissingError as error:
        key = error.details.get("model")
        if key is None or not _pull_is_wanted(error):
            raise
    pull_models(settings, [key])
    return run_interruptible(session(), last_words)


def say_fallback(meant: str | None, answering: str) -> None:
    """Say aloud that another model than the one that was meant will answer."""
    if meant is not None:
        say(
            f"`{meant}` is not on this machine; `{answering}` answers instead. "
            f"Try: agent-lab models pull {meant}"
        )


def _pull_is_wanted(error: WeightsMissingError) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(error.message)
    return typer.confirm("Pull it now?", default=True, err=True)
