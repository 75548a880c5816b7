"""Secret reference -> secret bytes, as late as possible: `env:NAME`, `file:PATH`, `cred:NAME`, `exec:/PATH ARG…`.

A reference is the whole value. Any other text is a literal secret: it works, and `agent config check` warns.
"""

import os
import re
import selectors
import shlex
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent.core.errors import ConfigError
from agent.settings.files import opened

Scheme = Literal["env", "file", "cred", "exec", "literal"]

LIMIT_BYTES = 65_536
EXEC_SECONDS = 10.0
EXEC_ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/"}
_WRITTEN = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)\s*:(?!//)(.*)", re.DOTALL)
_BUILT = ("env", "file", "cred", "exec")
_LATER = ("vault", "awssm", "gcpsm", "azurekv")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CRED_NAME = re.compile(r"[A-Za-z0-9_@:-][A-Za-z0-9_.@:-]{0,254}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A secret as it is written in a file. `rest` is everything after the scheme; for a literal, the secret itself."""

    scheme: Scheme
    rest: str = field(repr=False)

    @property
    def shown(self) -> str:
        """What may be printed: the reference, without arguments of a program; a literal never."""
        match self.scheme:
            case "literal":
                return "********"
            case "exec":
                program, *arguments = shlex.split(self.rest)
                return f"exec:{program}" + (" …" if arguments else "")
            case _:
                return f"{self.scheme}:{self.rest}"


def reference(text: str, key: str) -> Reference:
    """Read a value. Raises ConfigError for a reference that is misspelt or of a kind that is not built."""
    written = _WRITTEN.fullmatch(text)
    scheme, rest = (written[1], written[2]) if written else ("", "")
    if scheme in _LATER:
        raise ConfigError(key, f"`{scheme}:` references are not supported by this version.", "Use `file:` or `exec:`.")
    if scheme.lower() not in _BUILT:
        return Reference("literal", text)
    if not text.startswith(f"{scheme.lower()}:"):
        fix = f"Write `{scheme.lower()}:` in lower case and without spaces."
        raise ConfigError(key, "this looks like a secret reference, but is misspelt.", fix)
    match scheme:
        case "env":
            return _env(rest, key)
        case "cred":
            return _cred(rest, key)
        case "exec":
            return _exec(rest, key)
        case _:
            return _file(rest, key)


def _env(rest: str, key: str) -> Reference:
    if not _ENV_NAME.fullmatch(rest):
        raise ConfigError(key, "`env:` needs the name of a variable.", "Write for example `env:WAREHOUSE_PASSWORD`.")
    return Reference("env", rest)


def _cred(rest: str, key: str) -> Reference:
    if not _CRED_NAME.fullmatch(rest):
        raise ConfigError(key, "`cred:` needs the name of a systemd credential.", "Write for example `cred:token`.")
    return Reference("cred", rest)


def _file(rest: str, key: str) -> Reference:
    if not rest.strip() or "\0" in rest:
        raise ConfigError(key, "`file:` needs a path.", "Write for example `file:/run/secrets/token.key`.")
    return Reference("file", rest)


def _exec(rest: str, key: str) -> Reference:
    try:
        words = shlex.split(rest)
    except ValueError:
        words = []
    if not words or not words[0].startswith("/") or "\0" in rest:
        fix = "Write for example `exec:/usr/local/bin/fetch-secret token`; quote arguments that hold spaces."
        raise ConfigError(key, "`exec:` needs the absolute path of a program.", fix)
    return Reference("exec", rest)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where references are looked up: relative `file:` paths under `base`, variables in `environ`."""

    base: Path
    environ: Mapping[str, str] = field(repr=False)

    def resolve(self, text: str, key: str) -> bytes:
        """The secret behind a value, without a final line break. Raises ConfigError with `key`, never with a value."""
        ref = reference(text, key)
        data = self._raw(ref, key) if ref.scheme == "literal" else _trimmed(self._raw(ref, key))
        if not data:
            raise ConfigError(key, "the secret is empty.", "Put the secret where the reference points.")
        return data

    def _raw(self, ref: Reference, key: str) -> bytes:
        match ref.scheme:
            case "env":
                return self._variable(ref.rest, key)
            case "exec":
                return _output(shlex.split(ref.rest), key)
            case "literal":
                return ref.rest.encode("utf-8", "surrogateescape")
            case "file" | "cred":
                return _contents(self.path(ref, key), key)

    def path(self, ref: Reference, key: str) -> Path:
        """The file behind a `file:` or `cred:` reference."""
        if ref.scheme == "file":
            return self.base / ref.rest
        folder = self.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            fix = "Run under systemd with LoadCredential=, or use `file:`."
            raise ConfigError(key, "`cred:` works only in a systemd unit with credentials.", fix)
        return Path(folder) / ref.rest

    def readable_by_all(self, text: str, key: str) -> None:
        """Refuse an existing secret file that every account may read or change. A missing one is no matter here."""
        ref = reference(text, key)
        if ref.scheme == "file" or (ref.scheme == "cred" and "CREDENTIALS_DIRECTORY" in self.environ):
            try:
                mode = self.path(ref, key).stat().st_mode
            except OSError:
                return
            _private(mode, key)

    def _variable(self, name: str, key: str) -> bytes:
        value = self.environ.get(name)
        if value is None:
            raise ConfigError(key, f"the environment variable {name} is not set.", f"Set {name} for the agent.")
        return value.encode("utf-8", "surrogateescape")


def _private(mode: int, key: str) -> None:
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        done = "read" if mode & stat.S_IROTH else "change"
        fix = "chmod 0640 (or 0400), owned by the agent's account or its group."
        raise ConfigError(key, f"every account can {done} the secret's file.", fix)


def _unreadable(path: Path) -> tuple[str, str]:
    """Whose the file is: in a container a mounted file keeps its owner and mode, and its owner is nobody there."""
    try:
        there = path.stat()
    except OSError:  # a folder on the way to it
        return f"this account (uid {os.geteuid()}) cannot reach the secret's file.", "Let it enter the file's folder."
    owner, mode = f"{there.st_uid}:{there.st_gid}", f"{stat.S_IMODE(there.st_mode):04o}"
    problem = f"this account (uid {os.geteuid()}) cannot read the secret's file (owner {owner}, mode {mode})."
    fix = f"chown {os.geteuid()} it, or let the account's group read it; one that is mounted into a container keeps "
    return problem, f"{fix}the host's owner and mode: do it there."


def _contents(path: Path, key: str) -> bytes:
    try:
        with opened(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        problem = "the secret's file does not exist.", "Create it, or correct the path."
    except PermissionError:
        problem = _unreadable(path)
    except (OSError, ValueError):
        problem = "the secret's path is not a regular file.", "Name a plain file."
    else:
        _private(mode, key)
        if len(data) <= LIMIT_BYTES:
            return data
        problem = "the secret is larger than 64 KiB.", "Point to the secret alone."
    raise ConfigError(key, *problem)


def _output(words: list[str], key: str) -> bytes:
    """Run a program without a shell and take what it prints, in memory. Its output and errors are never shown."""
    if Path(words[0]).is_file() and Path(words[0]).stat().st_mode & stat.S_IWOTH:
        raise ConfigError(key, "every account can change the program behind `exec:`.", "chmod 0755 (or 0750) it.")
    process = _started(words, key)
    try:
        data = _drained(process, time.monotonic() + EXEC_SECONDS)
    finally:
        if process.returncode is None:  # not reaped yet, so the group's number is still ours
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if data is None:
        raise ConfigError(key, f"the program behind `exec:` took over {EXEC_SECONDS:g} s.", "Make it faster.")
    if len(data) > LIMIT_BYTES:
        raise ConfigError(key, "the program behind `exec:` printed more than 64 KiB.", "Print the secret alone.")
    if process.returncode != 0:
        code = process.returncode
        how = f"ended with status {code}" if code > 0 else f"was killed by signal {-code}"
        raise ConfigError(key, f"the program behind `exec:` {how}.", "Run it by hand as the agent's account.")
    return data


def _started(words: list[str], key: str) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 - no shell, absolute path, the operator's own words
            words,
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=EXEC_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        pass
    raise ConfigError(key, "the program behind `exec:` cannot be started.", "Check its path and permissions.")


def _drained(process: "subprocess.Popen[bytes]", deadline: float) -> bytes | None:
    """All that the program printed once it has ended; more than the limit early; None at the deadline."""
    data = b""
    pipe = process.stdout
    assert pipe is not None, "started with a pipe"
    with pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(deadline - time.monotonic(), 0)):
            chunk = os.read(pipe.fileno(), LIMIT_BYTES)
            data += chunk
            if len(data) > LIMIT_BYTES:
                return data
            if not chunk:
                break
        else:
            return None
    try:
        process.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        return None
    return data


def _trimmed(data: bytes) -> bytes:
    """Without the line break that editors and `echo` leave; binary keys stay whole."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    return text.removesuffix("\n").removesuffix("\r").encode()
