"""The OpenAPI document -> docs/api.md and its JSON: `python -m router.server.reference [ROOT]` writes both."""

import json
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, cast

from router.core.problem import KINDS
from router.server.api import api
from router.server.described import EVERYWHERE
from router.server.examples import EXAMPLES, Example
from router.server.messages import JSON
from router.server.openapi import codes, operations
from router.service.hub import Hub

PAGE: Final = "docs/api.md"
DOCUMENT: Final = "docs/schema/router-openapi.json"

_HEAD = """# The Router's API

<!-- Generated: python -m router.server.reference -->

HTTPS with TLS 1.3, prefix `/v1`, JSON. [router-openapi.json](schema/router-openapi.json) says the same for programs,
and a Router serves it at `/v1/openapi.json`. `router.client` and the agent speak all of this: nobody has to. What an
agent does with it, and why, is in [The link](adr/0015-long-poll-leases-fences.md).

**Who calls.** An agent is who its client certificate says (`spiffe://DOMAIN/tenant/TENANT/agent/NAME`), a submitter who
its token or certificate says; no header and no body does. What is another tenant's or pool's is `not_found`.

**Bodies** are uncompressed, of the media type that the call names (none named counts as the first), and arrive whole
within 30 seconds and 16 KiB a second beyond. JSON bodies have at most 256 KiB, and no field that is not described.

**Times** are Unix seconds. Ids are ULIDs. Unknown fields in an answer are to be passed over: a newer Router says more.

**Examples** are run against a real Router by a test. The same id is the same thing throughout; `…` is more text.
"""
_PROBLEMS_HEAD = """## Problems

Every answer of 400 and above is `application/json` with `code`, `message` and `hint`. Codes are stable: programs may
match on them; the words are fixed and repeat nothing that was sent. Where `Retry-After` stands, call again after so
many seconds. Any call can meet {everywhere}; the others stand at each call.

| status | code | meaning | what to do |
|---|---|---|---|"""
_OBJECTS_HEAD = """## Objects

Fields without a *default* are required in what is sent. Agents are not told fields that are at their default."""
_SECTIONS: Final = (
    ("submitters", "Submitters", "With `Authorization: Bearer TOKEN` of `router token create --submit`, or mTLS."),
    ("agents", "Agents", "Over a connection with the agent's certificate, but for enrolment and health."),
)


def document() -> dict[str, Any]:
    """What a Router of this version serves at /v1/openapi.json. No call is made: none needs its hub here."""
    return api(cast("Hub", None), version("meridyen-router")).openapi()


def document_text() -> str:
    """The same as a file."""
    return json.dumps(document(), indent=1, sort_keys=True) + "\n"


def page() -> str:
    """The whole page."""
    described = document()
    examples = {one.operation: one for one in EXAMPLES if one.shown}
    blocks = [_HEAD]
    for tag, title, words in _SECTIONS:
        blocks += [f"## {title}", words]
        for name, operation in operations(described).items():
            if operation["tags"] == [tag]:
                blocks.append(_call(name, operation, examples[name]))
    blocks += [_problems(), _OBJECTS_HEAD]
    blocks += [_object(name, schema) for name, schema in described["components"]["schemas"].items()]
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _call(name: str, operation: dict[str, Any], example: Example) -> str:
    parts = [f"### {name}", operation["description"]]
    if operation.get("parameters"):
        parts.append("\n".join(map(_parameter, operation["parameters"])))
    if "requestBody" in operation:
        parts.append(f"Body: {_bodies(operation['requestBody']['content'])}.")
    parts.append(_answers(operation["responses"]))
    told = sorted(codes(operation) - {*EVERYWHERE}, key=lambda code: (KINDS[code].status, code))
    if told:
        parts.append("Problems: " + ", ".join(f"{KINDS[code].status} `{code}`" for code in told) + ".")
    return "\n\n".join([*parts, *_example(example)])


def _parameter(found: dict[str, Any]) -> str:
    where = "" if found["in"] == "path" else ", in the query"
    words = f" {found['description']}" if found.get("description") else ""
    return f"- `{found['name']}`{where}: {_type(found['schema'])}.{words}"


def _bodies(content: dict[str, Any]) -> str:
    return " or ".join(_type(one["schema"]) if media == JSON else f"bytes, `{media}`" for media, one in content.items())


def _answers(responses: dict[str, Any]) -> str:
    good = {status: answer for status, answer in responses.items() if int(status) < 400}  # noqa: PLR2004
    told = [f"{status} {_bodies(answer.get('content', {})) or 'empty'}" for status, answer in sorted(good.items())]
    return f"Answer: {'; '.join(told)}."


def _example(example: Example) -> tuple[str, str]:
    """What is sent, and what comes."""
    method = example.operation.partition(" ")[0]
    said = [f"{method} {example.target}"]
    if example.body is not None:
        said += [f"content-type: {example.media or 'application/json'}", "", _shown(example.body)]
    told = [str(example.status)] if example.answer is None else [str(example.status), "", _shown(example.answer)]
    return _fenced("http", said), _fenced("http", told)


def _shown(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, indent=2)


def _fenced(kind: str, lines: Iterable[str]) -> str:
    return "\n".join([f"```{kind}", *lines, "```"])


def _problems() -> str:
    head = _PROBLEMS_HEAD.format(everywhere=", ".join(f"`{code}`" for code in EVERYWHERE))
    kinds = sorted(KINDS.values(), key=lambda kind: (kind.status, kind.code))
    return "\n".join(
        [head, *(f"| {one.status} | `{one.code}` | {_cell(one.meaning)} | {_cell(one.remedy)} |" for one in kinds)]
    )


def _object(name: str, schema: dict[str, Any]) -> str:
    rows = [
        f"| `{field}` | {_cell(_type(found))} | {_default(field, found, schema)} |"
        f" {_cell(found.get('description', ''))} |"
        for field, found in schema["properties"].items()
    ]
    head = ["| field | type | default | |", "|---|---|---|---|"]
    return "\n".join([f"### {name}", "", schema.get("description", ""), "", *head, *rows])


def _default(field: str, found: dict[str, Any], schema: dict[str, Any]) -> str:
    if field in schema.get("required", ()):
        return ""
    return f"`{json.dumps(found.get('default'))}`"


def _type(schema: dict[str, Any]) -> str:
    """A JSON Schema in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " · ".join(f"`{one}`" for one in schema["enum"])
    kind = schema.get("type", "")
    return _TYPES[kind](schema) if kind in _TYPES else f"{kind}{_range(schema)}"


def _text(schema: dict[str, Any]) -> str:
    most = f", at most {schema['maxLength']} characters" if "maxLength" in schema else ""
    return f"text{most}" + (f", `{schema['pattern']}`" if "pattern" in schema else "")


def _list(schema: dict[str, Any]) -> str:
    return f"list of {_type(schema['items'])}" + (f", at most {schema['maxItems']}" if "maxItems" in schema else "")


def _map(schema: dict[str, Any]) -> str:
    names = schema.get("propertyNames", {})
    return f"map of {_type(names) if 'enum' in names else 'names'} to {_type(schema['additionalProperties'])}"


def _range(schema: dict[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    return "" if least is None and most is None else f" from {least} to {most}"


_TYPES: Final = {"string": _text, "array": _list, "object": _map}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    (root / PAGE).write_text(page(), encoding="utf-8")
    (root / DOCUMENT).write_text(document_text(), encoding="utf-8")
