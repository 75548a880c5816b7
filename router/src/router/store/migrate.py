"""PostgreSQL's tables -> this version's layout. Loads Alembic and SQLAlchemy: only `router db upgrade` comes here."""

from pathlib import Path
from typing import Final

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError

from router.store.port import StoreError

_LOCK: Final = 0x4D45524944  # "MERID": two upgrades at once wait for each other


def upgrade(address: str) -> None:
    """Run the migrations that are missing, in one transaction. Raises StoreError."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(address), poolclass=sqlalchemy.NullPool
    )
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (SQLAlchemyError, psycopg.Error) as error:
        raise StoreError(f"The tables cannot be upgraded ({type(error).__name__}). Nothing was changed.") from None
    finally:
        engine.dispose()
