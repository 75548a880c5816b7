"""All commands as one program."""

import typer

from agent.cli import (
    audit,
    catalog,
    config,
    demo,
    doctor,
    enroll,
    execute,
    held,
    init,
    keys,
    logs,
    open_,
    orders,
    policy,
    python,
    sources,
    sql,
    status,
    submit,
    support,
    trust,
    version,
)
from agent.cli import (
    run as run_,
)
from agent.cli.exits import USAGE, complain, guarded

app = typer.Typer(
    name="agent",
    help="Meridyen sandbox agent: runs SQL and Python that an LLM wrote, next to data that must not leave.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("init")(init.init)
app.command("run")(run_.run)
app.command("enroll")(enroll.enroll)
app.command("status")(status.status)
app.command("drain")(orders.drain)
app.command("resume")(orders.resume)
app.command("logs")(logs.logs)
app.command("support-bundle")(support.support_bundle)
app.command("submit")(submit.submit)
app.command("open")(open_.open_result)
app.command("exec")(execute.execute)
app.command("catalog")(catalog.catalog)
app.command("demo")(demo.demo)
app.command("version")(version.version)
for name, group in (
    ("config", config.app),
    ("keys", keys.app),
    ("trust", trust.app),
    ("policy", policy.app),
    ("sources", sources.app),
    ("sql", sql.app),
    ("python", python.app),
    ("audit", audit.app),
    ("doctor", doctor.app),
    ("jobs", held.app),
):
    app.add_typer(group, name=name)


def run() -> None:
    """Parse the arguments and run one command; see `exits` for the codes."""
    guarded(_program)


def _program() -> int:
    try:
        result = app(standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        help_ = f" See `{context.command_path} --help`." if context is not None else ""
        complain(f"agent: {getattr(error, 'format_message', error.__str__)()}{help_}")
        return USAGE
    return result if isinstance(result, int) else 0


__all__ = ["app", "run"]
