"""`agent support-bundle`: what somebody far away needs to help, without a value, a statement or a secret."""

import gzip
import io
import os
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from agent.cli.options import Config

if TYPE_CHECKING:
    from agent.settings import Settings

_LOG_LINES: Final = 5000
_SHORTEST_SECRET: Final = 6
_HIDDEN: Final = b"********"
_SECTIONS: Final = ("configuration", "files", "disk", "kernel", "platform", "trust", "audit", "service")
"""Of `agent doctor`; what opens a source or starts a sandbox is left out."""


class Member(NamedTuple):
    """One file of the bundle."""

    name: str
    about: str
    data: bytes


def support_bundle(
    *,
    config: Config = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write. Default: here, with the time.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Show what would be in it, ask, and write it: a tar.gz for its owner alone (0600). Nothing is sent anywhere."""
    from agent.cli.exits import FAILURE, complain
    from agent.cli.render import put, put_table

    members = list(_members(config))
    put_table(["file", "bytes", "what"], [[one.name, len(one.data), one.about] for one in members])
    put("In none of them: secrets, statements, data values, results, the policy's text, keys.")
    target = output or Path(time.strftime("meridyen-support-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime()))
    if not yes and not typer.confirm(f"Write {target}?"):
        complain("agent: nothing was written.")
        return FAILURE
    try:
        write(target, members)
    except FileExistsError:
        complain(f"agent: {target} exists already. Fix: name another file with --output.")
        return FAILURE
    put(f"{target}, mode 0600. Look into it before you give it away: tar -xOzf {target} | less")
    return 0


def write(target: Path, members: list[Member]) -> None:
    """A new file, mode 0600. Raises OSError."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for one in members:
            info = tarfile.TarInfo(f"support/{one.name}")
            info.size, info.mode, info.mtime = len(one.data), 0o600, int(time.time())
            tar.addfile(info, io.BytesIO(one.data))
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(packed.getvalue())


def _members(config: Path | None) -> Iterator[Member]:
    """Every file, each made so that one that cannot be made does not keep the others back."""
    from agent.settings import SettingsError
    from agent.settings.locate import state_dir

    loaded: Settings | None = None
    try:
        from agent.cli.site import settings

        loaded = settings(config)
        folder = loaded.state_dir
    except SettingsError:
        folder = state_dir(config, os.environ)
    makers: tuple[tuple[str, str, Callable[[], bytes]], ...] = (
        ("versions.json", "versions of the agent, its packages, Python and the kernel", _versions),
        ("status.json", "`agent status --json`", lambda: _status(folder)),
        ("doctor.json", "`agent doctor --json`, without sources and sandbox", lambda: _doctor(config)),
        ("config.json", "`agent config show`: secrets as references or ********", lambda: _config(loaded)),
        ("log.jsonl", f"the last {_LOG_LINES} lines of `agent logs`", lambda: _log(folder)),
        (
            "audit.json",
            "length and state of the audit log, and how often which event",
            lambda: _audit(loaded),
        ),
        ("disk.json", "names and sizes of files below the state folder; no content", lambda: _disk(folder)),
    )
    hidden = _secrets(loaded)
    for name, about, make in makers:
        yield Member(name, about, _scrubbed(_made(make), hidden))


def _made(make: Callable[[], bytes]) -> bytes:
    from agent.core import defect

    try:
        return make()
    except Exception as error:  # noqa: BLE001 - what is broken is what a bundle is made for
        return _json({"not_available": defect.describe(error)})


def _secrets(loaded: "Settings | None") -> list[bytes]:
    """The values behind references that need no program: the second net under what holds none of them anyway."""
    from agent.core.errors import ConfigError
    from agent.settings.findings import dotted
    from agent.settings.secrets import reference

    found: list[bytes] = []
    for path, text in () if loaded is None else loaded.secrets():
        try:
            if reference(text, dotted(path)).scheme != "exec":
                found.append(loaded.resolve(text, dotted(path)))  # type: ignore[union-attr]
        except ConfigError:
            continue
    return [one for one in found if len(one) >= _SHORTEST_SECRET]


def _scrubbed(data: bytes, hidden: list[bytes]) -> bytes:
    for secret in hidden:
        data = data.replace(secret, _HIDDEN)
    return data


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n"


def _versions() -> bytes:
    import platform
    from importlib.metadata import distributions

    from agent import __version__

    packages = {str(one.metadata["Name"]): one.version for one in distributions()}
    return _json(
        {
            "agent": __version__,
            "python": platform.python_version(),
            "kernel": platform.release(),
            "machine": platform.machine(),
            "system": _system(),
            "uid": os.geteuid(),
            "packages": dict(sorted(packages.items())),
        }
    )


def _system() -> str:
    import platform

    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _status(folder: Path) -> bytes:
    from agent.service.statusclient import read

    reading = read(folder, now=time.time())
    return _json({**reading.status, "live": reading.live, "age_seconds": round(reading.age_seconds, 1)})


def _doctor(config: Path | None) -> bytes:
    from agent.cli.checkup import exit_code, sections
    from agent.cli.doctor import plain

    found = list(sections(config, _SECTIONS))
    return _json(plain(found, exit_code(found)))


def _config(loaded: "Settings | None") -> bytes:
    assert loaded is not None, "doctor.json says why"
    return _json(loaded.redacted(origin=True))


def _log(folder: Path) -> bytes:
    from collections import deque

    from agent.cli.logs import kept
    from agent.service.journal import FOLDER

    return "".join(deque(kept(folder / FOLDER), _LOG_LINES)).encode("utf-8", "replace")


def _audit(loaded: "Settings | None") -> bytes:
    from agent.audit.find import events
    from agent.audit.verify import verify
    from agent.identity import state

    assert loaded is not None, "doctor.json says why"
    verdict = verify(loaded.audit.path, state.load(loaded.state_dir).result.public())
    return _json(
        {
            "ok": verdict.ok,
            "records": verdict.records,
            "head": verdict.head.hash,
            "problems": list(verdict.problems),
            "events": events(loaded.audit.path),
        }
    )


def _disk(folder: Path) -> bytes:
    listed = []
    for root, _, names in os.walk(folder):
        for name in sorted(names)[:1000]:
            path = Path(root, name)
            found = path.lstat()
            mode = oct(found.st_mode & 0o7777)
            listed.append([str(path.relative_to(folder)), found.st_size, mode, found.st_uid, int(found.st_mtime)])
    return _json({"folder": str(folder), "columns": ["file", "bytes", "mode", "uid", "changed"], "files": listed})
