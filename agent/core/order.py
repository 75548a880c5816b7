"""What one worker gets over its pipe after the fork, and nothing else: `Order` <-> bytes."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from agent.core.job import Me
from agent.core.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonTerms:
    """What the site says of Python jobs.

    `imports` are the modules that a program may import, None: the default list. `scratch_mb` is the size of the folder
    that it may write to.
    """

    imports: tuple[str, ...] | None = None
    scratch_mb: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One job's own inputs and secrets.

    An `errand` is no job: `cancel` ends what `handles` stand for at the source, `examine` looks at the source itself.
    Neither has an envelope, and nothing of it is sealed.
    `now` is the Unix time at which the service claimed the job: expiry is judged once. `trust` is trust.json reduced to
    the signer and its recipients. `sources` are all that the task names: the JSON of each one's Config with its secrets
    resolved, None when no source of that name is configured. `policy` is the JSON of `agent.masking.policy.Policy`.
    `token_key` and `token_previous` key `token`.
    `catalogs` are what earlier workers read of the same sources, as they wrote it; where none is: ask the source.
    `handles` are each the name of a source, a colon, and what was announced (`agent.core.ports.Session`).
    `survey` asks for what the whole source is made of, whatever the policy: names, types, and of so many rows of each
    table, if any, which share looks like personal data. For the local operator only, as `reveal`: no envelope says it.
    `python` is None where no Python job runs.
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
    sources: Mapping[str, str | None] = field(repr=False)
    limits: Limits
    isolation: str
    reveal: bool = False
    survey: int | None = None
    catalogs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    python: PythonTerms | None = None
    errand: Literal["cancel", "examine"] | None = None
    handles: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """The order as JSON; bytes fields in base64."""
        plain: dict[str, object] = asdict(self)
        plain["envelope"] = base64.b64encode(self.envelope).decode()
        plain["token_key"] = None if self.token_key is None else base64.b64encode(self.token_key).decode()
        previous = self.token_previous
        plain["token_previous"] = None if previous is None else base64.b64encode(previous).decode()
        plain["catalogs"] = {name: base64.b64encode(data).decode() for name, data in self.catalogs.items()}
        return json.dumps(plain).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Order":
        """The reverse of `encode`. Raises ValueError, KeyError or TypeError on anything else."""
        plain: dict[str, object] = json.loads(data)
        key, me, limits, catalogs = plain["token_key"], plain["me"], plain["limits"], plain["catalogs"]
        handles, previous = plain["handles"], plain["token_previous"]
        if not isinstance(me, Mapping) or not isinstance(limits, Mapping) or not isinstance(handles, list):
            raise TypeError("not an order")
        if not isinstance(catalogs, Mapping) or not isinstance(plain["sources"], Mapping):
            raise TypeError("not an order")
        plain["envelope"] = base64.b64decode(str(plain["envelope"]))
        plain["token_key"] = None if key is None else base64.b64decode(str(key))
        plain["token_previous"] = None if previous is None else base64.b64decode(str(previous))
        plain["catalogs"] = {name: base64.b64decode(str(data)) for name, data in catalogs.items()}
        plain["me"], plain["limits"] = Me(**me), Limits(**limits)
        plain["handles"] = tuple(map(str, handles))
        plain["python"] = _terms(plain["python"])
        return cls(**plain)  # type: ignore[arg-type]


def _terms(plain: object) -> PythonTerms | None:
    if not isinstance(plain, Mapping):
        return None
    imports = plain["imports"]
    return PythonTerms(imports=None if imports is None else tuple(imports), scratch_mb=plain["scratch_mb"])
