"""trust.json -> who may ask what: the security officer's list of submitters, recipients and their grants."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from agent.wire import strictjson
from agent.wire.errors import WireError
from agent.wire.fields import Kid, Line, Model, Names, explain
from agent.wire.keys import KID_PATTERN, RecipientKey, VerifyKey

MAX_BYTES = 4 * 1024 * 1024
_MAX_ENTRIES = 10_000
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"


def _jwk_schema(curve: str) -> dict[str, object]:
    members: dict[str, object] = {
        "kty": {"const": "OKP"},
        "crv": {"const": curve},
        "x": {"type": "string", "pattern": KID_PATTERN},
        "kid": {"type": "string", "pattern": KID_PATTERN},
    }
    return {"type": "object", "properties": members, "required": [*members], "additionalProperties": False}


def _verify_key(value: Any) -> VerifyKey:
    return value if isinstance(value, VerifyKey) else VerifyKey.from_jwk(value)


def _recipient_key(value: Any) -> RecipientKey:
    return value if isinstance(value, RecipientKey) else RecipientKey.from_jwk(value)


VerifyJwk = Annotated[
    InstanceOf[VerifyKey],
    BeforeValidator(_verify_key),
    PlainSerializer(VerifyKey.to_jwk),
    WithJsonSchema(_jwk_schema("Ed25519")),
]
RecipientJwk = Annotated[
    InstanceOf[RecipientKey],
    BeforeValidator(_recipient_key),
    PlainSerializer(RecipientKey.to_jwk),
    WithJsonSchema(_jwk_schema("X25519")),
]
SourceGlob = Annotated[str, Field(pattern=r"^[A-Za-z0-9_*?-]{1,63}$")]
KindGrant = Annotated[str, Field(pattern=r"^(\*|[a-z]{1,32})$")]
Time = Annotated[str, Field(pattern=_TIME)]


class Submitter(Model):
    """What one signing key may ask. `sources` may hold the globs `*` and `?`; `kinds` may hold `*`; `roles` none."""

    name: Line
    key: VerifyJwk
    tenants: Names
    sources: Annotated[tuple[SourceGlob, ...], Field(max_length=1024, strict=False)]
    kinds: Annotated[tuple[KindGrant, ...], Field(max_length=64, strict=False)]
    roles: Names = ()
    recipients: Annotated[tuple[Kid, ...], Field(max_length=1024, strict=False)] = ()
    added: Time
    revoked: Time | None = None

    def grants_kind(self, kind: str) -> bool:
        """Whether this key may ask for tasks of `kind`."""
        return kind in self.kinds or "*" in self.kinds

    def grants_source(self, source: str) -> bool:
        """Whether this key may ask for `source`; case matters."""
        return any(fnmatchcase(source, glob) for glob in self.sources)


class Recipient(Model):
    """A key that results may be sealed to."""

    name: Line
    key: RecipientJwk


class TrustStore(Model):
    """The whole of trust.json. Every key stands under its own thumbprint, every named recipient is listed."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    submitters: Annotated[dict[Kid, Submitter], Field(max_length=_MAX_ENTRIES)] = Field(default_factory=dict)
    recipients: Annotated[dict[Kid, Recipient], Field(max_length=_MAX_ENTRIES)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = {kid: entry.key.kid for kid, entry in self.submitters.items()}
        found |= {kid: entry.key.kid for kid, entry in self.recipients.items()}
        for kid, thumbprint in found.items():
            if kid != thumbprint:
                raise ValueError(f"the key under {kid} has another thumbprint")
        for kid, submitter in self.submitters.items():
            if not set(submitter.recipients) <= set(self.recipients):
                raise ValueError(f"submitters.{kid}.recipients names a key that is not under recipients")
        return self

    @classmethod
    def parse(cls, data: bytes | str) -> "TrustStore":
        """Bytes of trust.json -> store. Raises WireError naming the place of the problem."""
        try:
            return cls.model_validate(strictjson.loads(data, MAX_BYTES))
        except ValidationError as error:
            raise WireError(explain(error)) from None

    def dump(self) -> str:
        """The text of trust.json: indented, in the order of the entries."""
        return self.model_dump_json(indent=2) + "\n"

    def reduced(self, kid: str) -> "TrustStore":
        """Only the submitter `kid` and the recipients it may name: all that a worker needs. Empty when unknown."""
        submitter = self.submitters.get(kid)
        if submitter is None:
            return TrustStore()
        recipients = {name: self.recipients[name] for name in submitter.recipients}
        return TrustStore(submitters={kid: submitter}, recipients=recipients)

    def recipient(self, kid: str) -> RecipientKey:
        """The key to seal to. Raises KeyError when it is not listed."""
        return self.recipients[kid].key
