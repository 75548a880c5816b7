"""`agent doctor`: what this machine can do, tried for real."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import Config, Json

if TYPE_CHECKING:
    from agent.cli.checkup import Section
    from agent.service.doctor import Verdict
    from agent.service.sandboxes import PythonSite

app = typer.Typer(help="Look at everything around the agent, and say what to do about it.")


@app.callback(invoke_without_command=True)
def doctor(
    context: typer.Context,
    *,
    config: Config = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this section: configuration, files, disk, kernel, …. Repeatable.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Look at everything that a job needs. Exit 0 well, 1 not, 69 Router, 77 permissions, 78 configuration.

    To be run as the service runs: same account, same container. Changes nothing, and runs no job.
    """
    if context.invoked_subcommand is not None:
        return 0
    from agent.cli.checkup import CODES, exit_code, sections
    from agent.cli.exits import USAGE, complain
    from agent.cli.render import put_json

    if unknown := set(only or ()) - set(CODES):
        complain(f"agent: there is no section {min(unknown)}. Fix: one of {', '.join(CODES)}.")
        return USAGE
    found = []
    for section in sections(config, only or ()):
        found.append(section)
        if not as_json:
            _show_section(section)
    code = exit_code(found)
    if as_json:
        put_json(plain(found, code))
    else:
        _sum_up(found)
    return code


def plain(found: "list[Section]", code: int) -> dict[str, Any]:
    """As `--json` shows it; docs/schema/doctor.schema.json describes it."""
    return {
        "ok": code == 0,
        "exit_code": code,
        "sections": [
            {"name": section.name, "ok": not section.failed, "findings": [asdict(one) for one in section.findings]}
            for section in found
        ],
    }


def _show_section(section: "Section") -> None:
    from agent.cli.render import put, safe

    put(section.name)
    width = min(40, max((len(finding.check) for finding in section.findings), default=0))
    for finding in section.findings:
        put(f"  {finding.level:<7}  {safe(finding.check):<{width}}  {safe(finding.found)}")
        if finding.level in {"error", "warning"}:
            if finding.expected:
                put(f"  {'':<7}  {'':<{width}}  expected: {safe(finding.expected)}")
            put(f"  {'':<7}  {'':<{width}}  fix: {safe(finding.fix)}")
    sys.stdout.flush()


def _sum_up(found: "list[Section]") -> None:
    from agent.cli.render import put

    levels = [finding.level for section in found for finding in section.findings]
    errors, warnings = levels.count("error"), levels.count("warning")
    put("")
    put(f"{len(levels)} looked at, {errors} errors, {warnings} warnings." if errors or warnings else "All is well.")


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
