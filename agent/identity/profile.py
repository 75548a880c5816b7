"""The submitter's folder: who they are, their two keys, and the agents whose results they accept."""

from dataclasses import dataclass, replace
from pathlib import Path

from agent.core.errors import ConfigError
from agent.identity import files, keystore
from agent.wire.keys import OpeningKey, SigningKey, VerifyKey
from agent.wire.profile import FILE_NAME, MAX_BYTES, AgentModel, ProfileModel, parse

_MODE = 0o600
_FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Profile:
    """A submitter. Keys are read from their files only when they are needed."""

    folder: Path
    model: ProfileModel

    @property
    def drop(self) -> Path | None:
        """The drop folder of the agent, when jobs are handed over by file."""
        return None if self.model.drop is None else self.folder / self.model.drop

    def signing(self) -> SigningKey:
        """The key that signs jobs. Raises ConfigError."""
        return keystore.load_signing(self.folder / self.model.signing_key)

    def opening(self) -> OpeningKey:
        """The key that opens results. Raises ConfigError."""
        return keystore.load_opening(self.folder / self.model.opening_key)

    def agents(self) -> dict[str, VerifyKey]:
        """The pinned result keys by kid, for `agent.wire.signing.verify_manifest`."""
        return {kid: agent.key for kid, agent in self.model.agents.items()}

    def pinned(self, name: str, key: VerifyKey) -> "Profile":
        """This profile, accepting results of one more agent. Not saved yet."""
        agents = {**self.model.agents, key.kid: AgentModel(name=name, key=key)}
        return replace(self, model=self.model.model_copy(update={"agents": agents}))


def load(folder: Path) -> Profile:
    """The profile in `folder`. Raises ConfigError naming the file and the place of the problem."""
    path = folder / FILE_NAME
    try:
        model = parse(files.read(path, MAX_BYTES))
    except ValueError as error:
        raise ConfigError(str(path), f"is not a profile: {error}.") from None
    return Profile(folder, model)


def save(profile: Profile) -> None:
    """Write profile.json, whole or not at all."""
    files.replace(profile.folder / FILE_NAME, _dump(profile.model), _MODE)


def create(folder: Path, model: ProfileModel) -> Profile:
    """A new folder with profile.json and both keys. Raises ConfigError when one of them exists already."""
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    profile = Profile(folder, model)
    for path in (folder / FILE_NAME, folder / model.signing_key, folder / model.opening_key):
        if path.exists():
            raise ConfigError(str(path), "exists already and is never overwritten.", "Choose another folder.")
    keystore.save_private(folder / model.signing_key, SigningKey.generate())
    keystore.save_private(folder / model.opening_key, OpeningKey.generate())
    files.create(folder / FILE_NAME, _dump(model), _MODE)
    return profile


def _dump(model: ProfileModel) -> bytes:
    return model.model_dump_json(indent=2).encode() + b"\n"


__all__ = ["FILE_NAME", "AgentModel", "Profile", "ProfileModel", "create", "load", "save"]
