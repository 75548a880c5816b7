import json
import stat
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import ConfigError
from agent.identity import profile
from agent.identity.profile import AgentModel, Profile, ProfileModel
from agent.wire.keys import SigningKey

AGENT = SigningKey.generate().public()


def model(**changes: Any) -> ProfileModel:
    agents = {AGENT.kid: AgentModel(name="plant-7", key=AGENT)}
    plain = {"user": "alice", "tenant": "acme", "audience": "agent:plant-7", "drop": "../drop", "agents": agents}
    return ProfileModel(**{**plain, **changes})


@pytest.fixture
def made(tmp_path: Path) -> Profile:
    return profile.create(tmp_path / "alice", model())


def test_a_profile_survives_its_folder(made: Profile) -> None:
    again = profile.load(made.folder)
    assert again == made
    assert again.signing() == made.signing()
    assert again.opening() == made.opening()
    assert again.agents() == {AGENT.kid: AGENT}
    assert again.drop == made.folder / "../drop"


def test_the_file_has_the_published_shape(made: Profile) -> None:
    plain = json.loads((made.folder / "profile.json").read_text())
    assert plain == {
        "user": "alice",
        "tenant": "acme",
        "audience": "agent:plant-7",
        "signing_key": "signing.jwk",
        "opening_key": "opening.jwk",
        "drop": "../drop",
        "router": None,
        "token_file": None,
        "certificate_file": None,
        "ca_file": None,
        "agents": {AGENT.kid: {"name": "plant-7", "key": AGENT.to_jwk()}},
    }


def test_everything_is_for_the_owner_only(made: Profile) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.folder.iterdir()}
    assert modes == {"profile.json": 0o600, "signing.jwk": 0o600, "opening.jwk": 0o600}
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["profile.json", "signing.jwk", "opening.jwk"])
def test_nothing_is_overwritten_and_nothing_else_is_made(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "alice"
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(ConfigError, match="never overwritten"):
        profile.create(folder, model())
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "mine"


def test_a_pinned_agent_is_kept(made: Profile) -> None:
    other = SigningKey.generate().public()
    profile.save(made.pinned("plant-8", other))
    assert profile.load(made.folder).agents() == {AGENT.kid: AGENT, other.kid: other}


def test_no_drop_and_absolute_paths_are_fine(tmp_path: Path) -> None:
    assert profile.create(tmp_path / "a", model(drop=None)).drop is None
    elsewhere = tmp_path / "keys.jwk"
    made = profile.create(tmp_path / "b", model(drop="/mnt/drop", signing_key=str(elsewhere)))
    assert made.drop == Path("/mnt/drop")
    assert made.signing().kid
    assert elsewhere.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"user": ""},
        {"audience": "plant-7"},
        {"tenant": "a/b"},
        {"note": 1},
        {"agents": {AGENT.kid: {"name": "x", "key": {}}}},
        {"agents": {SigningKey.generate().kid: {"name": "x", "key": AGENT.to_jwk()}}},
        {"signing_key": ""},
        {"drop": "a\x00b"},
        {"user": ...},
    ],
)
def test_a_wrong_profile_is_named(made: Profile, change: dict[str, Any]) -> None:
    path = made.folder / "profile.json"
    plain = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({name: value for name, value in plain.items() if value is not ...}))
    with pytest.raises(ConfigError) as caught:
        profile.load(made.folder)
    assert caught.value.key == str(path)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"user":"a","user":"b"}'])
def test_a_damaged_profile_is_named(made: Profile, content: str) -> None:
    (made.folder / "profile.json").write_text(content)
    with pytest.raises(ConfigError, match=r"profile\.json"):
        profile.load(made.folder)


def test_pins_that_everybody_may_write_are_not_trusted(made: Profile) -> None:
    (made.folder / "profile.json").chmod(0o646)
    with pytest.raises(ConfigError, match="every user"):
        profile.load(made.folder)


def test_a_folder_without_a_profile_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        profile.load(tmp_path)


def test_an_open_signing_key_is_refused_when_it_is_needed(made: Profile) -> None:
    (made.folder / "signing.jwk").chmod(0o644)
    assert profile.load(made.folder).opening()
    with pytest.raises(ConfigError, match="chmod 600"):
        profile.load(made.folder).signing()
