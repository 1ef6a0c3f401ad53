"""`agent-lab flows test`."""

from typing import TYPE_CHECKING

import typer

from agent_lab.cli.flow_sources import read_sources
from agent_lab.cli.options import AsJson, Sources
from agent_lab.cli.outputs import show, show_json
from agent_lab.cli.session import open_settings

if TYPE_CHECKING:
    from agent_lab.flows.graph_configs import FlowConfig
    from agent_lab.orchestrator.flow_tester import FlowTestReport


def run_tests(sources: Sources = None, *, as_json: AsJson = False) -> None:
    """Run the tests that flows carry, on scripted turns; no model is needed."""
    import asyncio

    from agent_lab.flows.graph_configs import FLOW_CONFIGS
    from agent_lab.orchestrator.flow_tester import run_flow_tests
    from agent_lab.orchestrator.graph_builder import GraphBuilder

    open_settings()
    flows = [source.flow() for source in read_sources(sources)]

    async def work() -> "list[FlowTestReport]":
        return [
            await run_flow_tests(flow, GraphBuilder(flows={**FLOW_CONFIGS, flow.name: flow}))
            for flow in flows
        ]

    reports = asyncio.run(work())
    if as_json:
        show_json([report.model_dump(mode="json") for report in reports])
    else:
        for flow, report in zip(flows, reports, strict=True):
            _show(flow, report)
    if any(report.failed or not report.cases for report in reports):
        raise typer.Exit(1)


def _show(flow: "FlowConfig", report: "FlowTestReport") -> None:
    from agent_lab.flows.flow_plan import plan_flow

    show(f"{report.flow}:" + ("" if report.cases else " no tests"))
    for case in report.cases:
        show(f"{'FAILED' if case.failures else 'ok'} {case.name}")
        for failure in case.failures:
            show(f"    {failure}")
    plan = plan_flow(flow)
    missed = (
        ("not reached", report.unreached_nodes),
        ("not taken", report.untaken_edges),
    )
    nodes, ways = len(plan.nodes), len(plan.edges) + len(plan.loops)
    show(
        f"nodes {nodes - len(report.unreached_nodes)} of {nodes}, "
        f"edges {ways - len(report.untaken_edges)} of {ways}"
        + "".join(f"; {what}: {', '.join(names)}" for what, names in missed if names)
    )
