"""`router db`: the tables of the store."""

import typer

from router.cli.site import DEFAULT, Folder

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command()
def upgrade(data: Folder = DEFAULT) -> None:
    """Bring the store's tables up to this version. The embedded store does it by itself at each start."""
    from router.cli.render import put
    from router.cli.site import settings, store_of

    database = settings(data).address(data)
    if database is not None:
        from router.store.migrate import upgrade as migrate

        migrate(database)
    with store_of(data):
        put("The store is up to date.")
