"""Alembic's environment: one transaction over the connection that `router.store.migrate` hands in."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="router_migration",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
