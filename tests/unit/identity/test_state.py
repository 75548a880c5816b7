import stat
import threading
from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.identity import state
from agent.identity.state import Identity


def test_missing_keys_are_made_once(tmp_path: Path) -> None:
    first = state.ensure(tmp_path / "state")
    again = state.ensure(tmp_path / "state")
    assert again == first
    assert state.load(tmp_path / "state") == first
    assert len({first.result.kid, first.operator.kid, first.operator_open.kid}) == 3


def test_only_the_missing_key_is_made(tmp_path: Path) -> None:
    first = state.ensure(tmp_path)
    (tmp_path / "identity" / "operator.jwk").unlink()
    again = state.ensure(tmp_path)
    assert again.result == first.result
    assert again.operator_open == first.operator_open
    assert again.operator != first.operator


def test_folder_and_files_are_for_the_owner_only(tmp_path: Path) -> None:
    state.ensure(tmp_path / "state")
    folder = tmp_path / "state" / "identity"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["operator-open.jwk", "operator.jwk", "result.jwk"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_damaged_key_is_an_error_and_is_not_replaced(tmp_path: Path) -> None:
    state.ensure(tmp_path)
    path = tmp_path / "identity" / "result.jwk"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ConfigError, match=r"result\.jwk"):
        state.ensure(tmp_path)
    assert len(path.read_bytes()) == 20


def test_a_key_of_the_wrong_kind_is_an_error(tmp_path: Path) -> None:
    state.ensure(tmp_path)
    folder = tmp_path / "identity"
    (folder / "operator-open.jwk").rename(folder / "result.jwk")
    with pytest.raises(ConfigError, match="crv"):
        state.ensure(tmp_path)


def test_load_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        state.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_state_dir_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be made"):
        state.ensure(tmp_path / "file" / "state")


def test_two_starts_at_once_end_with_the_same_keys(tmp_path: Path) -> None:
    found: list[Identity] = []
    gate = threading.Barrier(8)

    def start() -> None:
        gate.wait()
        found.append(state.ensure(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_an_identity_shows_no_secret(tmp_path: Path) -> None:
    identity = state.ensure(tmp_path)
    for key in (identity.result, identity.operator, identity.operator_open):
        assert key.to_jwk()["d"] not in repr(identity)
