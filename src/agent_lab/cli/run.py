"""`agent-lab run`: a flow on a question, watched turn by turn."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent_lab.cli import options
from agent_lab.cli.flow_sources import read_source
from agent_lab.cli.inputs import flow_inputs, models_by_role, read_attachments, read_prompt
from agent_lab.cli.live_view import COMPLETED, LiveView
from agent_lab.cli.outputs import Interrupted, Output, fail, say
from agent_lab.cli.session import open_settings, say_fallback, with_lab

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject, RunRecord, RunRequest
    from agent_lab.flows.graph_configs import FlowConfig
    from agent_lab.lab import Lab
    from agent_lab.runs.events import RunEvent


def run(
    flow: Annotated[
        str, typer.Argument(help="A flow (agent-lab flows list), or a JSON file that holds one.")
    ],
    prompt: Annotated[str, typer.Argument(help="The question; - reads standard input.")],
    *,
    inputs: options.Input = None,
    attach: Annotated[
        list[Path] | None,
        typer.Option(help="A text file that every role sees beside the question; repeatable."),
    ] = None,
    model: options.Model = None,
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=MODEL", help="The model of one role; repeatable."),
    ] = None,
    strategy: options.Strategy = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    seed: options.Seed = None,
    budget: options.Budget = None,
    max_calls: options.MaxCalls = None,
    max_total_tokens: options.MaxTotalTokens = None,
    max_seconds: options.MaxSeconds = None,
    allow_unpriced: options.AllowUnpriced = False,
    data_policy: options.DataPolicy = None,
    lang: Annotated[
        Literal["en", "es"] | None,
        typer.Option(help="Language of the prompts; else that of the question."),
    ] = None,
    stream: Annotated[
        bool | None,
        typer.Option(help="Show the turns on stderr as they come; else only on a terminal."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what would be asked of whom; ask nobody.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the prompts.")] = False,
    as_json: options.AsJson = False,
    output: options.OutputFile = None,
) -> None:
    """Run a flow on a question. The answer goes to stdout, the debate to stderr."""
    from agent_lab.contracts import RunRequest

    source = read_source(flow)
    chosen = source.flow()
    request = RunRequest.parse(
        {
            "flow": chosen.name,
            "input": read_prompt(prompt),
            "inputs": flow_inputs(inputs or (), chosen),
            "attachments": read_attachments(attach or ()),
            "model": model,
            "models": models_by_role(role or (), flow),
            "strategy": strategy,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            "lang": lang,
            "data_policy": data_policy,
            "budget": _budget(
                calls=max_calls,
                tokens=max_total_tokens,
                seconds=max_seconds,
                cost_usd=budget,
                allow_unpriced=allow_unpriced,
            ),
        }
    )
    result = Output(output, as_json=as_json)
    result.check()
    own = chosen if source.is_file else None
    if plan:
        _plan(request, own, result)
        return
    shown = sys.stderr.isatty() or verbose if stream is None else stream
    watch = Watch(LiveView(verbose=verbose) if shown else None)
    _tell(_run(request, own, watch), watch, result)


def _budget(*, allow_unpriced: bool, **limits: float | None) -> "JsonObject | None":
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return {**given, "allow_unpriced": allow_unpriced} if given else None


def _tell(record: "RunRecord", watch: "Watch", result: Output) -> None:
    """Say how a run ended, and write its answer."""
    for reason in record.degraded:
        say(f"Degraded: {reason}")
    if record.error is not None:
        raise typer.Exit(fail(record.error))
    if record.stop_reason != COMPLETED and watch.view is None:
        say(f"Stopped: {record.stop_reason}")
    seen = watch.view is not None and sys.stdout.isatty() and watch.view.has_shown(record.output)
    result.write(record.output, record, already_seen=seen)


class Watch:
    """Listens to a run for the command line.

    Args:
        view: Shows it; None: nobody looks.
    """

    def __init__(self, view: LiveView | None) -> None:
        self.view = view
        self.run_id = ""
        self.finished = 0
        """Turns that are in the record."""

    def __call__(self, event: "RunEvent") -> None:
        """Take one event."""
        if event.type == "RUN_STARTED":
            self._run_started(event)
        self.finished += event.type == "TEXT_MESSAGE_END"
        if self.view is not None:
            self.view(event)

    def left_behind(self, path: Path) -> str:
        """What an interrupted run leaves."""
        if not path.exists():
            return f"The run could not be saved in `{path}`."
        turns = "1 turn is" if self.finished == 1 else f"{self.finished} turns are"
        return f"{turns} saved in `{path}`."

    def _run_started(self, event: "RunEvent") -> None:
        self.run_id = event.run_id
        cast = event.payload["cast"]
        for meant, answering in {(member["fallback_from"], member["model"]) for member in cast}:
            say_fallback(meant, answering)


def _plan(request: "RunRequest", own: "FlowConfig | None", result: Output) -> None:
    from agent_lab.cli.run_plan import RunPlan, plan_run, told

    async def work(lab: "Lab") -> RunPlan:
        return plan_run(lab, request)

    planned = with_lab(open_settings(), work, own)
    result.write(told(planned), planned)


def _run(request: "RunRequest", own: "FlowConfig | None", watch: Watch) -> "RunRecord":
    async def work(lab: "Lab") -> "RunRecord":
        record = await lab.runs.run(request, watch)
        if watch.view is not None:
            watch.view.summary(record, lab.runs.record_path(record.flow, record.id))
        return record

    settings = open_settings()
    try:
        return with_lab(settings, work, own)
    except KeyboardInterrupt:
        if not watch.run_id:
            raise
        from agent_lab.runs.record import record_path

        path = record_path(settings.outputs_dir, request.flow, watch.run_id)
        raise Interrupted(watch.left_behind(path)) from None
