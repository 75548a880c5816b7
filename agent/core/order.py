"""What one worker gets over its pipe after the fork, and nothing else: `Order` <-> bytes."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from agent.core.job import Me
from agent.core.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One job's own inputs and secrets.

    `now` is the Unix time at which the service claimed the job: expiry is judged once. `trust` is trust.json reduced to
    the signer and its recipients. `source` is the JSON of the source's Config with its secrets resolved, None when no
    source of that name is configured. `policy` is the JSON of `agent.masking.policy.Policy`. `token_key` keys `token`.
    `reveal` adds the text that ran to the disclosure: for the local operator only, since it shows views' definitions.
    """

    envelope: bytes = field(repr=False)
    trust: str = field(repr=False)
    me: Me
    now: float
    attempt: int
    result_id: str
    policy: str = field(repr=False)
    policy_sha256: str
    token_key: bytes | None = field(repr=False)
    source_name: str
    source: str | None = field(repr=False)
    limits: Limits
    isolation: str
    reveal: bool = False

    def encode(self) -> bytes:
        """The order as JSON; bytes fields in base64."""
        plain: dict[str, object] = asdict(self)
        plain["envelope"] = base64.b64encode(self.envelope).decode()
        plain["token_key"] = None if self.token_key is None else base64.b64encode(self.token_key).decode()
        return json.dumps(plain).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Order":
        """The reverse of `encode`. Raises ValueError, KeyError or TypeError on anything else."""
        plain: dict[str, object] = json.loads(data)
        key, me, limits = plain["token_key"], plain["me"], plain["limits"]
        if not isinstance(me, Mapping) or not isinstance(limits, Mapping):
            msg = "not an order"
            raise TypeError(msg)
        plain["envelope"] = base64.b64decode(str(plain["envelope"]))
        plain["token_key"] = None if key is None else base64.b64decode(str(key))
        plain["me"], plain["limits"] = Me(**me), Limits(**limits)
        return cls(**plain)  # type: ignore[arg-type]
