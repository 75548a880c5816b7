"""docs/api.md and its JSON are what the code generates, describe every call, and their examples run."""

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from router.ca.authority import new_key
from router.core.problem import KINDS
from router.server import described, openapi, reference
from router.server.examples import EXAMPLES, FIRST, RESULT, Example
from router.server.messages import MRES
from tests.router.server import published
from tests.router.server import site as sites
from tests.router.server.site import Result, Site, csr_of, envelope, result_of

ROOT = Path(__file__).parents[3]
CALL = re.compile(r"^### (\w+ /\S+)$(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```http\n(.*?)\n?```$", re.MULTILINE | re.DOTALL)
OPERATIONS = openapi.operations(reference.document())
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def test_the_page_is_current() -> None:
    assert (ROOT / reference.PAGE).read_text() == reference.page(), "run: python -m router.server.reference"


def test_the_document_is_current() -> None:
    assert (ROOT / reference.DOCUMENT).read_text() == reference.document_text(), (
        "run: python -m router.server.reference"
    )


def test_a_router_serves_the_document(site: Site) -> None:
    served = site.http().get("/openapi.json").json()
    assert {**served, "info": None} == {**json.loads((ROOT / reference.DOCUMENT).read_text()), "info": None}


def test_every_call_of_the_application_is_described_and_no_other(site: Site) -> None:
    assert set(OPERATIONS) == published.calls_of(site)


def test_every_call_has_one_example_that_is_shown() -> None:
    shown = [one.operation for one in EXAMPLES if one.shown]
    assert sorted(shown) == sorted(OPERATIONS)
    assert {one.operation for one in EXAMPLES} == set(shown)


def test_every_kind_of_problem_is_some_calls_or_anybodys() -> None:
    named = {code for one in OPERATIONS.values() for code in openapi.codes(one)}
    of_http = {"request.method", "request.head"}  # no call: the request is none that is described
    assert named | of_http == set(KINDS)
    assert set(described.EVERYWHERE) <= named


@dataclass
class Stage:
    """One Router, one agent-to-be, one submitter, and which id of the page stands for which of this run."""

    site: Site
    submitter: httpx.Client
    agent: httpx.Client
    ids: dict[str, str] = field(default_factory=dict)
    envelopes: dict[str, bytes] = field(default_factory=dict)
    result: Result | None = None

    def given(self, name: str) -> bytes:
        """The bytes that a `<…>` of the page stands for."""
        if name.startswith("<signed job "):
            job, signed = envelope("acme", "pool:plant", max_attempts=1, priority=5)
            self.ids[name.removesuffix(">").rpartition(" ")[2]] = job
            self.envelopes[job] = signed
            return signed
        result = self.delivered()
        return {"<sealed part 0>": result.parts[0], "<signed manifest>": result.manifest}[name]

    def delivered(self) -> Result:
        if self.result is None:
            job = self.ids[FIRST]
            self.result = result_of({"job": job, "envelope": self.envelopes[job].decode(), "attempt": 1})
            self.ids[RESULT] = self.result.id
        return self.result

    def live(self, text: str) -> str:
        """Ids of the page -> those of this run; one that is not known yet stays."""
        return ULID.sub(lambda found: self.ids.get(found[0], found[0]), text)

    def same(self, written: Any, live: Any, place: str = "answer") -> None:
        """What is written is what came, or stands for it."""
        if isinstance(written, dict):
            assert isinstance(live, dict), place
            assert sorted(map(self.live, written)) == sorted(live), place
            for name, value in written.items():
                self.same(value, live[self.live(name)], f"{place}.{name}")
        elif isinstance(written, list):
            assert len(written) == len(live), place
            for number, value in enumerate(written):
                self.same(value, live[number], f"{place}.{number}")
        elif isinstance(written, str) and ULID.fullmatch(written):
            assert ULID.fullmatch(live), place
            assert self.ids.setdefault(written, live) == live, place
        elif isinstance(written, str) and written.endswith("…"):
            assert live.startswith(written[:-1]), place
            assert len(live) > len(written), place
        elif isinstance(written, float) and written > 1e9:
            assert abs(live - time.time()) < 2 * 86_400, place
        else:
            assert (type(live), live) == (type(written), written), place

    def call(self, example: Example, said: str, told: str) -> httpx.Response:
        """Send what the page says is sent; what comes is what the page says that comes."""
        head, _, body = said.partition("\n\n")
        (method, target), *headers = (line.split(" ", 1) for line in head.splitlines())
        request: dict[str, Any] = {"headers": {name.rstrip(":"): value for name, value in headers}}
        if body.startswith("<"):
            request["content"] = self.given(body)
        elif body:
            request["content"] = json.dumps(self.filled(json.loads(self.live(body))))
        if RESULT in target:
            self.delivered()
        answer = self.caller(example).request(method, self.live(target).removeprefix("/v1"), **request)
        status, _, expected = told.partition("\n\n")
        assert answer.status_code == int(status), answer.text
        if expected.startswith("<"):
            assert answer.headers["content-type"] == MRES
            assert answer.content == self.delivered().mres
        elif expected:
            self.same(json.loads(expected), answer.json())
        else:
            assert answer.content == b""
        return answer

    def filled(self, body: Any) -> Any:
        """A field that ends in `…` is this run's own."""
        own = {"token": self.site.token("enroll", "acme", ("plant",)), "csr": csr_of(self.key)}
        return {name: own[name] if str(value).endswith("…") else value for name, value in body.items()}

    def caller(self, example: Example) -> httpx.Client:
        operation = OPERATIONS[example.operation]
        schemes = {scheme for one in operation.get("security", ()) for scheme in one}
        return {frozenset({"agent"}): self.agent, frozenset({"HTTPBearer"}): self.submitter}.get(
            frozenset(schemes), self.site.http()
        )

    key: Any = field(default_factory=new_key)


def written() -> dict[str, tuple[str, str]]:
    """What docs/api.md shows of each call: what is sent, and what comes."""
    found = {}
    for operation, text in CALL.findall((ROOT / reference.PAGE).read_text()):
        said, told = FENCE.findall(text)
        found[operation] = (said, told)
    return found


def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    """In the order of `EXAMPLES`; those between that the page does not show come from there."""
    shown = written()
    with sites.running(tmp_path) as site:
        stage = Stage(site, site.submitter("acme"), site.http())
        for example in EXAMPLES:
            said, told = shown[example.operation] if example.shown else published.texts(example)
            try:
                answer = stage.call(example, said, told)
            except (AssertionError, httpx.HTTPError) as error:
                pytest.fail(f"{example.operation}: {error}")
            if example.operation in {"POST /v1/enroll", "POST /v1/renew"}:
                stage.agent = site.http(site.pair(stage.key, answer.json()["certificate"]))


def test_a_page_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    """An answer of the page that the Router does not give fails: another value, a field more, a status."""
    with sites.running(tmp_path) as site:
        stage = Stage(site, site.submitter("acme"), site.http())
        health = next(one for one in EXAMPLES if one.operation == "GET /v1/health")
        said, told = published.texts(health)
        stage.call(health, said, told)
        for wrong in (told.replace("ok", "no"), told.replace("{", '{"more": 1, ', 1), told.replace("200", "204")):
            with pytest.raises(AssertionError):
                stage.call(health, said, wrong)
