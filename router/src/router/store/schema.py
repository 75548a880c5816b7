"""The tables, as statements that SQLite and PostgreSQL both take. One list a version; versions only grow."""

from collections.abc import Sequence
from typing import Final, Literal

Engine = Literal["sqlite", "postgresql"]

_HELD = "state IN ('offered', 'running', 'uploading')"
_OPEN = "state IN ('waiting', 'queued', 'offered', 'running', 'uploading')"

# Narrow: what a lease reads and writes. Envelopes and results lie apart.
_JOBS = """
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  audience TEXT NOT NULL,
  queue TEXT NOT NULL,
  slot TEXT NOT NULL,
  kind TEXT NOT NULL,
  submitter TEXT NOT NULL,
  digest TEXT NOT NULL,
  kid TEXT NOT NULL,
  priority INTEGER NOT NULL,
  turn BIGINT NOT NULL,
  state TEXT NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 0,
  max_attempts INTEGER NOT NULL,
  idempotent INTEGER NOT NULL,
  fence INTEGER NOT NULL DEFAULT 0,
  not_before DOUBLE PRECISION NOT NULL,
  expires DOUBLE PRECISION NOT NULL,
  result_until DOUBLE PRECISION NOT NULL,
  created DOUBLE PRECISION NOT NULL,
  changed DOUBLE PRECISION NOT NULL,
  offer_expires DOUBLE PRECISION,
  lease_id TEXT,
  session TEXT,
  agent TEXT,
  cancelling INTEGER NOT NULL DEFAULT 0,
  code TEXT,
  outcome TEXT,
  result_id TEXT,
  phase TEXT,
  rows_about TEXT,
  size BIGINT NOT NULL
)
"""

_VERSION_1: Final = (
    _JOBS,
    "CREATE INDEX jobs_ready ON jobs (queue, slot, priority DESC, turn, id) WHERE state = 'queued'",
    f"CREATE INDEX jobs_held ON jobs (session) WHERE {_HELD}",
    "CREATE INDEX jobs_lease ON jobs (lease_id) WHERE lease_id IS NOT NULL",
    "CREATE INDEX jobs_waiting ON jobs (not_before) WHERE state = 'waiting'",
    "CREATE INDEX jobs_expiring ON jobs (expires) WHERE state IN ('waiting', 'queued')",
    "CREATE INDEX jobs_offered ON jobs (offer_expires) WHERE state = 'offered'",
    f"CREATE INDEX jobs_deadline ON jobs (result_until) WHERE {_HELD}",
    f"CREATE INDEX jobs_ended ON jobs (changed) WHERE NOT ({_OPEN})",
    "CREATE INDEX jobs_tenant ON jobs (tenant, id)",
    "CREATE TABLE envelopes (job_id TEXT PRIMARY KEY, envelope {blob} NOT NULL)",
    (
        "CREATE TABLE results (result_id TEXT PRIMARY KEY, job_id TEXT NOT NULL, tenant TEXT NOT NULL,"
        " digest TEXT NOT NULL,"
        " state TEXT NOT NULL, fence INTEGER NOT NULL, created DOUBLE PRECISION NOT NULL, manifest {blob},"
        " inline_parts {blob},"
        " parts TEXT NOT NULL, size BIGINT NOT NULL)"
    ),
    "CREATE INDEX results_job ON results (job_id)",
    "CREATE INDEX results_created ON results (created)",
    # Start-time fair turns: each submitter's next job stands behind its own last one, never behind all of another's.
    (
        "CREATE TABLE turns (queue TEXT NOT NULL, submitter TEXT NOT NULL, last BIGINT NOT NULL,"
        " PRIMARY KEY (queue, submitter))"
    ),
    "CREATE TABLE usage (tenant TEXT PRIMARY KEY, open_jobs BIGINT NOT NULL, bytes BIGINT NOT NULL)",
    (
        "CREATE TABLE agents (tenant TEXT NOT NULL, name TEXT NOT NULL, pool TEXT NOT NULL, labels TEXT NOT NULL,"
        " enrolled DOUBLE PRECISION NOT NULL, not_after DOUBLE PRECISION NOT NULL, serial TEXT NOT NULL,"
        " previous_serial TEXT, revoked DOUBLE PRECISION, PRIMARY KEY (tenant, name))"
    ),
    (
        "CREATE TABLE sessions (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, agent TEXT NOT NULL, pool TEXT NOT NULL,"
        " instance TEXT NOT NULL, labels TEXT NOT NULL, slots TEXT NOT NULL, version TEXT NOT NULL,"
        " opened DOUBLE PRECISION NOT NULL, seen DOUBLE PRECISION NOT NULL, draining INTEGER NOT NULL DEFAULT 0)"
    ),
    "CREATE UNIQUE INDEX sessions_agent ON sessions (tenant, agent)",
    (
        "CREATE TABLE tokens (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, tenant TEXT NOT NULL,"
        " pools TEXT NOT NULL, labels TEXT NOT NULL, uses_left INTEGER, expires DOUBLE PRECISION,"
        " created DOUBLE PRECISION NOT NULL, revoked DOUBLE PRECISION, note TEXT NOT NULL)"
    ),
    # Only where several processes share no folder; else parts are files.
    (
        "CREATE TABLE parts (result_id TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL,"
        " data {blob} NOT NULL, PRIMARY KEY (result_id, number))"
    ),
    "CREATE TABLE part_owners (result_id TEXT PRIMARY KEY, job_id TEXT NOT NULL)",
)

VERSIONS: Final[Sequence[Sequence[str]]] = (_VERSION_1,)

_BLOB: Final = {"sqlite": "BLOB", "postgresql": "BYTEA"}


def statements(version: int, engine: Engine) -> tuple[str, ...]:
    """What leads from the version before to this one; versions count from 1."""
    return tuple(statement.replace("{blob}", _BLOB[engine]).strip() for statement in VERSIONS[version - 1])
