import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.sandbox import landlock

Alone = Callable[..., Any]
Folders = tuple[Path, Path, Path]

CONFINED = """
from agent.sandbox import landlock
from pathlib import Path
shown, writable, hidden, port, version = sys.argv[1:]
def connect():
    with socket.socket() as it:
        it.connect(("127.0.0.1", int(port)))
def bind():
    socket.socket().bind(("127.0.0.1", 0))
used = landlock.restrict(
    read=[shown, "/nowhere/at/all"], write=[writable], version=int(version) if version else None
)
say({
    "used": used,
    "read shown": attempt(lambda: Path(shown, "a").read_bytes()),
    "list shown": attempt(lambda: os.listdir(shown)),
    "write shown": attempt(lambda: Path(shown, "a").write_bytes(b"")),
    "make in shown": attempt(lambda: Path(shown, "b").write_bytes(b"")),
    "remove in shown": attempt(lambda: Path(shown, "a").unlink()),
    "link out of shown": attempt(lambda: os.link(Path(shown, "a"), Path(writable, "stolen"))),
    "exec": attempt(lambda: os.execv("/bin/true", ["true"])),
    "read hidden": attempt(lambda: Path(hidden, "a").read_bytes()),
    "list hidden": attempt(lambda: os.listdir(hidden)),
    "read through symlink": attempt(lambda: Path(shown, "to-hidden").read_bytes()),
    "make in writable": attempt(lambda: Path(writable, "b").write_bytes(b"x")),
    "read in writable": attempt(lambda: Path(writable, "b").read_bytes()),
    "proc": attempt(lambda: Path("/proc/self/environ").read_bytes()),
    "truncate by path": attempt(lambda: os.truncate(Path(hidden, "a"), 0)),
    "connect": attempt(connect),
    "bind": attempt(bind),
    "signal parent": attempt(lambda: os.kill(os.getppid(), 0)),
})
"""


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("shown", "writable", "hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "shown" / "a").write_text("public")
    (tmp_path / "hidden" / "a").write_text("secret")
    (tmp_path / "shown" / "to-hidden").symlink_to(tmp_path / "hidden" / "a")
    return tmp_path / "shown", tmp_path / "writable", tmp_path / "hidden"


@pytest.fixture
def port() -> Iterator[int]:
    """Where somebody really listens, so that only a rule can refuse."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_only_what_was_named_is_left(alone: Alone, folders: Folders, port: int) -> None:
    said = alone(CONFINED, *folders, port, "")
    allowed = ("read shown", "list shown", "make in writable", "read in writable")
    assert {name: said[name] for name in allowed} == dict.fromkeys(allowed, "done")
    refused = ("write shown", "make in shown", "remove in shown", "exec", "read hidden", "list hidden", "proc")
    refused += ("read through symlink", "truncate by path", "connect", "bind")
    assert {name: said[name] for name in refused} == dict.fromkeys(refused, "EACCES")
    assert said["link out of shown"] in {"EACCES", "EXDEV"}
    if said["used"] >= 6:
        assert said["signal parent"] == "EPERM"
    assert (folders[2] / "a").read_text() == "secret"


def test_an_older_abi_confines_files_too(alone: Alone, folders: Folders, port: int) -> None:
    said = alone(CONFINED, *folders, port, "1")
    assert said["used"] == 1
    assert said["read shown"] == "done"
    assert said["read hidden"] == said["make in shown"] == "EACCES"
    # What ABI 1 cannot refuse, and what seccomp is there for.
    assert (said["connect"], said["bind"]) == ("done", "done")


def test_a_port_may_be_opened(alone: Alone, port: int) -> None:
    code = """
from agent.sandbox import landlock
port = int(sys.argv[1])
landlock.restrict(connect_ports=[port])
say([attempt(lambda: socket.socket().connect(("127.0.0.1", to))) for to in (port, port ^ 1)])
"""
    assert alone(code, port) == ["done", "EACCES"]


def test_without_landlock_it_raises(alone: Alone, folders: Folders) -> None:
    code = """
from agent.sandbox import landlock
from pathlib import Path
said = None
try:
    landlock.restrict(read=[], version=0)
except OSError as error:
    said = str(error)
say({"said": said, "still free": attempt(lambda: Path(sys.argv[1], "a").read_bytes())})
"""
    assert alone(code, folders[2]) == {"said": "this kernel has no Landlock", "still free": "done"}


def test_children_are_confined_too(alone: Alone, folders: Folders) -> None:
    code = """
from agent.sandbox import landlock
from pathlib import Path
landlock.restrict(read=[sys.argv[1]])
pid = os.fork()
if pid == 0:
    os._exit(0 if attempt(lambda: Path(sys.argv[2], "a").read_bytes()) == "EACCES" else 1)
say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert alone(code, folders[0], folders[2]) == 0


@pytest.mark.parametrize(
    ("version", "words", "fs_bits"),
    [(1, 1, 13), (2, 1, 14), (3, 1, 15), (4, 2, 15), (5, 2, 16), (6, 3, 16), (7, 3, 16)],
)
def test_every_right_of_an_abi_is_handled(version: int, words: int, fs_bits: int) -> None:
    rights = landlock.Rights.of(version)
    assert len(rights.attribute()) == 8 * words
    assert rights.fs == 2**fs_bits - 1
    assert (rights.net, rights.scoped) == (3 if version >= 4 else 0, 3 if version >= 6 else 0)
