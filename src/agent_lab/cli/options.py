"""Options that several commands take, in the same words."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Model = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="The model, where a role has none of its own."),
]
Strategy = Annotated[
    str | None, typer.Option(metavar="NAME", help="How models are sampled and bounded.")
]
MaxTokens = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Longest answer of a turn, in tokens.")
]
Temperature = Annotated[
    float | None,
    typer.Option(metavar="T", min=0, max=2, help="0 (the likeliest words) to 2, for every turn."),
]
Seed = Annotated[int | None, typer.Option(metavar="N", min=0, help="Of the sampling.")]
Budget = Annotated[
    float | None,
    typer.Option(metavar="USD", min=0, help="Most that it may cost; checked before each call."),
]
MaxCalls = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Most calls of models; each attempt counts."),
]
MaxTotalTokens = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Most tokens that are read and written in all."),
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(metavar="S", min=0, help="Most time; a call that is being answered is cut off."),
]
AllowUnpriced = Annotated[
    bool, typer.Option(help="With --budget: models of unknown price may answer, too.")
]
DataPolicy = Annotated[
    Literal["local", "any"] | None,
    typer.Option(
        help="local: no text leaves this machine. Else it may, if a remote model is named."
    ),
]
Cache = Annotated[
    Literal["default", "on", "off"],
    typer.Option(
        help="Whether answers that this process has given before will do: by default where a model "
        "is asked at temperature 0; on: at any; off: at none.",
    ),
]
Baseline = Annotated[
    bool,
    typer.Option(
        "--baseline",
        help="Compare with votes of the run's best single model (self-consistency), for about as "
        "many tokens again.",
    ),
]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME=VALUE",
        help="One of the flow's inputs: JSON, or text; repeatable. Try: agent-lab flows list",
    ),
]
Sources = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME|FILE]…", help="Flows, or JSON files; none: all shipped flows."),
]
Lang = Annotated[Literal["en", "es"], typer.Option(help="Language of names and prompts.")]
Stream = Annotated[
    bool | None,
    typer.Option(help="Show the turns on stderr as they come; else only on a terminal."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the prompts.")]
RunId = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's id, its beginning or end (4 characters), or: last"),
]
FlowName = Annotated[str | None, typer.Option("--flow", metavar="NAME", help="Only of this flow.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write the whole record as JSON.")]
OutputFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to this file, not to stdout."),
]
