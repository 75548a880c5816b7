"""Runs one scenario under every kill, every power cut or every fill of the disk, in a process of its own.

    python crash_runner.py kill|power|full SCENARIO.py FOLDER

A scenario has `prepare(folder)`, `act(folder, say)` and `check(folder, said)`. `say` notes what the code under test has
promised by returning; `check` looks at what is left and raises AssertionError when a promise is broken.
"""

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from agent.core import durable
from agent.core.errors import AgentError

CHANGES = ("open", "write", "fsync", "rename", "unlink", "mkdir", "ftruncate")
PAGE = 4096


class Libc:
    """`renameat2` as a step; everything else as it is."""

    def __init__(self, step: Callable[[Callable[[], Any]], Any]) -> None:
        self._real = durable._LIBC
        self._step = step

    def renameat2(self, *args: Any) -> int:
        def call() -> int:
            ctypes.set_errno(0)
            return int(self._real.renameat2(*args))

        return int(self._step(call))


@contextlib.contextmanager
def steps(step: Callable[[Callable[[], Any]], Any]) -> Iterator[None]:
    """Let `step` make every call that changes the disk."""
    real = {name: getattr(os, name) for name in CHANGES}
    libc = durable._LIBC
    busy: list[bool] = []  # `step` itself may write

    def guarded(call: Callable[[], Any]) -> Any:
        if busy:
            return call()
        busy.append(True)
        try:
            return step(call)
        finally:
            busy.clear()

    def wrapped(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "open" and not args[1] & (os.O_CREAT | os.O_TRUNC):
                return real[name](*args, **kwargs)
            return guarded(lambda: real[name](*args, **kwargs))

        return call

    for name in CHANGES:
        setattr(os, name, wrapped(name))
    durable._LIBC = Libc(guarded)  # type: ignore[assignment]
    try:
        yield
    finally:
        durable._LIBC = libc
        for name in CHANGES:
            setattr(os, name, real[name])


def forked(work: Callable[[], None]) -> int:
    """The wait status of a child that did `work`; 1 after an exception."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001  whatever it is, the parent hears of it by the status
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def checked(scenario: ModuleType, folder: Path, said: list[str], what: str) -> None:
    if forked(lambda: scenario.check(folder, said)):
        raise SystemExit(f"broken: {what}; promised: {said}; left: {sorted(map(str, folder.rglob('*')))}")


def kill(scenario: ModuleType, folder: Path) -> int:
    """SIGKILL before each step in turn, until the scenario gets through."""
    for number in range(1, 10_000):
        fresh = folder / str(number)
        fresh.mkdir()
        scenario.prepare(fresh)
        reader, writer = os.pipe()

        def work(fresh: Path = fresh, number: int = number, writer: int = writer) -> None:
            count = 0
            say = os.write

            def step(call: Callable[[], Any]) -> Any:
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call()

            with steps(step):
                scenario.act(fresh, lambda text: say(writer, text.encode() + b"\n"))

        status = forked(work)
        os.close(writer)
        with os.fdopen(reader) as lines:
            said = lines.read().split()
        checked(scenario, fresh, said, f"kill before step {number}")
        shutil.rmtree(fresh)
        if status == 0:
            return number - 1
        if status != signal.SIGKILL:
            raise SystemExit(f"step {number}: wait status {status}")
    raise SystemExit("no end")


class Disk:
    """What a power cut leaves: synced bytes under synced names, under all names, or under those of the last step."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bytes: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {}
        self._pins: dict[int, int] = {}
        self._moves: set[frozenset[int]] = set()
        self._live: dict[int, int] = {}
        self._before: dict[int, dict[str, int]] = {}
        for folder, _, files in os.walk(root):
            self.synced(os.open(folder, os.O_RDONLY))
            for name in files:
                self.synced(os.open(Path(folder, name), os.O_RDONLY))

    def synced(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        self.pin(Path(f"/proc/self/fd/{descriptor}"), found.st_ino)
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            self._names_synced(found.st_ino)
        else:
            self.bytes[found.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def _names_synced(self, folder: int) -> None:
        """A rename from one folder to another is one step of the journal: syncing either folder keeps both ends."""
        for move in [move for move in self._moves if folder in move]:
            self._moves.discard(move)
            for end in move - {folder}:
                self.names[end] = self._listing(Path(f"/proc/self/fd/{self._pins[end]}"))
        self.names[folder] = self._listing(Path(f"/proc/self/fd/{self._pins[folder]}"))

    def look(self) -> None:
        """Notice entries that went from one folder to another in this step."""
        live = {}
        for folder in list(self.names):
            with contextlib.suppress(FileNotFoundError):
                for inode in self._listing(Path(f"/proc/self/fd/{self._pins[folder]}")).values():
                    live[inode] = folder
        for inode, folder in live.items():
            if self._live.get(inode, folder) != folder:
                self._moves.add(frozenset({folder, self._live[inode]}))
        self._live = live

    def pin(self, path: Path, inode: int) -> None:
        """Keep the inode, so that its number is not used again."""
        if inode not in self._pins:
            self._pins[inode] = os.open(path, os.O_PATH)

    def _listing(self, folder: Path) -> dict[str, int]:
        entries = {}
        for entry in os.scandir(folder):
            entries[entry.name] = entry.inode()
            self.pin(Path(entry.path), entry.inode())
        return entries

    def left(self, target: Path, names: str) -> None:
        """Write out what would be found after the cut: the `synced` names, `all`, or `newest`: the last step's too."""
        self._folder(self.root.stat().st_ino, self.root, target, names)
        if names == "all":
            self.remember()

    def remember(self) -> None:
        """The names before the next step."""
        self._before = {
            folder: self._listing(Path(f"/proc/self/fd/{pin}"))
            for folder, pin in list(self._pins.items())
            if Path(f"/proc/self/fd/{pin}").is_dir()
        }

    def _found(self, inode: int, live: Path, names: str) -> dict[str, int]:
        synced, now = self.names.get(inode, {}), self._listing(live)
        if names == "synced":
            return synced
        if names == "all":
            return now
        before = self._before.get(inode, {})
        changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
        kept = {name: child for name, child in synced.items() if name not in changed}
        return kept | {name: child for name, child in now.items() if name in changed}

    def _folder(self, inode: int, live: Path, target: Path, names: str) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for name, child in self._found(inode, live, names).items():
            path = Path(f"/proc/self/fd/{self._pins[child]}")
            if path.is_dir():
                self._folder(child, path, target / name, names)
            else:
                (target / name).write_bytes(self.bytes.get(child, b""))


def power(scenario: ModuleType, folder: Path) -> int:
    """Cut the power after each step."""
    live = folder / "live"
    live.mkdir()
    scenario.prepare(live)
    disk = Disk(live)
    disk.look()
    disk.remember()
    said: list[str] = []
    cuts: list[tuple[Path, list[str], str]] = []
    fsync = os.fsync
    current: list[int] = []

    def note(descriptor: int) -> None:
        current.append(descriptor)
        fsync(descriptor)

    def cut() -> None:
        for names in ("newest", "synced", "all"):
            left = folder / f"{len(cuts)}"
            disk.left(left, names)
            cuts.append((left, list(said), f"power cut {len(cuts) // 3}, {names} names"))

    def step(call: Callable[[], Any]) -> Any:
        current.clear()
        value = call()
        disk.look()
        for descriptor in current:
            disk.synced(descriptor)
        cut()
        return value

    os.fsync = note
    try:
        with steps(step):
            scenario.act(live, said.append)
    finally:
        os.fsync = fsync
    cut()
    for left, promised, what in cuts:
        checked(scenario, left, promised, what)
    return len(cuts) // 3


def full(scenario: ModuleType, folder: Path) -> int:
    """A disk with 0, 1, 2, ... free pages, until the scenario gets through; then room again."""
    for free in range(1000):
        fresh = folder / "disk"
        fresh.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", fresh], check=True)
        scenario.prepare(fresh)
        filler = fresh / "filler"
        fill(filler, free)
        said: list[str] = []
        through = True
        try:
            scenario.act(fresh, said.append)
        except AgentError as error:
            through = False
            if str(fresh) not in str(error):
                raise SystemExit(f"the error does not name its folder: {error}") from error
        filler.unlink()
        checked(scenario, fresh, said, f"{free} free pages")
        subprocess.run(["umount", fresh], check=True)
        if through:
            return free
    raise SystemExit("no end")


def fill(filler: Path, free: int) -> None:
    disk = os.statvfs(filler.parent)
    with filler.open("wb") as file:
        file.write(bytes(max(0, disk.f_bavail - free) * PAGE))


def main() -> None:
    mode, path, folder = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("scenario", path)
    assert spec is not None
    assert spec.loader is not None
    scenario = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scenario)
    print({"kill": kill, "power": power, "full": full}[mode](scenario, Path(folder)))  # noqa: T201


if __name__ == "__main__":
    main()
