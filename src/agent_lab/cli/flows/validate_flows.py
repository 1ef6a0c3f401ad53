"""`agent-lab flows validate`."""

from typing import TYPE_CHECKING

import typer

from agent_lab.cli.flow_sources import Source, read_sources
from agent_lab.cli.flow_texts import counted, worst_case_line
from agent_lab.cli.options import AsJson, Sources
from agent_lab.cli.outputs import show, show_json
from agent_lab.cli.session import open_settings, with_lab
from agent_lab.errors import InvalidFlowError

if TYPE_CHECKING:
    from agent_lab.flows.flow_validator import FlowReport
    from agent_lab.lab import Lab


def validate_flows(sources: Sources = None, *, as_json: AsJson = False) -> None:
    """Look for all that is wrong with flows; nothing is run, no model is needed."""
    found = read_sources(sources)

    async def work(lab: "Lab") -> "list[FlowReport]":
        return [lab.check_flow(source.content) for source in found]

    reports = with_lab(open_settings(), work)
    if as_json:
        show_json([report.model_dump(mode="json") for report in reports])
    else:
        for source, report in zip(found, reports, strict=True):
            _show(source, report)
    if any(report.errors for report in reports):
        raise typer.Exit(InvalidFlowError.exit_code)


def _show(source: Source, report: "FlowReport") -> None:
    for fault in (*report.errors, *report.warnings):
        show(f"{fault.severity}: {' '.join(str(fault).split())}")
    errors, warnings = len(report.errors), len(report.warnings)
    show(f"{source.label}: {counted(errors, 'error')}, {counted(warnings, 'warning')}")
    if report.worst_case is not None:
        show(f"{source.label}: {worst_case_line(report.worst_case)}")
