"""`--config` -> everything that `agent doctor` looks at, a section after the other, each when its turn comes."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.cli.exits import CONFIGURATION, FAILURE, PERMISSION, UNREACHABLE
from agent.core.errors import AgentError, ConfigError
from agent.core.ports import Finding

if TYPE_CHECKING:
    from agent.service.checkup.files import Held
    from agent.settings import Settings
    from agent.settings import SettingsError as Wrong

CODES: Final[Mapping[str, int]] = {
    "configuration": CONFIGURATION,
    "files": PERMISSION,
    "disk": FAILURE,
    "kernel": FAILURE,
    "platform": UNREACHABLE,
    "trust": FAILURE,
    "audit": FAILURE,
    "sources": FAILURE,
    "sandbox": FAILURE,
    "service": FAILURE,
}
"""The sections in their order, and with which exit code an error in each ends the command; the first one counts."""

_YOUNG_SHARE: Final = 0.25
"""A certificate with less of its life left should have been renewed long ago: that begins at half of it."""


@dataclass(frozen=True, slots=True)
class Section:
    """What was found about one subject."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        """Whether something there is an error."""
        return any(finding.level == "error" for finding in self.findings)


def exit_code(sections: Iterable[Section]) -> int:
    """Of the first section with an error that counts most: configuration, permissions, platform, the rest."""
    failed = {CODES[section.name] for section in sections if section.failed}
    return next((code for code in (CONFIGURATION, PERMISSION, UNREACHABLE, FAILURE) if code in failed), 0)


def sections(config: Path | None, only: Collection[str] = ()) -> Iterator[Section]:
    """One after the other, as they are found. Without a configuration only what needs none."""
    wanted = only or CODES
    loaded, findings = _configured(config)
    if "configuration" in wanted or loaded is None:
        yield Section("configuration", findings)
    for name, look in _LOOKS.items():
        if name in wanted and (loaded is not None or name == "kernel"):
            try:
                yield Section(name, tuple(look(loaded)))  # type: ignore[arg-type]  # only `kernel` gets None
            except AgentError as error:
                problem, _, fix = str(error).partition(" Fix: ")
                yield Section(name, (Finding(name, "error", problem.rstrip("."), fix),))


def _configured(config: Path | None) -> "tuple[Settings | None, tuple[Finding, ...]]":
    from agent.settings import SettingsError, check, find_config, load

    expected = "a configuration that holds"
    try:
        file = find_config(config)
        loaded = load(config, os.environ)
    except SettingsError as error:
        return None, tuple(_of(error, expected))
    except PermissionError as error:
        fix = "let the service's account read it, or run `agent doctor` as root."
        return None, (Finding("sandbox.yaml", "error", f"{error.filename} cannot be read", fix, expected),)
    found = tuple(
        Finding(one.key or one.where, one.level, one.problem.rstrip("."), one.fix, expected) for one in check(loaded)
    )
    good = f"{file}, sha256 {loaded.origin.sha256[:16]}, mode {loaded.mode}"
    return loaded, found if any(one.level == "error" for one in found) else (
        Finding("sandbox.yaml", "ok", good, "", expected),
        *found,
    )


def _of(error: "Wrong", expected: str) -> Iterator[Finding]:
    for one in error.findings:
        place = f"{one.where}:{one.line}" if one.where and one.line else one.where
        check = ": ".join(part for part in (place, one.key) if part) or "sandbox.yaml"
        yield Finding(check, one.level, one.problem.rstrip("."), one.fix, expected)


def _files(loaded: "Settings") -> tuple[Finding, ...]:
    from agent.service.checkup import account, files

    return files.looked_at(_held(loaded), account.of_service(loaded.state_dir))


def _held(loaded: "Settings") -> "Iterator[Held]":
    from agent.app import tls_of
    from agent.identity import state
    from agent.service.checkup.files import Held
    from agent.settings.findings import dotted
    from agent.settings.secrets import reference

    yield Held(loaded.origin.file, "plain")
    yield Held(loaded.policy, "plain")
    yield Held(loaded.trust, "plain", optional=True)
    yield Held(loaded.state_dir, "own", optional=True)
    yield Held(loaded.audit.path, "own", optional=True)
    for name in ("result.jwk", "operator.jwk", "operator-open.jwk"):
        yield Held(state.folder(loaded.state_dir) / name, "key", optional=True)
    if loaded.mode == "airgapped":
        for folder in ("inbox/new", "outbox/new"):
            yield Held(loaded.transport.filedrop.path / folder, "shared", optional=True)
    else:
        yield Held(tls_of(loaded).pair, "key", optional=True)
        yield Held(tls_of(loaded).ca, "plain", optional=True)
    secrets = loaded.origin.secrets
    for path, text in loaded.secrets():
        ref = reference(text, dotted(path))
        if ref.scheme == "file" or (ref.scheme == "cred" and "CREDENTIALS_DIRECTORY" in secrets.environ):
            yield Held(secrets.path(ref, dotted(path)), "secret")


def _disk(loaded: "Settings") -> tuple[Finding, ...]:
    from agent.service.checkup import disk

    folders = {"state": loaded.state_dir, "spool": loaded.state_dir / "spool", "audit": loaded.audit.path}
    if loaded.mode == "airgapped":
        drop = loaded.transport.filedrop.path
        folders |= {"inbox": drop / "inbox", "outbox": drop / "outbox"}
    return disk.looked_at(folders)


def _kernel(_: object) -> tuple[Finding, ...]:
    from agent.service.checkup import kernel

    return kernel.looked_at(kernel.facts())


def _platform(loaded: "Settings") -> Iterator[Finding]:
    from agent.app import place_of
    from agent.transport.filedrop import Config as FileDropConfig

    config = loaded.carrier
    if isinstance(config, FileDropConfig):
        there = config.path.is_dir()
        fix = "" if there else "the first `agent run` makes it; where it is a volume, mount it."
        yield Finding("drop", "ok" if there else "warning", f"{config.path}{'' if there else ' is missing'}", fix)
        return
    yield _certificate(loaded)
    if config.proxy is not None:
        proxy = loaded.resolve(config.proxy, "transport.https.proxy").decode("utf-8", "replace")
        config = config.model_copy(update={"proxy": proxy})
    yield from config.examine(place_of(loaded))


def _certificate(loaded: "Settings") -> Finding:
    from agent.app import tls_of
    from agent.identity import certificate

    expected, now = "a certificate of the Router that is valid and young", time.time()
    try:
        life = certificate.life(tls_of(loaded))
    except ConfigError as error:
        fix = "`agent enroll` with a token of the Router's operator."
        return Finding("certificate", "error", f"{error.key} {error.problem.rstrip('.')}", fix, expected)
    hours = (life.ends - now) / 3600
    if hours <= 0:
        fix = "`agent enroll` with a new token: an expired certificate cannot be renewed. Check the clock as well."
        return Finding("certificate", "error", f"this agent's certificate expired {-hours:.0f} h ago", fix, expected)
    if life.begins > now:
        fix = "set this machine's clock."
        return Finding("certificate", "error", "this agent's certificate is not valid yet", fix, expected)
    found = f"{hours:.0f} h left, {life.subject}"
    if hours < _YOUNG_SHARE * (life.ends - life.begins) / 3600:
        fix = "see that the agent runs and reaches the Router: it renews by itself from half of the life on."
        return Finding("certificate", "warning", found, fix, expected)
    return Finding("certificate", "ok", found, "", expected)


def _trust(loaded: "Settings") -> Iterator[Finding]:
    from agent.identity import trustfile

    expected = "a submitter whose key is not revoked"
    if not loaded.trust.exists():
        yield Finding("trust", "warning", f"{loaded.trust} is missing", "`agent trust add` makes it.", expected)
        return
    store = trustfile.load(loaded.trust)
    live = sum(one.revoked is None for one in store.submitters.values())
    fix = "" if live else "`agent trust add` with the submitter's public keys."
    yield Finding("trust", "ok" if live else "warning", f"{live} submitters are trusted", fix, expected)


def _audit(loaded: "Settings") -> Iterator[Finding]:
    from agent.audit.verify import verify
    from agent.identity import state

    expected = "a chain that verifies to its signed end"
    if not loaded.audit.path.is_dir() or not any(loaded.audit.path.glob("audit-*.jsonl")):
        yield Finding("audit", "note", "there is no record yet", "", expected)
        return
    verdict = verify(loaded.audit.path, state.load(loaded.state_dir).result.public())
    for problem in verdict.problems:
        fix = "keep the folder as evidence, tell the security officer, and see `agent audit verify`."
        yield Finding("audit", "error", problem.rstrip("."), fix, expected)
    if verdict.ok:
        yield Finding("audit", "ok", f"{verdict.records} records verify", "", expected)


def _sources(loaded: "Settings") -> Iterator[Finding]:
    from agent.app import examine

    for name, found in (examine(loaded, list(loaded.sources)) if loaded.sources else {}).items():
        for one in found:
            yield Finding(f"{name}: {one.check}", one.level, one.found, one.fix, one.expected)


def _sandbox(loaded: "Settings") -> Iterator[Finding]:
    from agent.app import examine_sandbox, python_of

    if not loaded.python.enabled:
        yield Finding("tier", "note", "python.enabled is false: no Python job runs here")
        return
    found = examine_sandbox(python_of(loaded))
    expected = f"tier {loaded.python.min_tier} or better (python.min_tier)"
    fix = "" if found.ok else "mend the lines below, or lower python.min_tier; until then Python jobs fail."
    yield Finding("tier", "ok" if found.ok else "error", found.problem or f"tier {found.tier}", fix, expected)
    for one in found.findings:
        # A layer that is not needed is no fault of this site.
        level = "warning" if one.level == "error" and found.ok else one.level
        yield Finding(one.check, level, one.found, one.fix, "held" if one.level in {"ok", "error"} else "")


def _service(loaded: "Settings") -> Iterator[Finding]:
    from agent.service.statusclient import NotRunningError, ask

    try:
        status = ask(loaded.state_dir)
    except NotRunningError as error:
        sentence, _, fix = str(error).partition(" Fix: ")
        yield Finding("agent", "note", sentence.rstrip("."), fix, "an agent that answers")
        return
    yield Finding("agent", "ok", f"{status['state']}, pid {status['pid']}, {status['jobs']['running']} jobs run")
    for line in status["health"]:
        sentence, _, fix = line.partition(" Fix: ")
        yield Finding("health", "warning", sentence.rstrip("."), fix, "nothing to report")


_LOOKS: "Final[Mapping[str, Callable[[Settings], Iterable[Finding]]]]" = {
    "files": _files,
    "disk": _disk,
    "kernel": _kernel,
    "platform": _platform,
    "trust": _trust,
    "audit": _audit,
    "sources": _sources,
    "sandbox": _sandbox,
    "service": _service,
}
