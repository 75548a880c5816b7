"""Alembic's scripts for PostgreSQL: each runs one version of `router.store.schema`."""
