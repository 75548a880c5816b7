"""What an open PostgreSQL session says of its server and its role, and what an operator should do about it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent.core.ports import Finding
from agent.sources._attempt import unavailable

FACTS: Final = """
SELECT json_build_object(
  'pid', pg_backend_pid(),
  'started', (SELECT (extract(epoch FROM backend_start) * 1000000)::bigint
              FROM pg_stat_get_activity(pg_backend_pid())),
  'version', current_setting('server_version'),
  'encoding', current_setting('server_encoding'),
  'database', current_database(),
  'clock', extract(epoch FROM clock_timestamp()),
  'encrypted', (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()),
  'superuser', r.rolsuper,
  'createrole', r.rolcreaterole,
  'createdb', r.rolcreatedb,
  'replication', r.rolreplication,
  'bypassrls', r.rolbypassrls,
  'files', EXISTS (SELECT FROM pg_roles f WHERE f.rolname IN (
      'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
      AND pg_has_role(f.oid, 'MEMBER')),
  'write_all', EXISTS (SELECT FROM pg_roles f WHERE f.rolname IN ('pg_write_all_data', 'pg_maintain')
      AND pg_has_role(f.oid, 'MEMBER')),
  'database_create', has_database_privilege(current_database(), 'CREATE'),
  'schema_create', EXISTS (SELECT FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND has_schema_privilege(n.oid, 'CREATE')),
  'table_write', EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
           OR has_any_column_privilege(c.oid, 'INSERT, UPDATE')))
)::text AS facts FROM pg_roles r WHERE r.rolname = current_user
"""

LOGGING: Final = """
SELECT json_object_agg(name, current_setting(name, true))::text AS settings FROM unnest(ARRAY[
  'log_statement', 'log_min_duration_statement', 'log_min_duration_sample', 'log_statement_sample_rate',
  'log_transaction_sample_rate', 'log_parameter_max_length', 'log_parameter_max_length_on_error', 'log_duration',
  'debug_print_parse', 'debug_print_rewritten', 'debug_print_plan',
  'auto_explain.log_min_duration', 'auto_explain.log_parameter_max_length', 'pgaudit.log', 'pgaudit.log_parameter'
]) AS name
"""

_WRITES: Final[Mapping[str, tuple[str, str]]] = {
    "superuser": ("it is a superuser", "ALTER ROLE … NOSUPERUSER"),
    "table_write": ("it may change tables", "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA … FROM …"),
    "schema_create": ("it may create objects in a schema", "REVOKE CREATE ON SCHEMA … FROM …, PUBLIC"),
    "database_create": ("it may create schemas in the database", "REVOKE CREATE ON DATABASE … FROM …, PUBLIC"),
    "files": (
        "it may read or write the server's files, or run programs there",
        "REVOKE pg_read_server_files, pg_write_server_files, pg_execute_server_program FROM …",
    ),
    "write_all": ("it may write or maintain all tables", "REVOKE pg_write_all_data, pg_maintain FROM …"),
    "createrole": ("it may create roles", "ALTER ROLE … NOCREATEROLE"),
    "createdb": ("it may create databases", "ALTER ROLE … NOCREATEDB"),
    "replication": ("it may replicate the whole server", "ALTER ROLE … NOREPLICATION"),
}
_BY_A_SUPERUSER: Final = frozenset(_WRITES) - {"superuser"}
_CLOCK_SECONDS: Final = 60.0


def powers(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the role may do beyond reading, each with the statement that takes it away."""
    for name, found in _WRITES.items():
        if facts[name] and not (facts["superuser"] and name in _BY_A_SUPERUSER):
            yield found


def check_reads_only(facts: Mapping[str, Any]) -> None:
    """Raises Fault(source.unavailable) for a role that could write, whatever the session forbids it."""
    found = next(powers(facts), None)
    if found is not None:
        what, fix = found
        raise unavailable(
            f"The source's role may do more than read: {what}.",
            f"{fix}; or accept it with writable_role: warn. `agent sources test` lists all of it.",
        )


def role_findings(facts: Mapping[str, Any], *, refuse: bool) -> Iterator[Finding]:
    """What the role may do."""
    found = list(powers(facts))
    for what, fix in found:
        yield Finding("role", "error" if refuse else "warning", f"more than reading: {what}", fix)
    if facts["bypassrls"] and not facts["superuser"]:
        yield Finding("role", "warning", "row-level security does not apply to it", "ALTER ROLE … NOBYPASSRLS")
    if not found:
        yield Finding("role", "ok", "may only read")


def server_findings(facts: Mapping[str, Any], now: float, *, encrypted: bool) -> Iterator[Finding]:
    """Version, clock, encoding, and whether the connection is encrypted as configured."""
    yield Finding("server", "ok", f"PostgreSQL {str(facts['version']).split()[0]}")
    away = abs(float(facts["clock"]) - now)
    if away > _CLOCK_SECONDS:
        yield Finding("clock", "warning", f"differs by {away:.0f} s from this host's", "Synchronise both with NTP.")
    else:
        yield Finding("clock", "ok", "agrees with this host's")
    if facts["encoding"] == "SQL_ASCII":
        yield Finding("encoding", "note", "SQL_ASCII: a text that is not UTF-8 fails its job")
    if encrypted and not facts["encrypted"]:
        yield Finding("tls", "note", "the server sees no TLS: something in front of it ends the encryption")


def logging_findings(settings: Mapping[str, str | None]) -> Iterator[Finding]:
    """Whether the server would write the key of `token` into its log."""
    found = list(_logged(settings))
    for name, fix in found:
        yield Finding("logging", "warning", f"{name} logs bound values: jobs that use `token` are refused", fix)
    if not found:
        yield Finding("logging", "ok", "bound values are not logged; `token` can be used")


def check_not_logged(settings: Mapping[str, str | None]) -> None:
    """Raises Fault(source.unavailable) where the pads of `token`, which are bound values, would be logged."""
    found = next(_logged(settings), None)
    if found is not None:
        name, fix = found
        raise unavailable(
            f"The policy uses tokens, and the server would log their key: {name} has bound values logged.", fix
        )


def _logged(settings: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Settings by which bound values get into the log, with what a DBA has to set for the agent's role."""
    if settings.get("log_parameter_max_length") != "0":
        for name in _statements_logged(settings):
            yield name, "ALTER ROLE … SET log_parameter_max_length = 0"
    if settings.get("log_parameter_max_length_on_error") not in {"0", None}:
        yield "log_parameter_max_length_on_error", "ALTER ROLE … SET log_parameter_max_length_on_error = 0"
    for name in ("debug_print_parse", "debug_print_rewritten", "debug_print_plan"):
        if settings.get(name) == "on":
            yield name, f"ALTER ROLE … SET {name} = off"
    if settings.get("auto_explain.log_min_duration") not in {"-1", None, ""} and (
        settings.get("auto_explain.log_parameter_max_length") != "0"
    ):
        yield "auto_explain.log_min_duration", "ALTER ROLE … SET auto_explain.log_parameter_max_length = 0"
    if settings.get("pgaudit.log_parameter") == "on" and settings.get("pgaudit.log") not in {"none", None}:
        yield "pgaudit.log_parameter", "ALTER ROLE … SET pgaudit.log_parameter = off"


def _statements_logged(settings: Mapping[str, str | None]) -> Iterator[str]:
    if settings.get("log_statement") == "all":
        yield "log_statement"
    for name in ("log_min_duration_statement", "log_min_duration_sample"):
        if settings.get(name) not in {"-1", None}:
            yield name
    if _above_zero(settings.get("log_transaction_sample_rate")):
        yield "log_transaction_sample_rate"


def _above_zero(text: str | None) -> bool:
    try:
        return float(text or "0") > 0
    except ValueError:
        return True
