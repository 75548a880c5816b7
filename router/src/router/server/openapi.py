"""The submitters' OpenAPI document -> that of all calls: what is served, and what docs/api.md is written from."""

from typing import Any, Final

import msgspec

from router.server.described import CALLS
from router.server.messages import In, Out

_COMPONENTS: Final = "#/components/schemas/{name}"
_AGENT: Final = {
    "type": "mutualTLS",
    "description": "The certificate of POST /v1/enroll or /v1/renew. A body never says who is calling.",
}
_NEVER: Final = "422"
"""FastAPI describes its own answer to what is malformed; the Router answers 400 instead."""


def whole(submitters: dict[str, Any]) -> dict[str, Any]:
    """The document with the agents' calls in it. The one that is given is changed."""
    paths, components = submitters["paths"], submitters["components"]
    for methods in paths.values():
        for operation in methods.values():
            operation["responses"].pop(_NEVER, None)
            operation["responses"] = dict(sorted(operation["responses"].items()))
            operation.setdefault("tags", ["submitters"])
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = call.openapi()
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    components["schemas"].update(_messages())
    components["schemas"] = dict(sorted(components["schemas"].items()))
    components["securitySchemes"]["agent"] = _AGENT
    return submitters


def _messages() -> dict[str, Any]:
    """The agents' messages as JSON Schema."""
    kinds = [kind for base in (In, Out) for kind in base.__subclasses__() if kind.__name__ != "ProblemOut"]
    _, found = msgspec.json.schema_components(kinds, ref_template=_COMPONENTS)
    return {name: _portable(schema) for name, schema in found.items()}


def _portable(schema: Any) -> Any:
    r"""The same for everybody's regular expressions: what is `\Z` in Python is `$` elsewhere."""
    if isinstance(schema, dict):
        return {
            name: value.replace(r"\Z", "$") if name == "pattern" and isinstance(value, str) else _portable(value)
            for name, value in schema.items()
        }
    return [_portable(one) for one in schema] if isinstance(schema, list) else schema


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every operation, by method and path as `POST /v1/jobs`, in the document's order."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def codes(operation: dict[str, Any]) -> set[str]:
    """Every problem that an operation can answer with."""
    return {code for answer in operation["responses"].values() for code in answer.get("x-codes", ())}
