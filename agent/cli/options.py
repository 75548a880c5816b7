"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="sandbox.yaml, or its folder. Default: ./sandbox.yaml, ./config/sandbox.yaml, /etc/meridyen/sandbox.yaml.",
        show_default=False,
    ),
]
Kind = Literal["sql", "python", "catalog", "explain"]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="Input of a program: name=SQL, name=@FILE.sql, or a small table name=@FILE.csv or .json;"
        " name@SOURCE=… asks another source. Repeatable.",
    ),
]
Variable = Annotated[
    list[str] | None,
    typer.Option("--var", help="Variable of a program: name=value; JSON values keep their type. Repeatable."),
]
FramesOption = Annotated[
    Literal["pandas", "arrow", "polars"] | None,
    typer.Option("--frames", help="What inputs are, as a program meets them. Default: pandas.", show_default=False),
]
Charts = Annotated[
    list[str] | None,
    typer.Option("--chart-format", help="vega-lite, plotly, png or svg, the preferred first. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Profile = Annotated[
    Path | None,
    typer.Option("--profile", help="The submitter's folder (profile.json). Default: `submitter` beside sandbox.yaml."),
]
