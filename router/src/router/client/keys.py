"""The caller's keys: they sign jobs and open results, and never leave this process."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.wire import profile
from agent.wire.keys import OpeningKey, SigningKey, VerifyKey, fingerprint
from router.client.errors import ConfigurationError

_MAX_KEY_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Who signs, who opens, and whose results count: `agents` are pinned result keys by kid."""

    tenant: str
    user: str
    signing: SigningKey = field(repr=False)
    opening: OpeningKey = field(repr=False)
    agents: Mapping[str, VerifyKey] = field(default_factory=dict)
    audience: str | None = None

    def trusting(self, key: VerifyKey) -> "Keys":
        """These keys, accepting results of one more agent or pool. Compare its fingerprint out of band first."""
        return replace(self, agents={**self.agents, key.kid: key})

    def fingerprints(self) -> tuple[str, ...]:
        """The pinned agents, as `agent keys fingerprint` shows them."""
        return tuple(map(fingerprint, self.agents))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A profile folder, as `agent init` and `agent keys new` make it: keys, and where the Router is."""

    keys: Keys
    router: str | None
    token: str | None = field(repr=False)
    ca_file: Path | None
    certificate: Path | None


def load(folder: Path | str) -> Profile:
    """Raises ConfigurationError, naming the file."""
    place = Path(folder)
    path = place / profile.FILE_NAME
    try:
        model = profile.parse(path.read_bytes()[: profile.MAX_BYTES + 1])
        signing = SigningKey.from_jwk(_jwk(place / model.signing_key))
        opening = OpeningKey.from_jwk(_jwk(place / model.opening_key))
        token = None if model.token_file is None else (place / model.token_file).read_text("ascii").strip()
    except OSError as error:
        raise ConfigurationError(
            "profile.unreadable",
            f"{error.filename or path} cannot be read ({error.strerror}).",
            "Name a profile folder.",
        ) from None
    except ValueError as error:
        raise ConfigurationError("profile.malformed", f"{path} or a key it names is not usable: {error}.") from None
    keys = Keys(
        tenant=model.tenant,
        user=model.user,
        signing=signing,
        opening=opening,
        agents={kid: agent.key for kid, agent in model.agents.items()},
        audience=model.audience,
    )
    ca_file = None if model.ca_file is None else place / model.ca_file
    certificate = None if model.certificate_file is None else place / model.certificate_file
    return Profile(keys=keys, router=model.router, token=token, ca_file=ca_file, certificate=certificate)


def verify_key(file: Path | str) -> VerifyKey:
    """An agent's public result key, as `agent keys fingerprint --export FILE` writes it. Raises ConfigurationError."""
    try:
        return VerifyKey.from_jwk(_jwk(Path(file)))
    except OSError as error:
        message = f"{file} cannot be read ({error.strerror})."
        raise ConfigurationError("key.unreadable", message, "Name the agent's result key.") from None
    except ValueError:
        message = f"{file} is not a public result key."
        raise ConfigurationError(
            "key.malformed", message, "Name what `agent keys fingerprint --export` wrote."
        ) from None


def compare(key: VerifyKey, said: str | None) -> None:
    """Raises ConfigurationError where the key has another fingerprint than was said."""
    if said is not None and _plain(said) != _plain(fingerprint(key.kid)):
        message = f"The key's fingerprint is {fingerprint(key.kid)}, not the one that was said."
        raise ConfigurationError("key.fingerprint", message, "Trust none of the two, and ask the site again.")


def _plain(said: str) -> str:
    return "".join(said.split()).replace("-", "").replace(":", "").lower()


def _jwk(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    value = json.loads(data) if len(data) <= _MAX_KEY_BYTES else None
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not a key")  # noqa: TRY004 - a file's content, not a type
    return value
