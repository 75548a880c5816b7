"""What the Router publishes of its calls, for tests: every call of the application, and what each may answer."""

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from router.server import openapi, reference
from router.server.examples import Example

if TYPE_CHECKING:
    from tests.router.server.site import Site

UNDESCRIBED = {"GET /v1/openapi.json"}
"""The description itself."""


def calls_of(site: "Site") -> set[str]:
    """Every call that the running application takes, as `POST /v1/jobs`: read from the application itself.

    HEAD is left out beside GET: it is the same without a body.
    """

    def found(routes: Any) -> set[str]:
        calls: set[str] = set()
        for route in routes:
            if hasattr(route, "methods"):
                calls |= {f"{method} {route.path}" for method in route.methods or ()}
            else:
                inner = route.original_router if hasattr(route, "original_router") else route
                calls |= found(inner.routes)
        return calls

    calls = found(site.server.config.app.routes)  # type: ignore[union-attr]
    return {one for one in calls if one.replace("HEAD ", "GET ", 1) not in calls - {one}} - UNDESCRIBED


def texts(example: Example) -> tuple[str, str]:
    """An example as the page would show it."""
    said, told = reference._example(example)
    return tuple(one.removeprefix("```http\n").removesuffix("\n```") for one in (said, told))  # type: ignore[return-value]


@cache
def _published() -> dict[str, tuple["re.Pattern[str]", dict[str, Any]]]:
    return {
        name: (re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(name))), found)
        for name, found in openapi.operations(reference.document()).items()
    }


def name_of(request: httpx.Request) -> str | None:
    """The published call that a request makes, as `POST /v1/jobs`; None for a request that is none."""
    asked = f"{request.method} {request.url.path}"
    return next((name for name, (form, _) in _published().items() if form.fullmatch(asked)), None)


def check(answer: httpx.Response) -> None:
    """Whatever a Router answers in whichever test is an answer that docs/api.md names at its call."""
    name = name_of(answer.request)
    if name is None:
        return
    found = _published()[name][1]
    if answer.status_code < 400:
        assert str(answer.status_code) in found["responses"], (name, answer.status_code)
        return
    code = json.loads(answer.read())["code"]
    published = found["responses"].get(str(answer.status_code), {}).get("x-codes", ())
    assert code in published, (name, answer.status_code, code)
