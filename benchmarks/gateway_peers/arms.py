"""The arms: how each is started, and what it needs."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from gateway_peers.processes import (
    ArmError,
    Client,
    Server,
    Workplace,
    free_port,
    python_module,
)
from gateway_peers.texts import MODEL

Arm = TypeVar("Arm")
PEERS = Path(__file__).resolve().parents[2] / ".venv-peers"
AIOHTTP = "aiohttp"
OURS = "ours"
OURS_TRACED = "ours, traces+INFO"
OURS_LOGGED = "ours, INFO only"
OPENAI = "openai SDK"
LITELLM = "litellm"
PASS_THROUGH = "FastAPI + aiohttp"  # noqa: S105 a name
OUR_SERVER = "ours, a server"
LITELLM_PROXY = "LiteLLM proxy"

TRACES: dict[str, str] | None = {"OTEL_EXPORTER_OTLP_ENDPOINT": "{url}"}
"""The variables that turn traces on; the upstream takes the spans. None: leave traces off."""

WIDE_LIMITS = """
[providers.openai.limits]
requests_per_minute = 10000000
tokens_per_minute = 100000000000
concurrency = 1000
"""
"""Limits that never bind, so that the limiter has its work and stops nothing."""

LITELLM_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches its price table
    "LITELLM_LOG": "ERROR",
    "LITELLM_TELEMETRY": "False",
}
LITELLM_CONFIG = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "{url}/v1", api_key: k}}
litellm_settings: {{num_retries: 0, telemetry: false}}
general_settings: {{dangerously_permit_weak_or_unset_master_key: true}}
"""
"""As little as it can do: no keys, no database, no retries."""


class Loaded(NamedTuple):
    """A server and the process that makes its load."""

    server: Server
    load: Client


def our_environment(place: Workplace, url: str) -> dict[str, str]:
    """Breaker, limiter, budget and metrics on; cache and tracing off."""
    models = place.folder / "models.toml"
    models.write_text(WIDE_LIMITS, encoding="utf-8")
    return {
        "AGENT_LAB_MODELS_FILE": str(models),
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": f"{url}/v1",
    }


def observed_environment(url: str) -> dict[str, str]:
    """INFO logs, which go to the arm's log, and traces, where there are any."""
    traces = {name: value.format(url=url) for name, value in (TRACES or {}).items()}
    return {"LOG_LEVEL": "INFO", **traces}


def start_clients(
    place: Workplace, url: str, only: str | None = None
) -> tuple[dict[str, Client], dict[str, str]]:
    """Start every client that works here.

    Args:
        place: Where they run.
        url: The upstream's address.
        only: The one to start; None: all.

    Returns:
        The clients by name, and why the others are missing.
    """
    ours = our_environment(place, url)
    observed = OURS_LOGGED if TRACES is None else OURS_TRACED
    starts = {
        AIOHTTP: lambda: place.client(AIOHTTP, python_module("aiohttp_client", url)),
        OURS: lambda: place.client(OURS, python_module("our_client", url), **ours),
        observed: lambda: place.client(
            observed, python_module("our_client", url), **ours, **observed_environment(url)
        ),
        OPENAI: lambda: place.client(OPENAI, python_module("openai_client", url)),
        LITELLM: lambda: place.client(
            LITELLM,
            python_module("litellm_client", url, python=_peer("python")),
            **LITELLM_QUIET,
        ),
    }
    return _started({name: start for name, start in starts.items() if only in {None, name}})


def start_servers(place: Workplace, url: str) -> tuple[dict[str, Loaded], dict[str, str]]:
    """Start every server that works here, each with its load; else as `start_clients`."""

    def loaded(name: str, server: Server, form: str = "completions") -> Loaded:
        load = place.client(f"{name} load", python_module("load", server.url, form))
        return Loaded(server, load)

    def ours() -> Loaded:
        command = [str(Path(sys.executable).with_name("agent-lab")), "serve", "--port", "0"]
        server = place.server(OUR_SERVER, command, **our_environment(place, url))
        return loaded(OUR_SERVER, server, "inference")

    def litellm_proxy() -> Loaded:
        config, port = place.folder / "litellm.yaml", free_port()
        config.write_text(LITELLM_CONFIG.format(model=MODEL, url=url), encoding="utf-8")
        where = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        command = [str(_peer("litellm")), *where, "--num_workers", "1", "--telemetry", "False"]
        return loaded(LITELLM_PROXY, place.server_at(port, LITELLM_PROXY, command, **LITELLM_QUIET))

    def pass_through() -> Loaded:
        server = place.server(PASS_THROUGH, python_module("pass_through", url))
        return loaded(PASS_THROUGH, server)

    return _started({PASS_THROUGH: pass_through, OUR_SERVER: ours, LITELLM_PROXY: litellm_proxy})


def _peer(program: str) -> Path:
    """A program of the peers' environment."""
    found = PEERS / "bin" / program
    if not found.exists():
        raise ArmError("not installed; `python benchmarks/gateway.py --peers` does that")
    return found


def _started(starts: Mapping[str, Callable[[], Arm]]) -> tuple[dict[str, Arm], dict[str, str]]:
    arms: dict[str, Arm] = {}
    missing: dict[str, str] = {}
    for name, start in starts.items():
        try:
            arms[name] = start()
        except ArmError as error:
            missing[name] = str(error)
    return arms, missing
