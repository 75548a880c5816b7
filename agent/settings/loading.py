"""sandbox.yaml + environment -> `Settings`, or all that is wrong with them at once."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from agent.core.errors import ConfigError
from agent.settings import yamltree
from agent.settings.environ import PREFIX, Environment, overlaid
from agent.settings.explain import Explainer
from agent.settings.findings import Finding, SettingsError, dotted
from agent.settings.findings import Path as Position
from agent.settings.locate import find_config
from agent.settings.models import path_problem
from agent.settings.proxied import from_environment
from agent.settings.secrets import Secrets, reference
from agent.settings.settings import RESULT_KEY, Origin, Settings, leaves
from agent.settings.yamltree import Document

LATER = frozenset({"llm"})
"""Keys of a later version."""

_MENTIONED = re.compile(rb"\benv:(MERIDYEN_[A-Za-z0-9_]+)", re.IGNORECASE)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read, merge, validate. Does not read the policy (`load_policy`) and resolves no secret.

    Raises SettingsError with everything that is wrong.
    """
    document = yamltree.read(find_config(path))
    file = Path(document.name).absolute()
    secrets = Secrets(file.parent, environ)
    environment = Environment(
        Settings, environ, file=document.data, base=file.parent, mentioned=_mentioned(document, file, environ)
    )
    tree = overlaid(document.data, environment())
    proxied, proxied_by = from_environment(tree, environ)
    tree = overlaid(tree, proxied)
    environment.origins |= proxied_by
    explainer = Explainer(Settings, document, tree, origins=environment.origins, later=LATER)
    findings = list(environment.findings)
    unknown = [key for key in tree if key not in Settings.model_fields]
    findings += [explainer.unknown((key,), (key,)) for key in unknown]
    settings: Settings | None = None
    try:
        settings = Settings(**{key: value for key, value in tree.items() if key not in unknown})
    except ValidationError as error:
        findings += explainer.findings(error)
    if settings is not None:
        findings += _paths(settings, explainer)
        settings = settings.with_origin(Origin(file, document.sha256, _origins(document, environment), secrets))
        findings += (
            _built(settings, explainer)
            + _fitting(settings, explainer)
            + _apart(settings, explainer)
            + _secrets(settings, explainer)
        )
    if settings is None or findings:
        raise SettingsError(sorted(findings, key=lambda finding: finding.line or 0))
    return settings


def _mentioned(document: Document, file: Path, environ: Mapping[str, str]) -> frozenset[str]:
    """MERIDYEN_ names that secret references of the file or its policy use: they are no unknown settings."""
    if not any(name.upper().startswith(PREFIX) for name in environ):
        return frozenset()
    texts = [str(value).encode("utf-8", "replace") for _, value in yamltree.leaves(document.data)]
    policy = document.data.get("policy") or environ.get(f"{PREFIX}POLICY") or "policy.yaml"
    with suppress(ConfigError):  # the policy's own reader says what is wrong with it
        texts.append(yamltree.content(file.parent / str(policy)))
    return frozenset(found.decode() for text in texts for found in _MENTIONED.findall(text))


def _origins(document: Document, environment: Environment) -> dict[Position, str]:
    lines: dict[Position, str] = {path: f"{document.name}:{line}" for path, line in document.lines.items()}
    return lines | environment.origins


def _paths(settings: Settings, explainer: Explainer) -> list[Finding]:
    """Paths of sources and transports, whose models know nothing of this file."""
    found = [(path, path_problem(value)) for path, value in leaves(settings) if isinstance(value, Path)]
    return [explainer.at(path, problem) for path, problem in found if problem]


def _built(settings: Settings, explainer: Explainer) -> list[Finding]:
    """A mode needs its transport."""
    if settings.mode == "airgapped" or settings.transport.https is not None:
        return []
    problem = f"the mode `{settings.mode}` needs the Router's address."
    return [explainer.at(("mode",), problem, 'Add `transport: {https: {urls: ["https://HOST:8443"]}}`.')]


def _fitting(settings: Settings, explainer: Explainer) -> list[Finding]:
    """Memory in which a job of the site's own limits would never find room."""
    one, together = settings.limits.memory_mb + settings.python.scratch_mb, settings.python.memory_mb
    if together is None or together >= one or not settings.python.enabled:
        return []
    problem = "this is less than `limits.memory_mb` and `python.scratch_mb` together: one job alone would not fit."
    return [explainer.at(("python", "memory_mb"), problem, f"Write at least {one}, or leave it out.")]


def _apart(settings: Settings, explainer: Explainer) -> list[Finding]:
    """Sources whose folder holds what no job may read: a worker can read all of its source."""
    private = {"state_dir": settings.state_dir, "trust": settings.trust, "audit.path": settings.audit.path}
    private |= {"transport.filedrop.path": settings.transport.filedrop.path}
    with suppress(ConfigError):  # a reference that is misspelt is told of by itself
        written = settings.agent.result_key
        if written is not None and (ref := reference(written.get_secret_value(), RESULT_KEY)).scheme == "file":
            private[RESULT_KEY] = settings.origin.secrets.path(ref, RESULT_KEY)
    findings = []
    for name, config in settings.sources.items():
        path = getattr(config, "path", None)
        if not isinstance(path, Path):  # a server
            continue
        source = path.resolve()
        for key, own in private.items():
            if own.resolve().is_relative_to(source):
                problem = f"the source holds what `{key}` names, which no job may read."
                fix = "Keep data in a folder of its own."
                findings.append(explainer.at(("sources", name, "path"), problem, fix))
                break
    return findings


def _secrets(settings: Settings, explainer: Explainer) -> list[Finding]:
    """References that are misspelt, and secret files that every account may read."""
    findings = []
    for path, text in settings.secrets():
        try:
            settings.origin.secrets.readable_by_all(text, dotted(path))
        except ConfigError as error:
            findings.append(explainer.at(path, error.problem, error.fix))
    return findings
