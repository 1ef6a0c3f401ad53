"""LangGraph by hand, kept by our journal: what the journal costs, without the rest of the lab."""

from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from contextvars import ContextVar

from orchestrator_peers.flows import SEED, TASK
from orchestrator_peers.measuring import Run
from orchestrator_peers.prompts import Ask, Outputs, Role

from agent_lab.contracts import GenerationRequest, Message, RunRequest
from agent_lab.flows.graph_configs import FlowConfig
from agent_lab.orchestrator.flow_metrics import total_usage
from agent_lab.orchestrator.run_context import utc_now
from agent_lab.orchestrator.run_recorder import AskedTurn
from agent_lab.orchestrator.turns import succeeded
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.journal import Journal
from agent_lab.runs.live import LiveRun
from agent_lab.runs.preparation import new_run_id
from agent_lab.runs.run_header import RunHeader, Setting, flow_row
from agent_lab.storage.commit_queue import CommitQueue
from agent_lab.storage.database import Database

_RUN: ContextVar[tuple[Journal, Counter[str]]] = ContextVar("run")
"""The journal of the run at hand, and how often each role has spoken."""


def kept_by_journal(
    stack: AsyncExitStack,
    by_hand: Callable[[Ask], Run],
    gateway: ProviderGateway,
    flow: FlowConfig,
    database: Database,
) -> Run:
    """A graph by hand whose turns and steps are kept as ours are.

    Args:
        stack: Closes what is opened.
        by_hand: Makes the graph.
        gateway: Who answers.
        flow: The same as a flow, for the run's row.
        database: An open one.
    """
    queue, row = CommitQueue(database), flow_row(flow)
    stack.push_async_callback(queue.close)
    run = by_hand(_asking(gateway))
    request = RunRequest(flow=flow.name, input=TASK, seed=SEED, lang="en")

    async def kept() -> str:
        header = RunHeader(
            id=new_run_id(),
            owner=None,
            flow=flow.name,
            flow_version=flow.version,
            request=request,
            lang="en",
            seed=SEED,
            head=f"# Task\n\n{TASK}",
            setting=Setting(),
            created_at=utc_now(),
        )
        journal = Journal(header, 1, queue, LiveRun(header.id, utc_now), utc_now)
        own = {"status": "running", "worker": None, "detached": False}
        journal.create({**own, "idempotency_key": None, "request_digest": None}, row, start=True)
        _RUN.set((journal, Counter()))
        output = await run()
        result = {"status": "completed", "stop_reason": "completed", "output": output}
        await journal.end("RUN_FINISHED", {"result": result}, total_usage(journal.turns))
        return output

    return kept


def _asking(gateway: ProviderGateway) -> Ask:
    async def ask(role: Role, task: str, outputs: Outputs) -> str:
        journal, visits = _RUN.get()
        asked = AskedTurn(
            node_id=role.name,
            path=role.name,
            role=role.name,
            round=1,
            sample=0,
            visit=visits[role.name],
            retry=0,
            request=GenerationRequest(
                messages=(*role.system, Message(role="user", content=role.prompt(task, outputs))),
                role=role.name,
                seed=SEED,
                **role.sampling,
            ),
            started_at=utc_now(),
        )
        visits[role.name] += 1
        await journal.record("STEP_STARTED", {"stepName": role.name})
        await journal.begin_turn(asked)
        name, text = asked.message_id, ""
        async for chunk in gateway.stream(asked.request):
            if chunk.result is None:
                journal.publish_delta(name, chunk.text, reasoning=False)
                continue
            turn = asked.ended(utc_now(), succeeded(chunk.result))
            await journal.record_turn(turn)
            text = turn.text
        return text

    return ask
