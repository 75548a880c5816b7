"""`agent policy lint`: the policy against what the configured sources hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import Config, Json

if TYPE_CHECKING:
    from agent.core.catalog import Catalog
    from agent.masking.coverage import Covered
    from agent.settings import LoadedPolicy, Settings


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the report. `line`: of the policy's file, from 1."""

    level: str
    line: int | None
    text: str
    fix: str


def lint(
    file: Annotated[Path | None, typer.Argument(help="policy.yaml. Default: the configuration's.")] = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
    columns: Annotated[bool, typer.Option("--columns", help="List every column with the rule that hits it.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not open the sources.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> int:
    """Say what in a policy does nothing, hides what it should not, or shows what it should not. Exit 1 on errors."""
    from agent.cli.exits import FAILURE

    policy, settings, notes = _read(file, config, offline=offline)
    catalogs = list(_catalogs(settings, policy, notes)) if settings is not None else []
    listed, found = _looked_at(policy, catalogs, _roles(settings))
    found = [*notes, *found]
    _put(policy, listed, found, columns=columns, as_json=as_json)
    failing = {"error", "warning"} if strict else {"error"}
    return FAILURE if any(one.level in failing for one in found) else 0


def _read(
    file: Path | None, config: Path | None, *, offline: bool
) -> "tuple[LoadedPolicy, Settings | None, list[Found]]":
    import os

    from agent.cli.site import settings as load
    from agent.settings import SettingsError, find_config, load_policy, read_policy

    notes: list[Found] = []
    try:
        find_config(config)
    except SettingsError:
        if file is None or config is not None:
            raise
        text = "No configuration was found: nothing is compared with a source."
        notes.append(Found("note", None, text, "Name one with --config."))
        return read_policy(file, os.environ), None, notes
    settings = load(config)
    policy = load_policy(settings) if file is None else read_policy(file, os.environ)
    if offline:
        notes.append(Found("note", None, "No source was opened: nothing is compared with one.", "Leave out --offline."))
    return policy, None if offline else settings, notes


def _catalogs(settings: "Settings", policy: "LoadedPolicy", notes: list[Found]) -> "Iterator[Catalog]":
    from agent.cli.surveys import SurveyError, survey

    for name in settings.sources:
        try:
            yield survey(settings, policy, name, 0)[0]
        except SurveyError as error:
            notes.append(Found("warning", None, f"{error} Nothing is compared with it.", f"agent sources test {name}"))


def _roles(settings: "Settings | None") -> frozenset[str] | None:
    """The roles that somebody may assert; None when it is not known."""
    from agent.identity import trustfile

    if settings is None or not settings.trust.exists():
        return None
    return frozenset(role for one in trustfile.load(settings.trust).submitters.values() for role in one.roles)


def _looked_at(
    policy: "LoadedPolicy", catalogs: "Sequence[Catalog]", roles: frozenset[str] | None
) -> "tuple[dict[str, list[Covered]], list[Found]]":
    from agent.masking.coverage import advice, covered
    from agent.masking.lint import findings

    def line(rule: int | None) -> int | None:
        return None if rule is None else policy.document.line(("rules", rule))

    plain = policy.policy
    listed = {one.source: list(covered(plain, one)) for one in catalogs}
    found = [Found(one.level, line(one.rule), one.text, one.fix) for one in findings(plain, catalogs, roles)]
    for source, columns in listed.items():
        found += [Found("warning", line(one.line), one.text, one.fix) for one in advice(source, columns)]
        left = [one.path for one in columns if one.line is None and one.relation.definition is None]
        if left:
            text = f"{len(left)} columns of {source} are named by no rule and fall to the default, {plain.default}."
            found.append(Found("note", policy.document.line(("default",)), text, "See them with --columns."))
    if not plain.release.pii_net.effective():
        text = "The second net over results is off."
        where = policy.document.line(("release", "pii_net"))
        found.append(Found("warning", where, text, "Write pii_net: mask under release."))
    return listed, found


def _put(
    policy: "LoadedPolicy",
    listed: "dict[str, list[Covered]]",
    found: Sequence[Found],
    *,
    columns: bool,
    as_json: bool,
) -> None:
    from dataclasses import asdict

    from agent.cli.render import put, put_json, put_table, safe

    named = [_named(policy, source, one) for source, own in listed.items() for one in own]
    if as_json:
        put_json({"file": str(policy.path), "findings": [asdict(one) for one in found], "columns": named})
        return
    if columns and named:
        rows = [[one["column"], one["rule"] or "hidden", str(one["line"] or "default")] for one in named]
        put_table(["column", "rule", "line"], rows)
        put()
    for one in found:
        place = f"{policy.path}:{one.line}" if one.line is not None else str(policy.path)
        put(f"{safe(place)}: {one.level}: {safe(one.text)}" + (f" {safe(one.fix)}" if one.fix else ""))
    counts = [f"{sum(one.level == level for one in found)} {level}s" for level in ("error", "warning", "note")]
    put(f"{', '.join(counts)}; {len(named)} columns of {len(listed)} sources")


def _named(policy: "LoadedPolicy", source: str, one: "Covered") -> dict[str, Any]:
    line = None if one.line is None else policy.document.line(("rules", one.line))
    return {"column": f"{source}.{one.path}", "rule": one.rule, "line": line}
