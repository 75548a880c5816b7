"""`agent policy suggest`: a policy to start from, out of names, types and a local sample."""

from typing import Annotated

import typer

from agent.cli.options import Config, Json

SAMPLE_ROWS = 1000


def suggest(
    source: Annotated[str, typer.Argument(help="A configured source.")],
    *,
    rows: Annotated[
        int, typer.Option(min=0, max=100_000, help="Rows of each table to look at; 0: names and types only.")
    ] = SAMPLE_ROWS,
    config: Config = None,
    as_json: Json = False,
) -> int:
    """Print a policy for one source, to be reviewed: each line says why. Sends nothing, shows no value."""
    from agent.cli.render import put, put_json
    from agent.cli.site import site
    from agent.cli.surveys import survey
    from agent.masking.starter import lines, policy_text

    settings, policy = site(config)
    catalog, facts = survey(settings, policy, source, rows)
    found = list(lines(catalog, facts))
    if as_json:
        listed = [{"match": one.match, "rule": one.rule, "why": one.why} for _, own in found for one in own]
        put_json({"source": source, "rows": rows, "columns": listed})
    else:
        put(policy_text(catalog, found, rows=rows).rstrip())
    return 0
