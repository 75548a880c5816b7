"""The command line's entry: heavy imports stand inside the commands."""

import sys

import typer

from router.cli import agents, ca, db, init, jobs, pools, serve, submit, token

app = typer.Typer(
    name="router", help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("submit")(submit.submit)
app.command("result")(submit.result)
app.add_typer(token.app, name="token")
app.add_typer(agents.app, name="agents")
app.add_typer(jobs.app, name="jobs")
app.add_typer(pools.app, name="pools")
app.add_typer(db.app, name="db")
app.add_typer(ca.app, name="ca")

FAILURE = 1
UNREACHABLE = 69
CONFIGURATION = 78


def main() -> None:
    """Run; every expected error is a sentence on stderr and an exit code."""
    from agent.core.errors import AgentError, ConfigError
    from router.cli.render import safe
    from router.cli.site import SiteError
    from router.client.errors import ClientError
    from router.core.problem import RouterProblem
    from router.service.roll import RollError
    from router.store.port import StoreError

    try:
        app()
    except (SiteError, StoreError, RollError) as error:
        sys.stderr.write(f"router: {error}\n")
        sys.exit(CONFIGURATION)
    except RouterProblem as problem:
        sys.stderr.write(f"router: {problem.message} {problem.hint}\n")
        sys.exit(FAILURE)
    except ClientError as error:
        sys.stderr.write(f"router: {safe(error.code)}: {safe(error.message)} {safe(error.hint)}\n")
        sys.exit(_code(error))
    except ConfigError as error:
        sys.stderr.write(f"router: {error}\n")
        sys.exit(CONFIGURATION)
    except AgentError as error:
        sys.stderr.write(f"router: {error}\n")
        sys.exit(FAILURE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILURE)


def _code(error: Exception) -> int:
    from router.client.errors import ConfigurationError, RouterUnavailableError

    if isinstance(error, ConfigurationError):
        return CONFIGURATION
    return UNREACHABLE if isinstance(error, RouterUnavailableError) else FAILURE
