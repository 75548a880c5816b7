"""What one worker gets over its pipe after the fork, and nothing else: `Order` <-> bytes."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from agent.core.job import Me
from agent.core.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One job's own inputs and secrets.

    An `errand` is no job: `cancel` ends what `handles` stand for at the source, `examine` looks at the source itself.
    Neither has an envelope, and nothing of it is sealed.
    `now` is the Unix time at which the service claimed the job: expiry is judged once. `trust` is trust.json reduced to
    the signer and its recipients. `source` is the JSON of the source's Config with its secrets resolved, None when no
    source of that name is configured. `policy` is the JSON of `agent.masking.policy.Policy`. `token_key` and
    `token_previous` key `token`.
    `catalog` is what an earlier worker of the same source read of it, as that one wrote it; None: ask the source.
    `survey` asks for what the whole source is made of, whatever the policy: names, types, and of so many rows of each
    table, if any, which share looks like personal data. For the local operator only, as `reveal`: no envelope says it.
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
    token_previous: bytes | None = field(default=None, repr=False, kw_only=True)
    source_name: str
    source: str | None = field(repr=False)
    limits: Limits
    isolation: str
    reveal: bool = False
    survey: int | None = None
    catalog: bytes | None = field(default=None, repr=False)
    errand: Literal["cancel", "examine"] | None = None
    handles: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The order as JSON; bytes fields in base64."""
        plain: dict[str, object] = asdict(self)
        plain["envelope"] = base64.b64encode(self.envelope).decode()
        plain["token_key"] = None if self.token_key is None else base64.b64encode(self.token_key).decode()
        previous = self.token_previous
        plain["token_previous"] = None if previous is None else base64.b64encode(previous).decode()
        plain["catalog"] = None if self.catalog is None else base64.b64encode(self.catalog).decode()
        return json.dumps(plain).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Order":
        """The reverse of `encode`. Raises ValueError, KeyError or TypeError on anything else."""
        plain: dict[str, object] = json.loads(data)
        key, me, limits, catalog = plain["token_key"], plain["me"], plain["limits"], plain["catalog"]
        handles, previous = plain["handles"], plain["token_previous"]
        if not isinstance(me, Mapping) or not isinstance(limits, Mapping) or not isinstance(handles, list):
            msg = "not an order"
            raise TypeError(msg)
        plain["envelope"] = base64.b64decode(str(plain["envelope"]))
        plain["token_key"] = None if key is None else base64.b64decode(str(key))
        plain["token_previous"] = None if previous is None else base64.b64decode(str(previous))
        plain["catalog"] = None if catalog is None else base64.b64decode(str(catalog))
        plain["me"], plain["limits"] = Me(**me), Limits(**limits)
        plain["handles"] = tuple(map(str, handles))
        return cls(**plain)  # type: ignore[arg-type]
