"""trust.json on disk, and the changes that `agent trust` makes to it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from agent.core.errors import ConfigError
from agent.identity import files
from agent.identity.state import Identity
from agent.wire.errors import WireError
from agent.wire.fields import explain
from agent.wire.keys import RecipientKey, VerifyKey
from agent.wire.trust import MAX_BYTES, Recipient, Submitter, TrustStore

_MODE = 0o640
_FINGERPRINT = "SHA256:"


def load(path: Path) -> TrustStore:
    """The trust store. Raises ConfigError naming the file and the place of the problem."""
    try:
        return TrustStore.parse(files.read(path, MAX_BYTES))
    except WireError as error:
        raise ConfigError(str(path), f"is not a trust file: {error}.", "Compare it with the trust schema.") from None


def ensure(path: Path) -> TrustStore:
    """The trust store; an empty one is written when there is no file."""
    if not path.exists():
        try:
            files.create(path, TrustStore().dump().encode(), _MODE)
        except ConfigError:
            if not path.exists():
                raise
    return load(path)


def save(path: Path, store: TrustStore) -> None:
    """Write the store, whole or not at all. A new file gets mode 0640, an existing one keeps its own."""
    files.replace(path, store.dump().encode(), _MODE)


def update(path: Path, change: Callable[[TrustStore], TrustStore]) -> TrustStore:
    """Load, change and save under a lock, so that two commands at once both count."""
    with files.locked(path.parent):
        store = change(load(path))
        save(path, store)
    return store


def add(
    store: TrustStore,
    *,
    name: str,
    key: VerifyKey,
    tenants: Iterable[str],
    sources: Iterable[str],
    kinds: Iterable[str],
    recipients: Mapping[str, RecipientKey],
    now: float,
    roles: Iterable[str] = (),
) -> TrustStore:
    """The store with this submitter, its grants replaced when it is listed. `recipients` maps names to opening keys.

    Raises ConfigError for a revoked key (it never comes back) and for values outside their bounds.
    """
    before = store.submitters.get(key.kid)
    if before is not None and before.revoked is not None:
        raise ConfigError(key.kid, "this key is revoked.", "Make a new key with `agent keys new`.")
    try:
        entry = Submitter(
            name=name,
            key=key,
            tenants=tuple(tenants),
            sources=tuple(sources),
            kinds=tuple(kinds),
            roles=tuple(roles),
            recipients=tuple(recipient.kid for recipient in recipients.values()),
            added=_time(now) if before is None else before.added,
        )
        named = {recipient.kid: Recipient(name=label, key=recipient) for label, recipient in recipients.items()}
        return TrustStore(submitters={**store.submitters, key.kid: entry}, recipients={**store.recipients, **named})
    except ValidationError as error:
        raise ConfigError("trust", explain(error) + ".") from None


def revoke(store: TrustStore, kid: str, now: float) -> TrustStore:
    """The store with this key (kid or fingerprint) revoked; the entry stays for the record. Raises ConfigError."""
    kid = kid.removeprefix(_FINGERPRINT)
    entry = store.submitters.get(kid)
    if entry is None:
        raise ConfigError(kid, "no submitter has this key.", "See `agent trust list`.")
    if entry.revoked is not None:
        return store
    revoked = entry.model_copy(update={"revoked": _time(now)})
    return store.model_copy(update={"submitters": {**store.submitters, kid: revoked}})


def operator_entry(identity: Identity, tenant: str, now: float) -> Submitter:
    """What the local operator may ask for: every kind and source, no role unless it is granted in trust.json."""
    return Submitter(
        name="local operator",
        key=identity.operator.public(),
        tenants=(tenant,),
        sources=("*",),
        kinds=("*",),
        roles=(),
        recipients=(identity.operator_open.kid,),
        added=_time(now),
    )


def with_operator(store: TrustStore, identity: Identity, tenant: str, now: float) -> TrustStore:
    """The store with the local operator in it; an entry that is there already (its roles, its end) stays as it is."""
    kid = identity.operator.kid
    if kid in store.submitters:
        return store
    opening = Recipient(name="local operator", key=identity.operator_open.public())
    return TrustStore(
        submitters={**store.submitters, kid: operator_entry(identity, tenant, now)},
        recipients={**store.recipients, identity.operator_open.kid: opening},
    )


def _time(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
