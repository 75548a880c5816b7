"""The command line. Heavy imports stand inside the commands: `agent status` has to answer at once."""


def main() -> None:
    """Entry point of the `agent` command."""
    from agent.cli.program import run

    run()
