"""A wanted task and a submitter's keys -> a signed job."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from agent.core.errors import ConfigError
from agent.wire.fields import explain
from agent.wire.ids import new_ulid
from agent.wire.models import JobModel
from agent.wire.signing import sign_job

if TYPE_CHECKING:
    from agent.identity.profile import Profile

SKEW_SECONDS = 1
RESULT_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A task object of the protocol and the terms it should run under."""

    task: Mapping[str, Any]
    roles: tuple[str, ...] = ()
    purpose: str = ""
    idempotent: bool = False
    attempts: int = 1
    on_limit: Literal["fail", "truncate"] = "fail"
    limits: Mapping[str, float] = field(default_factory=dict)
    expires_seconds: int = 86_400


def signed(wanted: Wanted, submitter: "Profile") -> tuple[str, bytes]:
    """The job's id and envelope. Raises ConfigError naming the field that is out of bounds."""
    model = submitter.model
    job = job_of(
        wanted,
        tenant=model.tenant,
        audience=model.audience,
        user=model.user,
        reply_to=submitter.opening().public().kid,
    )
    return job.id, sign_job(job, submitter.signing())


def job_of(wanted: Wanted, *, tenant: str, audience: str, user: str, reply_to: str) -> JobModel:
    """The unsigned job, issued now. Raises ConfigError."""
    now = time.time()
    try:
        return JobModel.model_validate(
            {
                "id": new_ulid(now),
                "tenant": tenant,
                "audience": audience,
                "issued": int(now),
                "not_before": int(now) - SKEW_SECONDS,
                "expires": int(now) + wanted.expires_seconds,
                "result_until": int(now) + wanted.expires_seconds + RESULT_SECONDS,
                "requested_by": {"user": user, "roles": wanted.roles, "purpose": wanted.purpose},
                "reply_to": {"kid": reply_to},
                "idempotent": wanted.idempotent,
                "max_attempts": wanted.attempts,
                "limits": dict(wanted.limits),
                "on_limit": wanted.on_limit,
                "task": dict(wanted.task),
            }
        )
    except ValidationError as error:
        raise ConfigError("task", explain(error) + ".", "Compare it with docs/schema/job.schema.json.") from None
