"""`agent-lab run`: a flow on a question, watched turn by turn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent_lab.cli import options
from agent_lab.cli.answering import ask_here
from agent_lab.cli.flow_sources import read_source
from agent_lab.cli.inputs import flow_inputs, models_by_role, read_attachments, read_prompt
from agent_lab.cli.live_view import view_if_wanted
from agent_lab.cli.outputs import Output
from agent_lab.cli.session import open_settings, with_lab
from agent_lab.cli.watching import Watch, tell, watched

if TYPE_CHECKING:
    from agent_lab.contracts import JsonObject, RunRecord, RunRequest
    from agent_lab.flows.graph_configs import FlowConfig
    from agent_lab.lab import Lab


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
    cache: options.Cache = "default",
    baseline: options.Baseline = False,
    lang: Annotated[
        Literal["en", "es"] | None,
        typer.Option(help="Language of the prompts; else that of the question."),
    ] = None,
    stream: options.Stream = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what would be asked of whom; ask nobody.")
    ] = False,
    verbose: options.Verbose = False,
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
            "cache": cache,
            "baseline": "self_consistency" if baseline else None,
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
    watch = Watch(view_if_wanted(stream, verbose=verbose))
    tell(ask_here(_run(request, own, watch), watch), watch, result)


def _budget(*, allow_unpriced: bool, **limits: float | None) -> "JsonObject | None":
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return {**given, "allow_unpriced": allow_unpriced} if given else None


def _plan(request: "RunRequest", own: "FlowConfig | None", result: Output) -> None:
    from agent_lab.cli.run_plan import RunPlan, plan_run, told

    async def work(lab: "Lab") -> RunPlan:
        return plan_run(lab, request)

    planned = with_lab(open_settings(), work, own)
    result.write(told(planned), planned)


def _run(request: "RunRequest", own: "FlowConfig | None", watch: Watch) -> "RunRecord":
    async def work(lab: "Lab") -> "RunRecord":
        return await lab.runs.run(request, watch)

    return watched(watch, work, own)
