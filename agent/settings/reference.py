"""The models -> JSON Schemas and the tables of the pages. `python -m agent.settings` writes them."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from agent.masking.pii.kinds import KINDS
from agent.masking.policy import Policy
from agent.masking.rules import AnyRule
from agent.settings import shape
from agent.settings.settings import Settings
from agent.sources import Config as SourceConfig
from agent.transport.filedrop import Config as FileDropConfig

SCHEMA_FILE = "config/sandbox.schema.json"
POLICY_SCHEMA_FILE = "config/policy.schema.json"
PAGES = ("docs/configure.md", "docs/policy.md")
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_BLOCK = re.compile(r"(<!-- generated: ([a-z.]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_TYPES: Mapping[Any, str] = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path"}
_BOUNDS = {Ge: ("≥", "ge"), Gt: (">", "gt"), Le: ("≤", "le"), Lt: ("<", "lt")}


@dataclass(frozen=True, slots=True)
class Row:
    """One key of a table."""

    key: str
    type: str
    default: str
    meaning: str


def schema() -> dict[str, Any]:
    """JSON Schema of sandbox.yaml, for editors and validators."""
    return _schema(Settings, "Meridyen sandbox.yaml")


def policy_schema() -> dict[str, Any]:
    """JSON Schema of policy.yaml. Of rules it knows the names; parameters and short forms only the agent checks."""
    plain = _schema(Policy, "Meridyen policy.yaml")
    names = [tag for kind in shape.alternatives(AnyRule) for tag in _tags(kind, "rule")]
    forms = [{"enum": names}, {"type": "null"}, {"type": "object", "minProperties": 1}]
    line = plain["$defs"]["ColumnRule"]["properties"]["rule"]
    plain["$defs"]["ColumnRule"]["properties"]["rule"] = {"anyOf": forms, "description": line["description"]}
    unused = {kind.__name__ for kind in shape.alternatives(AnyRule)}
    plain["$defs"] = {name: node for name, node in plain["$defs"].items() if name not in unused}
    return plain


def _tags(kind: type[BaseModel], discriminator: str) -> tuple[Any, ...]:
    return shape.literals(shape.fields(kind)[discriminator].annotation)


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    plain = model.model_json_schema()
    return {"$schema": _DRAFT, **_without_kind(plain), "title": title}


def _without_kind(node: Any) -> Any:
    """The transport's block says its own kind: nobody writes it."""
    if isinstance(node, dict):
        if node.get("properties", {}).get("kind", {}).get("const") == "filedrop":
            kept = {key: value for key, value in node["properties"].items() if key != "kind"}
            required = [key for key in node.get("required", ()) if key not in {"kind", "path"}]
            node = {key: value for key, value in node.items() if key != "required"} | {"properties": kept}
            node |= {"required": required} if required else {}
        return {key: _without_kind(value) for key, value in node.items() if (key, value) != ("kind", "filedrop")}
    return [_without_kind(value) for value in node] if isinstance(node, list) else node


def rows(
    model: type[BaseModel], prefix: str = "", *, given: BaseModel | None = None, optional: bool = False
) -> Iterator[Row]:
    """Every key of a model and of the blocks in it.

    `given` holds the defaults that a parent sets; `optional` marks a block that may be left out as a whole.
    """
    for name, field in model.model_fields.items():
        kinds = shape.alternatives(field.annotation)
        blocks = [kind for kind in kinds if shape.fields(kind)]
        if (model, name) == (FileDropConfig, "kind"):
            continue
        if len(blocks) == 1:
            default = getattr(given, name) if given else field.get_default(call_default_factory=True)
            inner = default if isinstance(default, BaseModel) else None
            yield from rows(blocks[0], f"{prefix}{name}.", given=inner, optional=default is None)
        else:
            default_text = _default(field, name, given) + (" in this block" if optional and field.is_required() else "")
            yield Row(prefix + name, _type(field), default_text, field.description or "")


def _type(field: FieldInfo) -> str:
    kinds = [kind for kind in shape.alternatives(field.annotation) if kind is not type(None)]
    if sum(bool(shape.fields(kind)) for kind in kinds) > 1:
        return "one of several forms"
    words = list(dict.fromkeys(_kind(kind) for kind in kinds))
    limits = [f"{sign} {getattr(bound, name):,}" for bound in field.metadata for sign, name in _bound(bound)]
    return ", ".join([" or ".join(words), " and ".join(limits)] if limits else [" or ".join(words)])


def _bound(bound: object) -> list[tuple[str, str]]:
    return [_BOUNDS[type(bound)]] if type(bound) in _BOUNDS else []


def _kind(kind: Any) -> str:
    if shape.literals(kind):
        return ", ".join(f"`{_plain(value)}`" for value in shape.literals(kind))
    if shape.is_list(kind):
        return "list"
    if shape.is_map(kind):
        return "map by name"
    return "secret" if kind is SecretStr else _TYPES.get(kind, "text")


def _default(field: FieldInfo, name: str, given: BaseModel | None) -> str:
    if given is None and field.is_required():
        return "**required**"
    value = getattr(given, name) if given else field.get_default()
    if value is None or field.default_factory is not None:
        return ""
    return f"`{_plain(value)}`"


def _plain(value: object) -> str:
    """A value as YAML would have it."""
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return json.dumps(value)


def table(found: Iterator[Row]) -> str:
    """Markdown."""
    lines = [f"| `{row.key}` | {row.type} | {row.default} | {row.meaning} |" for row in found]
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *lines]) + "\n"


def tables() -> dict[str, str]:
    """Every generated part of the pages, by the name in its marker."""
    top = [row for row in rows(Settings) if row.key != "sources"]
    sources = [
        f"**`type: {tag}`** {_first_line(kind).partition('. ')[0].removesuffix('.')}.\n\n{table(_of_source(kind))}"
        for kind in shape.alternatives(SourceConfig)
        for tag in _tags(kind, "type")
    ]
    rules = [
        f"| `{tag}` | {_about(kind)} | {_first_line(kind)} |"
        for kind in shape.alternatives(AnyRule)
        for tag in _tags(kind, "rule")
    ]
    return {
        "settings": table(iter(top)),
        "sources": "\n".join(sources),
        "policy": table(_of_policy()),
        "rules": "\n".join(["| rule | shows | detail |", "|---|---|---|", *rules]) + "\n",
        "pii": _pii(),
    }


def _pii() -> str:
    lines = [f"| {one.name} | {'only if asked for' if one.optional else ''} | {one.about} |" for one in KINDS.values()]
    return "\n".join(["| kind |  | what counts |", "|---|---|---|", *lines]) + "\n"


def _of_source(kind: type[BaseModel]) -> Iterator[Row]:
    return (row for row in rows(kind, "sources.NAME.") if not row.key.endswith(".type"))


def _of_policy() -> Iterator[Row]:
    for row in rows(Policy):
        kinds = shape.down(shape.down([Policy], row.key), 0) if row.key == "rules" else []
        yield row
        for kind in kinds:
            yield from rows(kind, "rules[].")


def _first_line(kind: type[BaseModel]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0].replace("|", "\\|")


def _about(kind: type[BaseModel]) -> str:
    """What a rule's file says about it, after the name."""
    module = inspect.getmodule(kind)
    return ((module.__doc__ if module else None) or "").partition("\n")[0].partition(": ")[2].replace("|", "\\|")


def filled(page: str) -> str:
    """A page with its generated parts renewed."""
    parts = tables()
    return _BLOCK.sub(lambda found: found[1] + parts[found[2]] + found[3], page)


def files(root: Path) -> dict[Path, str]:
    """Every generated file under a checkout's root, with the text that it should have."""
    schemas = {SCHEMA_FILE: schema(), POLICY_SCHEMA_FILE: policy_schema()}
    plain = {root / name: json.dumps(value, indent=2) + "\n" for name, value in schemas.items()}
    return plain | {root / name: filled((root / name).read_text("utf-8")) for name in PAGES}
