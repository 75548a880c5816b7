"""What a caller asks for -> a signed job of the protocol."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from agent.wire.fields import explain
from agent.wire.ids import new_ulid
from agent.wire.models import JobModel
from agent.wire.signing import job_digest, sign_job
from router.client.errors import ConfigurationError
from router.client.keys import Keys

_SKEW_SECONDS = 1

Format = Literal["arrow", "parquet", "json", "csv"]
Input = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a job should run. Seconds; `limits` as in the protocol. `to`: `pool:NAME` or `agent:NAME`."""

    to: str | None = None
    roles: Sequence[str] = ()
    purpose: str = ""
    idempotent: bool = False
    attempts: int = 1
    priority: int = 0
    on_limit: Literal["fail", "truncate"] = "fail"
    limits: Mapping[str, float] | None = None
    start_within: float = 86_400
    deliver_within: float = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Signed:
    """A job as it goes out. `digest` is what its result has to name; None: not known here any more."""

    id: str
    envelope: bytes
    digest: str | None


def sql(statement: str, source: str, params: Mapping[str, Any] | None, format: Format) -> dict[str, Any]:  # noqa: A002
    """A `sql` task: `params` bind `:name`."""
    return {
        "kind": "sql",
        "source": source,
        "statement": statement,
        "parameters": dict(params or {}),
        "format": format,
    }


def python(
    code: str,
    *,
    inputs: Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
    source: str | None = None,
    frames: str = "pandas",
    charts: Sequence[str] = (),
) -> dict[str, Any]:
    """A `python` task. An input is a statement (with `source`), a task object, a list of rows, or a frame."""
    named = {name: _input(name, value, source) for name, value in (inputs or {}).items()}
    task = {"kind": "python", "code": code, "inputs": named, "variables": dict(variables or {}), "frames": frames}
    return {**task, "charts": list(charts)}


def _input(name: str, value: Any, source: str | None) -> dict[str, Any]:
    if isinstance(value, str):
        if source is None:
            raise ConfigurationError("input.source", f"Input {name} is a statement without a source.", "Add source=…")
        return {"kind": "sql", "source": source, "statement": value, "parameters": {}}
    if isinstance(value, Mapping) and "kind" in value:
        return dict(value)
    from router.client.inline import table  # noqa: PLC0415 - frames are loaded only where there are some

    return table(name, value)


def signed(task: Mapping[str, Any], terms: Terms, keys: Keys) -> Signed:
    """The job, issued now. Raises ConfigurationError, naming the field that is out of bounds."""
    now = time.time()
    audience = terms.to or keys.audience
    if audience is None:
        raise ConfigurationError("job.audience", "Nobody is named to run the job.", "Say to='pool:NAME'.")
    job = {
        "id": new_ulid(now),
        "tenant": keys.tenant,
        "audience": audience if ":" in audience else f"pool:{audience}",
        "issued": int(now),
        "not_before": int(now) - _SKEW_SECONDS,
        "expires": int(now + terms.start_within),
        "result_until": int(now + terms.start_within + terms.deliver_within),
        "requested_by": {"user": keys.user, "roles": tuple(terms.roles), "purpose": terms.purpose},
        "reply_to": {"kid": keys.opening.public().kid},
        "idempotent": terms.idempotent,
        "max_attempts": terms.attempts,
        "priority": terms.priority,
        "limits": dict(terms.limits or {}),
        "on_limit": terms.on_limit,
        "task": dict(task),
    }
    try:
        envelope = sign_job(JobModel.model_validate(job), keys.signing)
    except ValidationError as error:
        raise ConfigurationError("job.field", f"{explain(error)}.", "Compare it with the job's schema.") from None
    return Signed(str(job["id"]), envelope, job_digest(envelope))
