"""All tables."""

from alembic import op

from router.store import schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Layout 1."""
    for statement in schema.statements(1, "postgresql"):
        op.execute(statement)
    for table, column in (("parts", "data"), ("results", "inline_parts"), ("envelopes", "envelope")):
        # Sealed or signed: it does not get smaller, and to try costs time.
        op.execute(f"ALTER TABLE {table} ALTER {column} SET STORAGE EXTERNAL")
    op.execute("CREATE TABLE router_version (version INTEGER NOT NULL)")
    op.execute("INSERT INTO router_version VALUES (1)")
