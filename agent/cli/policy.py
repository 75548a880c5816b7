"""`agent policy`: try it out, compare it with the sources, get one to start from."""

import typer

from agent.cli.lint import lint
from agent.cli.suggest import suggest
from agent.cli.tryout import try_out

app = typer.Typer(help="Try the policy, check it, get one to start from.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Try the policy, check it, get one to start from."""


app.command("test")(try_out)
app.command("lint")(lint)
app.command("suggest")(suggest)
