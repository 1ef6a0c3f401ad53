"""`agent-lab ask`: one question to one model, without a flow."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from agent_lab.cli import options
from agent_lab.cli.inputs import read_prompt
from agent_lab.cli.live_view import plain_console
from agent_lab.cli.outputs import Output, safe, say
from agent_lab.cli.session import open_settings, say_fallback, with_lab

if TYPE_CHECKING:
    from agent_lab.contracts import GenerationRequest, GenerationResult
    from agent_lab.lab import Lab


def ask(
    prompt: Annotated[str, typer.Argument(help="The question; - reads standard input.")],
    *,
    model: options.Model = None,
    strategy: options.Strategy = None,
    max_tokens: options.MaxTokens = None,
    temperature: options.Temperature = None,
    seed: options.Seed = None,
    budget: options.Budget = None,
    allow_unpriced: options.AllowUnpriced = False,
    data_policy: options.DataPolicy = None,
    system: Annotated[str | None, typer.Option(help="The system prompt.")] = None,
    as_json: options.AsJson = False,
    output: options.OutputFile = None,
) -> None:
    """Ask one model directly. The answer goes to stdout, as it is written."""
    from agent_lab.contracts import GenerationRequest

    request = GenerationRequest.parse(
        {
            "prompt": read_prompt(prompt),
            "model_key": model,
            "strategy": strategy,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            "context": {"system": system},
            "constraints": {"cost_budget_usd": budget, "allow_unpriced": allow_unpriced},
            "data_policy": data_policy,
        }
    )
    result = Output(output, as_json=as_json)
    result.check()
    stream = sys.stdout.isatty() and not as_json and output is None
    try:
        answer = _ask(request, stream=stream)
    finally:
        if stream:
            typer.echo()  # what is said next stands on a line of its own, after Ctrl-C, too
    if len({attempt.model_key for attempt in answer.attempts}) > 1:
        reason = answer.attempts[0].error
        say(f"`{answer.model_resolved}` answered for `{answer.fallback_from}`: {reason}")
    if sys.stderr.isatty():
        plain_console().print(_took(answer), style="dim")
    result.write(answer.text, answer, already_seen=stream)


def _ask(request: "GenerationRequest", *, stream: bool) -> "GenerationResult":
    async def work(lab: "Lab") -> "GenerationResult":
        resolved = lab.gateway.resolve_model(request.model_key)
        say_fallback(resolved.fallback_from, resolved.entry.key)
        if not stream:
            return await lab.gateway.generate(request)
        return await lab.gateway.generate(
            request, lambda delta: typer.echo(safe(delta.text), nl=False)
        )

    return with_lab(open_settings(), work)


def _took(answer: "GenerationResult") -> str:
    return (
        f"{answer.model_resolved} · {answer.timings.total:.1f} s · "
        f"{answer.usage.prompt_tokens} tokens read, {answer.tokens_generated} written"
    )
