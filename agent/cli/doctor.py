"""`agent doctor`: what this machine can do, tried for real."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from agent.cli.options import Config, Json

if TYPE_CHECKING:
    from agent.service.doctor import Verdict
    from agent.service.sandboxes import PythonSite

app = typer.Typer(help="Try what this machine can do, and say what to do about the rest.", no_args_is_help=True)


@app.callback()
def doctor() -> None:
    """Try what this machine can do, and say what to do about the rest."""


@app.command("sandbox")
def sandbox(*, config: Config = None, as_json: Json = False) -> int:
    """Start a sandbox server and try every layer. Exit 0 when Python jobs may run here, 1 when they may not.

    Works without a configuration too. To be run as the service runs: same account, same container.
    """
    from agent.app import examine_sandbox
    from agent.cli.exits import FAILURE
    from agent.cli.render import put_json

    python, enabled = _python(config)
    found = examine_sandbox(python)
    if as_json:
        put_json(_plain(found, enabled=enabled))
    else:
        _show(found, enabled=enabled)
    return 0 if found.ok else FAILURE


def _python(config: Path | None) -> "tuple[PythonSite, bool]":
    """How the site wants Python jobs to run, and whether at all; the defaults where there is no configuration."""
    from agent.app import python_of
    from agent.cli.site import settings
    from agent.service.sandboxes import PythonSite
    from agent.settings.locate import PLACES

    if config is None and not any(place.is_file() for place in PLACES):
        return PythonSite(), True
    loaded = settings(config)
    return python_of(loaded), loaded.python.enabled


def _plain(found: "Verdict", *, enabled: bool) -> dict[str, Any]:
    return {
        "ok": found.ok,
        "tier": found.tier,
        "min_tier": found.min_tier,
        "enabled": enabled,
        "landlock": found.landlock,
        "preload_seconds": round(found.preload_seconds, 3),
        "problem": found.problem or None,
        "findings": [
            {"check": one.check, "level": one.level, "found": one.found, "fix": one.fix} for one in found.findings
        ],
    }


def _show(found: "Verdict", *, enabled: bool) -> None:
    from agent.cli.render import put, safe

    width = max((len(finding.check) for finding in found.findings), default=0)
    for finding in found.findings:
        put(f"  {finding.level:<7}  {safe(finding.check):<{width}}  {safe(finding.found)}")
        if finding.fix and finding.level != "ok":
            put(f"  {'':<7}  {'':<{width}}  fix: {safe(finding.fix)}")
    if found.problem:
        put(f"  {'error':<7}  {safe(found.problem)} Its own words stand on standard error.")
    put("")
    put(f"tier: {found.tier} (asked for: {found.min_tier} or better)")
    put(_sentence(found))
    if not enabled:
        put("The configuration switches Python jobs off: python.enabled is false.")


def _sentence(found: "Verdict") -> str:
    if not found.ok and found.tier == "none":
        return "No Python job runs here: each ends with sandbox.isolation. Mend the errors above."
    if not found.ok:
        return "No Python job runs here: python.min_tier asks for more. Mend the errors above."
    if found.tier == "container":
        return "Python jobs run. For the tier `full`, mend the errors above; they concern that tier alone."
    return "Python jobs run under the best tier."
