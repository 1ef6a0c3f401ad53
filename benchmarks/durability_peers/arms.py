"""The arms, each with a database of its own that is empty at first."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import aiosqlite
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from orchestrator_peers import ours, prompts
from orchestrator_peers.flows import SECRET, SEED, TASK
from orchestrator_peers.measuring import LANGGRAPH, Run, Task

from agent_lab.contracts import RunRequest
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.providers.local.scripted_provider import ScriptedProvider
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.executions import Limits
from agent_lab.runs.service import RunService
from agent_lab.storage.database import Database
from durability_peers.journalled import kept_by_journal
from durability_peers.postgres import Server
from durability_peers.workloads import Workload, answer

SQLITE_SAVER = "LangGraph, SQLite saver"
POSTGRES_SAVER = "LangGraph, Postgres saver"
JOURNALLED = "LangGraph, our journal"
NOT_KEPT = "ours, `run_flow`"
ON_SQLITE = "ours, SQLite"
ON_POSTGRES = "ours, Postgres"
LIMITS = Limits(at_once=1000, waiting=0, lease_s=3600)
"""All runs of a task are executed at once; renewing leases is nobody's turn."""
SYNCHRONOUS = "PRAGMA synchronous=NORMAL"
"""As our database has it. The saver sets WAL itself."""


class Arms(NamedTuple):
    """The arms of one workload."""

    task: Task
    places: dict[str, str | Path]
    """By arm: its SQLite file, or the URL of its Postgres database."""


@asynccontextmanager
async def open_arms(workload: Workload, folder: Path, server: Server | None) -> AsyncIterator[Arms]:
    """Make all arms of a workload.

    Args:
        workload: What they do.
        folder: For SQLite files and records.
        server: For the others; None: there are no others.
    """
    provider, outputs = ScriptedProvider(answer), folder / "outputs"
    gateway = ProviderGateway.scripted(provider)
    by_hand = partial(workload.by_hand, prompts.asking(gateway))
    async with AsyncExitStack() as stack:
        keep = partial(_kept, stack, gateway, workload.flow, outputs=outputs)
        saved, own = _new_file(folder, "saver.db"), _new_file(folder, "lab.db")
        journal = _new_file(folder, "journal.db")
        places: dict[str, str | Path] = {
            SQLITE_SAVER: saved,
            JOURNALLED: journal,
            ON_SQLITE: own,
        }
        arms = {
            LANGGRAPH: by_hand(None),
            JOURNALLED: kept_by_journal(
                stack,
                lambda ask: workload.by_hand(ask, None),
                gateway,
                workload.flow,
                _upgraded(f"sqlite:///{journal}"),
            ),
            NOT_KEPT: ours.bare(gateway, workload.flow),
            ON_SQLITE: keep(Database(f"sqlite:///{own}")),
            SQLITE_SAVER: by_hand(await stack.enter_async_context(_sqlite_saver(saved))),
        }
        if server is not None:
            places |= {arm: server.new_database() for arm in _WITH_SERVER}
            url = str(places[POSTGRES_SAVER])
            arms[ON_POSTGRES] = keep(_upgraded(str(places[ON_POSTGRES])))
            saver = await stack.enter_async_context(AsyncPostgresSaver.from_conn_string(url))
            await saver.setup()
            arms[POSTGRES_SAVER] = by_hand(saver)
        task = Task(
            group=workload.name,
            arms=arms,
            provider=provider,
            turns=workload.turns,
            runs=workload.runs,
            at_once=workload.at_once,
            clean=partial(shutil.rmtree, outputs, ignore_errors=True),
        )
        yield Arms(task, places)


_WITH_SERVER = (ON_POSTGRES, POSTGRES_SAVER)


def kept_run(service: RunService, flow: FlowConfig) -> Run:
    """A run of a flow by our service."""

    async def run() -> str:
        request = RunRequest(flow=flow.name, input=TASK, seed=SEED, lang="en")
        return (await service.run(request)).output

    return run


def lab_service(
    gateway: ProviderGateway, flow: FlowConfig, database: Database, outputs: Path
) -> RunService:
    """Our service, complete."""
    flows = {flow.name: flow}
    return RunService(gateway, flows, database, outputs=outputs, secret=SECRET, limits=LIMITS)


def _kept(
    stack: AsyncExitStack,
    gateway: ProviderGateway,
    flow: FlowConfig,
    database: Database,
    *,
    outputs: Path,
) -> Run:
    service = lab_service(gateway, flow, database, outputs)
    stack.push_async_callback(service.aclose)
    return kept_run(service, flow)


def _upgraded(url: str) -> Database:
    database = Database(url)
    database.upgrade()
    return database


@asynccontextmanager
async def _sqlite_saver(file: Path) -> AsyncIterator[AsyncSqliteSaver]:
    async with aiosqlite.connect(file) as connection:
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        await connection.execute(SYNCHRONOUS)
        yield saver


def _new_file(folder: Path, name: str) -> Path:
    """A file's place, where none is left of another workload."""
    for old in folder.glob(f"{name}*"):
        old.unlink()
    return folder / name
