import sys
from pathlib import Path

import pytest

import agent
from agent.sandbox import places
from agent.sandbox.namespaces import Root


def test_links_lead_to_the_real_place(tmp_path: Path) -> None:
    real = tmp_path.resolve() / "real"
    (real / "inner").mkdir(parents=True)
    (real / "file").touch()
    (real / "inner" / "up").symlink_to("../file")
    (tmp_path / "one").symlink_to("real")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    links, place = places.links(str(tmp_path.resolve() / "two" / "inner" / "up"))
    assert place == str(real / "file")
    assert dict(links) == {
        str(tmp_path.resolve() / "two"): str(tmp_path / "one"),
        str(tmp_path.resolve() / "one"): "real",
        str(real / "inner" / "up"): "../file",
    }


def test_a_loop_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="links"):
        places.links(str(tmp_path / "a"))


def test_the_code_is_the_interpreters_and_this_packages() -> None:
    code = [Path(place) for place in places.code()]
    package = Path(agent.__file__).parent
    assert package in code
    assert package.parent not in code
    assert any(Path(sys.modules["json"].__file__ or "").is_relative_to(place) for place in code)
    assert Path("/") not in code
    assert Path.home() not in code


def test_a_root_holds_code_and_nothing_of_the_accounts(tmp_path: Path) -> None:
    inside = tmp_path / "lib"
    inside.mkdir()
    root = Root.plan([str(tmp_path), str(inside), str(tmp_path / "missing")])
    assert str(tmp_path) in root.binds
    assert str(inside) not in root.binds, "it is there with the folder that it lies in"
    assert str(tmp_path / "missing") not in root.binds
    assert not {"/", "/etc", "/proc", "/sys", "/home", "/root", "/tmp", "/dev", "/run", "/var"} & set(root.binds)
    assert dict(root.copies)["/proc/self/cgroup"] == b"0::/\n"
