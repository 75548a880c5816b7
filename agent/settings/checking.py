"""What is wrong or doubtful around a valid configuration: files, permissions, secrets, the policy, the sources."""

import os
import stat
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from agent.core.errors import ConfigError
from agent.masking.patterns import is_regex
from agent.settings.findings import Finding, Level, SettingsError, dotted
from agent.settings.findings import Path as Position
from agent.settings.policyfile import TOKEN_KEY, TOKEN_PREVIOUS, LoadedPolicy, load_policy
from agent.settings.secrets import Secrets, reference
from agent.settings.settings import RESULT_KEY, Settings, leaves
from agent.settings.suggest import meant

Probe = Callable[[str], tuple[str, str] | None]
"""Opens the named source as a job would; (problem, fix), or None when it answered."""


def check(settings: Settings, *, connect: Probe | None = None) -> list[Finding]:
    """Everything that is not as it should be, errors first. Reads files, changes nothing.

    With `connect` also runs `exec:` programs, and asks it about every source: it gives (problem, fix), or None.
    """
    findings = [
        *_files(settings),
        *_secrets(settings, run=connect is not None),
        *_folders(settings),
        *_sources(settings),
    ]
    try:
        policy = load_policy(settings)
    except SettingsError as error:
        findings += error.findings
    else:
        findings += _policy(settings, policy, run=connect is not None)
    if connect is not None and not any(finding.level == "error" for finding in findings):
        findings += _connections(settings, connect)
    return sorted(findings, key=lambda finding: finding.level != "error")


def _at(settings: Settings, path: Position, problem: str, fix: str, level: Level = "error") -> Finding:
    return Finding(key=dotted(path), problem=problem, fix=fix, where=settings.came_from(path), level=level)


def _files(settings: Settings) -> Iterator[Finding]:
    """The files that say what is allowed: nobody but their owners may change them."""
    named: tuple[tuple[Position, Path], ...] = (((), settings.origin.file), (("policy",), settings.policy))
    for path, file in (*named, (("trust",), settings.trust)):
        mode = _mode(file)
        if mode is not None and mode & stat.S_IWOTH:
            yield _at(settings, path, f"every account can change {file}.", "chmod o-w it.")
    if _mode(settings.trust) is None:
        fix = "Add a submitter's key with `agent trust add`."
        yield _at(settings, ("trust",), "there is no such file, so no job will be accepted.", fix, "warning")


def _secrets(settings: Settings, *, run: bool) -> Iterator[Finding]:
    for path, text in settings.secrets():
        found = _secret(settings.origin.secrets, text, dotted(path), run=run)
        if found is None and dotted(path) == RESULT_KEY and (run or reference(text, RESULT_KEY).scheme != "exec"):
            found = _no_key(settings)
        if found is not None:
            yield _at(settings, path, *found)


def _no_key(settings: Settings) -> tuple[str, str, Level] | None:
    try:
        settings.shared_result_key()
    except ConfigError as error:
        return error.problem, error.fix, "error"
    return None


def _secret(secrets: Secrets, text: str, key: str, *, run: bool) -> tuple[str, str, Level] | None:
    """What is wrong with one secret. A program is run only on request."""
    scheme = reference(text, key).scheme
    if scheme == "literal":
        return "the secret itself stands in the file.", "Refer to it: `env:`, `file:`, `cred:` or `exec:`.", "warning"
    if scheme != "exec" or run:
        try:
            secrets.resolve(text, key)
        except ConfigError as error:
            return error.problem, error.fix, "error"
    return None


def _folders(settings: Settings) -> Iterator[Finding]:
    folders: tuple[tuple[Position, Path], ...] = (
        (("state_dir",), settings.state_dir),
        (("audit", "path"), settings.audit.path),
        (("transport", "filedrop", "path"), settings.transport.filedrop.path),
    )
    for path, folder in folders:
        if folder.exists() and not folder.is_dir():
            yield _at(settings, path, "this is not a folder.", "Name a folder.")
        elif folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            yield _at(settings, path, "this account cannot write there.", "Give the folder to the agent's account.")
    mode = _mode(settings.state_dir)
    if mode is not None and mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP & ~stat.S_IXGRP:
        problem = "other accounts can look into the folder that holds the agent's keys."
        yield _at(settings, ("state_dir",), problem, "chmod 0700 (or 0750) it.", "warning")


def _sources(settings: Settings) -> Iterator[Finding]:
    if not settings.sources:
        yield _at(settings, ("sources",), "no source is configured.", "Add one under `sources`.", "warning")
    for name, config in settings.sources.items():
        for path, value in leaves(config, ("sources", name)):
            if isinstance(value, Path) and not value.exists():
                fix = "Correct the path; a relative one starts at the configuration file's folder."
                yield _at(settings, path, "there is no such file or folder.", fix)
            elif isinstance(value, Path) and not os.access(value, os.R_OK):
                yield _at(settings, path, "this account cannot read it.", "Let the agent's account read it.")


def _policy(settings: Settings, loaded: LoadedPolicy, *, run: bool) -> Iterator[Finding]:
    keys = loaded.policy.keys
    for name, token, resolve in (
        (TOKEN_KEY, keys.token, loaded.token_key),
        (TOKEN_PREVIOUS, keys.token_previous, loaded.token_previous),
    ):
        if token is None:
            continue
        found = _secret(loaded.secrets, token, name, run=run)
        if found is None and (run or reference(token, name).scheme != "exec"):
            found = _too_short(resolve)
        if found is not None:
            yield _in_policy(loaded, tuple(name.split(".")), *found)
    for path, glob in _globs(loaded):
        source = glob.split(".")[0].casefold()
        if settings.sources and not any(fnmatchcase(name.casefold(), source) for name in settings.sources):
            guess = meant(source, settings.sources)
            fix = f"Did you mean `{guess}`?" if guess else "Correct the pattern, or remove it."
            yield _in_policy(loaded, path, "this pattern matches no configured source.", fix, "warning")


def _too_short(resolve: Callable[[], bytes | None]) -> tuple[str, str, Level] | None:
    try:
        resolve()
    except ConfigError as error:
        return error.problem, error.fix, "error"
    return None


def _globs(loaded: LoadedPolicy) -> Iterator[tuple[Position, str]]:
    policy = loaded.policy
    yield from ((("tables", "allow", index), glob) for index, glob in enumerate(policy.tables.allow))
    yield from ((("tables", "deny", index), glob) for index, glob in enumerate(policy.tables.deny))
    for index, rule in enumerate(policy.rules):
        if rule.match is not None and not is_regex(rule.match):
            yield ("rules", index, "match"), rule.match
    yield from ((("subjects", glob), glob) for glob in policy.subjects)


def _in_policy(loaded: LoadedPolicy, path: Position, problem: str, fix: str, level: Level) -> Finding:
    line = loaded.document.line(path)
    return Finding(key=dotted(path), problem=problem, fix=fix, where=str(loaded.path), line=line, level=level)


def _connections(settings: Settings, probe: Probe) -> Iterator[Finding]:
    for name in settings.sources:
        found = probe(name)
        if found is not None:
            yield _at(settings, ("sources", name), *found)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None
