"""A description -> `Document`: JSON in one order, capped; the counterpart of `release` for what is not rows."""

import json
from collections.abc import Mapping

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.table import Disclosure, Document
from agent.masking.policy import Policy

MAX_BYTES = 16 << 20
"""The largest description, whatever the limits say: whoever asks has to read it whole."""


def room(policy: Policy, limits: Limits) -> int:
    """Bytes that a description may have. `limits` are the site's, clamped by the job's."""
    return min(MAX_BYTES, limits.bytes, policy.release.max_bytes)


def text(value: object) -> str:
    """The one way to write a described value: compact JSON, ASCII only, members as they stand."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def publish(
    name: str,
    value: Mapping[str, object],
    *,
    disclosure: Disclosure,
    policy: Policy,
    limits: Limits,
    truncated: bool = False,
) -> Document:
    """The description `name` as it leaves. Raises Fault(limit.bytes) beyond its room."""
    data = text(value).encode("ascii")
    if len(data) > room(policy, limits):
        raise Fault("limit.bytes", "The description is larger than may leave.", "Ask for less of it.")
    return Document(name, data, disclosure, truncated)
