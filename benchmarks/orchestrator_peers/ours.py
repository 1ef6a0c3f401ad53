"""Our arms: a flow run bare, and run by the service that keeps its record."""

from pathlib import Path

from agent_lab.contracts import RunRequest
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.run_recorder import Collector
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.service import RunService
from agent_lab.storage.database import Database
from orchestrator_peers.flows import SECRET, SEED, TASK
from orchestrator_peers.measuring import Run


def bare(gateway: ProviderGateway, flow: FlowConfig) -> Run:
    """Runs by `run_flow` with a `Collector`; the graph is built at the first of them."""
    builder = GraphBuilder()

    async def run() -> str:
        context = RunContext(
            gateway=gateway,
            request=RunRequest(flow=flow.name, input=TASK),
            seed=SEED,
            secret=SECRET,
            recorder=Collector(),
        )
        return (await run_flow(flow, context, lang="en", builder=builder)).output

    return run


def recorded(gateway: ProviderGateway, flow: FlowConfig, outputs: Path) -> Run:
    """Runs by `RunService`: checks, the journal in a database, the record and its file."""
    database = Database(f"sqlite:///{outputs.parent / f'{flow.name}.db'}")
    service = RunService(gateway, {flow.name: flow}, database, outputs=outputs, secret=SECRET)

    async def run() -> str:
        request = RunRequest(flow=flow.name, input=TASK, seed=SEED, lang="en")
        return (await service.run(request)).output

    return run
