"""A submitter's certificate that a proxy on this machine hands on over the Router's unix socket."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import httpx

from router.ca.authority import Authority, new_key
from router.ca.names import SubmitterId
from router.serve import local_server_of
from router.server.enroll import certified
from tests.router.server import site as sites
from tests.router.server.site import DOMAIN, Site, envelope

NAME = "x-forwarded-client-cert"


@contextmanager
def local(folder: Path) -> Iterator[tuple[Site, httpx.Client]]:
    """A Router on a unix socket, and the proxy's side of it."""
    site = Site(folder)
    path = folder / "router.sock"
    site.server = local_server_of(site.hub, site.files, path, "0.1")
    site._thread = Thread(target=lambda: site.loop.run_until_complete(site.server.serve()))
    site._thread.start()
    until = time.monotonic() + 20
    while not site.server.started and time.monotonic() < until:
        time.sleep(0.01)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://router/v1") as http:
            yield site, http
    finally:
        site.stop()


def certificate(site: Site, authority: Authority | None = None) -> dict[str, str]:
    issuer = authority or site.authority
    issued = issuer.submitter(new_key(), SubmitterId(tenant="acme", name="planner"), time.time(), days=1)
    return {NAME: quote(issued.pem)}


def test_it_stands_in_for_a_token_and_is_held_to_its_record(tmp_path: Path) -> None:
    with local(tmp_path) as (site, http):
        headers = certificate(site)
        assert http.get("/jobs", headers=headers).json()["code"] == "auth.invalid", "nobody recorded it"
        record = certified(SubmitterId(tenant="acme", name="planner"), DOMAIN)
        site.token("submit", "acme", ("a",), hash=record)
        assert http.post("/jobs", headers=headers, content=envelope(audience="pool:a")[1]).status_code == 202
        assert (
            http.post("/jobs", headers=headers, content=envelope(audience="pool:b")[1]).json()["code"] == "auth.scope"
        )
        assert http.get("/jobs", headers=headers).status_code == 200
        assert http.get("/jobs").json()["code"] == "auth.missing", (
            "the next request of the proxy's connection is another's"
        )
        strange = certificate(site, Authority.make(DOMAIN, time.time()))
        assert http.get("/jobs", headers=strange).json()["code"] == "auth.invalid"


def test_over_tcp_no_header_is_believed(tmp_path: Path) -> None:
    with sites.running(tmp_path) as site:
        site.token("submit", "acme", (), hash=certified(SubmitterId(tenant="acme", name="planner"), DOMAIN))
        with site.http(**certificate(site)) as http:
            assert http.get("/jobs").json()["code"] == "auth.missing"
