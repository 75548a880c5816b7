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
Kind = Literal["sql", "catalog", "explain"]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Profile = Annotated[
    Path | None,
    typer.Option("--profile", help="The submitter's folder (profile.json). Default: `submitter` beside sandbox.yaml."),
]
