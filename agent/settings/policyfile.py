"""policy.yaml -> `LoadedPolicy`: the validated policy, the digest of its file, and its token key on demand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from agent.core.errors import ConfigError
from agent.masking.policy import Policy
from agent.settings import yamltree
from agent.settings.explain import Explainer
from agent.settings.findings import Finding, SettingsError
from agent.settings.secrets import Secrets
from agent.settings.settings import Settings
from agent.settings.yamltree import Document

TOKEN_KEY = "keys.token"  # noqa: S105 - the setting's name
TOKEN_PREVIOUS = "keys.token_previous"  # noqa: S105 - the setting's name
MIN_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy that may be enforced. `sha256` is over the exact bytes of the file at `path`."""

    policy: Policy
    sha256: str
    path: Path
    secrets: Secrets
    document: Document = field(repr=False)

    def token_key(self) -> bytes | None:
        """The key of `token` rules; None when the policy names none. Raises ConfigError."""
        return self._key(self.policy.keys.token, TOKEN_KEY)

    def token_previous(self) -> bytes | None:
        """The key before it, for rules that ask for that; None when the policy names none. Raises ConfigError."""
        return self._key(self.policy.keys.token_previous, TOKEN_PREVIOUS)

    def _key(self, reference: str | None, name: str) -> bytes | None:
        if reference is None:
            return None
        key = self.secrets.resolve(reference, name)
        if len(key) < MIN_KEY_BYTES:
            fix = "Make one with `openssl rand -hex 32`."
            raise ConfigError(name, f"the key has fewer than {MIN_KEY_BYTES} bytes.", fix)
        return key


def load_policy(settings: Settings) -> LoadedPolicy:
    """The policy that the settings name. Raises SettingsError."""
    return read_policy(settings.policy, settings.origin.secrets.environ)


def read_policy(path: Path, environ: Mapping[str, str]) -> LoadedPolicy:
    """A policy file on its own. Raises SettingsError with all that is wrong with it."""
    document = yamltree.read(path)
    secrets = Secrets(path.absolute().parent, environ)
    try:
        policy = Policy.model_validate(document.data)
    except ValidationError as error:
        findings = Explainer(Policy, document, document.data).findings(error)
    else:
        findings = [
            finding for name in ("token", "token_previous") for finding in _secret(policy, name, secrets, document)
        ]
        if not findings:
            return LoadedPolicy(policy, document.sha256, path, secrets, document)
    raise SettingsError(findings)


def _secret(policy: Policy, name: str, secrets: Secrets, document: Document) -> list[Finding]:
    """Whether a token key's reference is well formed, and not open to every account."""
    reference: str | None = getattr(policy.keys, name)
    if reference is None:
        return []
    try:
        secrets.readable_by_all(reference, f"keys.{name}")
    except ConfigError as error:
        line = document.line(("keys", name))
        return [Finding(key=error.key, problem=error.problem, fix=error.fix, where=document.name, line=line)]
    return []
