"""The command line. Heavy imports stand inside the commands: `agent status` has to answer at once."""


def main() -> None:
    """Entry point of the `agent` command."""
    import sys
    from functools import partial

    from agent.cli import quick

    if quick.is_plain_status(sys.argv[1:]):
        from agent.cli.exits import guarded

        guarded(partial(quick.status, sys.argv[1:]))
    from agent.cli.program import run

    run()
