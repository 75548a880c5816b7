"""All tables."""

from alembic import op

from router.store import schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Layout 1."""
    for statement in schema.statements(1, "postgresql"):
        op.execute(statement)
    op.execute("CREATE TABLE router_version (version INTEGER NOT NULL)")
    op.execute("INSERT INTO router_version VALUES (1)")
