"""Where jobs and sealed results are kept: one interface, SQLite by default, PostgreSQL for several processes."""
