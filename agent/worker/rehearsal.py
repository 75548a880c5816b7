"""One job of nobody's, without a source: so that libraries import before the fork what they import on first use."""

import io
import time
from collections.abc import Sequence
from typing import Final

from agent.core.catalog import Catalog, Column, Relation
from agent.core.job import Me, SourceName, SqlTask
from agent.core.outcome import Refused
from agent.masking.audit_text import normalised
from agent.masking.pii.kinds import KINDS
from agent.masking.pii.text import hits
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from agent.wire.ids import new_ulid
from agent.wire.keys import OpeningKey, SigningKey
from agent.wire.models import JobModel
from agent.wire.sealing import SealContext, seal
from agent.wire.signing import sign_job, verify
from agent.wire.trust import Recipient, Submitter, TrustStore

DIALECTS: Final = ("duckdb", "sqlite", "postgres", "mysql")
"""Those that a source can have."""

_NOBODY: Final = Me(tenant="nobody", agent="nobody", pool="nobody")
_STATEMENT: Final = (
    "WITH a AS (SELECT x, count(*) AS n FROM t GROUP BY x) SELECT * FROM a JOIN t ON t.x = a.x"
    " WHERE n > 1 ORDER BY a.x LIMIT 2"
)
_RULES: Final = ("keep", "redact", "null", "last4", "email", "year", "month", {"partial": {"keep_first": 1}},
                 {"bucket": 10}, {"round": 1}, {"constant": "-"})  # fmt: skip
_TYPES: Final = ("VARCHAR", "INTEGER", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN")
"""What most columns are: their masks are read once, here, and copied by jobs."""


def rehearse(*, wide: bool = True) -> None:
    """Run the line's pure parts once for each dialect, and forget everything.

    `wide`: over a table with a column for each rule and each usual type, which fills the caches of masks. Who inherits
    those needs only the motions: over a narrow one they take a tenth.
    """
    signing, opening, now = SigningKey.generate(), OpeningKey.generate(), time.time()
    trust = _trust(signing, opening)
    job = verify(sign_job(_job(opening, now), signing), trust, _NOBODY, now)
    policy, relation = _policy(), _relation(_TYPES if wide else ())
    context = SealContext(
        job_id=job.id,
        job_digest=job.digest,
        result_id=job.id,
        attempt=1,
        policy_version=1,
        policy_sha256="",
        isolation="none",
        recipient=trust.recipient(job.reply_to),
    )
    for dialect in DIALECTS:
        catalog = Catalog("nothing", dialect, "main", (relation,))
        task = SqlTask(source=SourceName("nothing"), statement=_STATEMENT, parameters={})
        prepare(task, catalog, policy, roles=(), token_key=None, tenant="nobody")
        normalised(task.statement, dialect)
    hits("", KINDS.values())
    # No rows are encoded: that starts Arrow's threads, and a process with threads must not fork.
    seal(Refused("task.source", "nothing"), context=context, sink=io.BytesIO())


def _relation(types: Sequence[str]) -> Relation:
    """A table with a column for each rule and each of the `types`, and one more."""
    columns = [Column(f"c{rule}{kind}", kind) for kind in types for rule in range(len(_RULES))]
    return Relation("main", "t", (Column("x", "VARCHAR"), *columns))


def _policy() -> Policy:
    rules = [{"match": f"nothing.*.t.c{place}[!0-9]*", "rule": rule} for place, rule in enumerate(_RULES)]
    return Policy.model_validate({"version": 1, "default": "redact", "rules": rules})


def _job(opening: OpeningKey, now: float) -> JobModel:
    return JobModel.model_validate(
        {
            "id": new_ulid(now),
            "tenant": "nobody",
            "audience": "agent:nobody",
            "issued": int(now),
            "not_before": int(now),
            "expires": int(now) + 60,
            "result_until": int(now) + 60,
            "requested_by": {"user": "nobody"},
            "reply_to": {"kid": opening.public().kid},
            "task": {"kind": "sql", "source": "nothing", "statement": "SELECT 1"},
        }
    )


def _trust(signing: SigningKey, opening: OpeningKey) -> TrustStore:
    submitter = Submitter(
        name="nobody",
        key=signing.public(),
        tenants=("nobody",),
        sources=("nothing",),
        kinds=("sql",),
        roles=(),
        recipients=(opening.public().kid,),
        added="2000-01-01T00:00:00Z",
    )
    recipient = Recipient(name="nobody", key=opening.public())
    return TrustStore(submitters={signing.kid: submitter}, recipients={opening.public().kid: recipient})
