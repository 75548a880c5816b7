"""The way to a Router: whose fault a failure is, which files count, and through which proxy."""

import base64
import contextlib
import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import respx
import trustme

from agent.core.errors import TransportError
from agent.identity import certificate
from agent.transport import _http
from agent.transport._http import Http, Reach, RouterRefusalError
from agent.transport._tls import Material, spki_pin
from agent.wire import calls
from tests.support import routers
from tests.support.routers import RouterThread

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
URL = "https://router.example:8443"
SESSION = {"instance": "01JD00000000000000000000J0", "slots": {"sql": 1}, "version": "1"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterThread]:
    made = RouterThread(tmp_path_factory.mktemp("router") / "r")
    made.start()
    yield made
    made.stop()


async def opened(http: Http) -> calls.Session | None:
    try:
        return await http.call(calls.Session, "POST", "/sessions", json=SESSION)
    finally:
        await http.aclose()
        await anyio.sleep(0.01)  # a loop that ends at once leaves sockets to the collector


def material(router: RouterThread, folder: Path, **changes: Any) -> Material:
    tls = router.enrolled(folder / "tls")
    return Material(**{"ca": router.files.ca, "certificate": tls.pair, **changes})


async def test_it_answers_and_its_clock_is_seen(router: RouterThread, tmp_path: Path) -> None:
    http = Http(Reach((router.url,)), material(router, tmp_path))
    assert await opened(http)
    assert http.skew_seconds is not None
    assert abs(http.skew_seconds) < 10
    assert http.latency_seconds is not None


async def test_addresses_are_tried_in_order_and_the_one_that_answered_stays_first(
    router: RouterThread, tmp_path: Path
) -> None:
    nobody = f"https://localhost:{routers.free_port()}"
    http = Http(Reach((nobody, router.url)), material(router, tmp_path))
    assert await opened(http)
    assert http._first == 1
    assert await opened(http)
    http = Http(Reach((nobody, f"https://localhost:{routers.free_port()}")), material(router, tmp_path))
    with pytest.raises(TransportError, match="cannot be reached"):
        await opened(http)


async def test_a_router_of_another_authority_is_not_spoken_to(router: RouterThread, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with pytest.raises(TransportError, match="not trusted here"):
        await opened(Http(Reach((router.url,)), material(router, tmp_path, ca=other)))


@pytest.mark.parametrize("days", [-2, 0])
async def test_a_certificate_that_is_not_taken_is_named(router: RouterThread, tmp_path: Path, days: int) -> None:
    """Under TLS 1.3 the handshake succeeds, and the link ends without a word."""
    if days:
        tls = router.enrolled(tmp_path / "tls", now=time.time() + days * 86_400, hours=1)
        pair = tls.pair
    else:
        pair = tmp_path / "foreign.pem"
        trustme.CA().issue_cert("agent").private_key_and_cert_chain_pem.write_to_path(str(pair))
    with pytest.raises(TransportError, match=r"certificate") as caught:
        await opened(Http(Reach((router.url,)), Material(ca=router.files.ca, certificate=pair)))
    assert "agent enroll" in str(caught.value) or "agent status" in str(caught.value)


async def test_without_a_certificate_the_router_says_so(router: RouterThread) -> None:
    with pytest.raises(RouterRefusalError, match="certificate") as caught:
        await opened(Http(Reach((router.url,)), Material(ca=router.files.ca)))
    assert (caught.value.status, caught.value.code) == (401, "auth.missing")


def pin_of(router: RouterThread) -> str:
    return spki_pin(ssl.PEM_cert_to_DER_cert(router.files.certificate.read_text().strip()))


async def test_pins_the_right_one_a_spare_one_and_a_wrong_one(router: RouterThread, tmp_path: Path) -> None:
    right, other = pin_of(router), base64.b64encode(bytes(32)).decode()
    for pins in ((right,), (other, right)):
        assert await opened(Http(Reach((router.url,)), material(router, tmp_path, pins=pins)))
    with pytest.raises(TransportError, match="not trusted here"):
        await opened(Http(Reach((router.url,)), material(router, tmp_path, pins=(other,))))


def test_a_pin_is_what_openssl_makes_of_the_same_certificate(router: RouterThread) -> None:
    from hashlib import sha256

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    loaded = x509.load_pem_x509_certificate(router.files.certificate.read_bytes())
    spki = loaded.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert pin_of(router) == base64.b64encode(sha256(spki).digest()).decode()


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x82", b"\x30\x05abc", bytes(40)])
def test_what_is_no_certificate_has_no_pin(data: bytes) -> None:
    with pytest.raises(ValueError, match="DER"):
        spki_pin(data)


async def test_tls_files_that_changed_are_used_at_the_next_call_and_a_poll_under_way_goes_on(
    router: RouterThread, tmp_path: Path
) -> None:
    tls = router.enrolled(tmp_path / "tls")
    http = Http(Reach((router.url,)), Material(ca=router.files.ca, certificate=tls.pair))
    session = await http.call(calls.Session, "POST", "/sessions", json=SESSION)
    assert session is not None
    answers: list[object] = []

    async def poll() -> None:
        body = {"session": session.session, "free": {"sql": 1}}
        answers.append(await http.call(calls.Leased, "POST", "/lease?wait=2", wait=2, json=body))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poll)
        await anyio.sleep(0.3)
        before = http._connections
        made = certificate.request(routers.AGENT)
        issued = await http.call(calls.Certificate, "POST", "/renew", json={"csr": made.csr})
        assert issued is not None
        certificate.keep(tls, made, issued.certificate, issued.ca)
        assert await http.call(calls.Beaten, "POST", "/heartbeat", json={"session": session.session, "leases": []})
        assert http._connections is not before
    assert answers == [None]
    assert before is not None
    assert before._client.is_closed
    await http.aclose()


async def test_files_that_are_no_tls_files_are_named(router: RouterThread, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with pytest.raises(TransportError, match=r"junk\.pem.*agent enroll"):
        await opened(Http(Reach((router.url,)), Material(ca=router.files.ca, certificate=junk)))
    with pytest.raises(TransportError, match="cannot be read"):
        await opened(Http(Reach((router.url,)), Material(ca=router.files.ca, certificate=tmp_path / "none.pem")))


class Proxy:
    """A small real proxy: CONNECT with Basic, and what it was asked for."""

    def __init__(self, login: str | None) -> None:
        self.asked: list[tuple[str, str | None]] = []
        wanted = None if login is None else "Basic " + base64.b64encode(login.encode()).decode()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                given = self.headers.get("proxy-authorization")
                proxy.asked.append((self.path, given))
                if given != wanted:
                    self.send_error(407)
                    return
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port))) as far:
                    self.send_response(200)
                    self.end_headers()
                    back = threading.Thread(target=copy, args=(far, self.connection), daemon=True)
                    back.start()
                    copy(self.connection, far)
                    back.join()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy("ann:pass word")
    yield made
    made.close()


async def test_through_a_proxy_with_a_login(router: RouterThread, proxy: Proxy, tmp_path: Path) -> None:
    reach = Reach((router.url,), proxy=f"http://ann:pass%20word@{proxy.address}")
    assert await opened(Http(reach, material(router, tmp_path)))
    assert {place for place, _ in proxy.asked} == {f"localhost:{router.port}"}


async def test_a_proxy_that_refuses_is_named_and_its_login_is_not(
    router: RouterThread, proxy: Proxy, tmp_path: Path
) -> None:
    with pytest.raises(TransportError, match="The proxy refused the way") as caught:
        await opened(Http(Reach((router.url,), f"http://ann:wrong@{proxy.address}"), material(router, tmp_path)))
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("without", ["localhost", "*", ".host", "example.org"])
async def test_hosts_without_the_proxy(router: RouterThread, proxy: Proxy, tmp_path: Path, without: str) -> None:
    reach = Reach((router.url,), f"http://ann:pass%20word@{proxy.address}", (without,))
    assert await opened(Http(reach, material(router, tmp_path)))
    assert bool(proxy.asked) == (without not in {"localhost", "*"})


async def test_the_environment_names_no_proxy(
    router: RouterThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    assert await opened(Http(Reach((router.url,)), material(router, tmp_path)))


PAGE = httpx.Response(200, html="<h1>Maintenance</h1>")
STRANGERS = {
    "a page": PAGE,
    "a page that says JSON": httpx.Response(200, json="fine"),
    "a redirection": httpx.Response(302, headers={"location": "https://portal.example/"}),
    "an empty success": httpx.Response(200),
    "a proxy's error": httpx.Response(502, html="<h1>Bad gateway</h1>"),
    "a login page": httpx.Response(401, html="<h1>Log in</h1>"),
    "compressed": httpx.Response(200, headers={"content-encoding": "gzip", "content-type": "application/json"}),
    "endless": httpx.Response(200, content=b"x" * 2000),
}


@pytest.mark.parametrize("name", STRANGERS)
async def test_whoever_is_no_router_never_passes_for_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that a Router never gives: a result must not count as handed over to a portal."""
    monkeypatch.setattr(_http, "MAX_REPLY_BYTES", 1000)
    with respx.mock(base_url=URL) as far:
        far.route().mock(return_value=STRANGERS[name])
        http = Http(Reach((URL,)), Material(ca=None))
        for call in (
            http.tell("PUT", "/jobs/x/results/y/parts/0", content=b"part"),
            http.call(calls.Landed, "POST", "/jobs/x/results/y", content=b"manifest"),
            http.call(calls.Leased, "POST", "/lease?wait=1", json={}),
        ):
            with pytest.raises(TransportError) as caught:
                await call
            assert not isinstance(caught.value, RouterRefusalError)
            assert "Fix:" in str(caught.value)
        await http.aclose()


async def test_a_refusal_says_when_to_ask_again_and_another_address_is_tried_when_one_goes_down() -> None:
    problem = {"code": "shutting_down", "message": "The Router is going down.", "hint": "Try again."}
    with respx.mock() as far:
        down = far.route(host="one.example").respond(503, json=problem, headers={"retry-after": "7"})
        up = far.route(host="two.example").respond(200, json={"state": "failed"})
        http = Http(Reach(("https://one.example", "https://two.example")), Material(ca=None))
        assert await http.call(calls.Landed, "POST", "/x")
        assert (down.call_count, up.call_count) == (1, 1)
        up.respond(503, json=problem, headers={"retry-after": "7"})
        with pytest.raises(RouterRefusalError, match="going down") as caught:
            await http.call(calls.Landed, "POST", "/x")
        assert caught.value.retry_after == 7
        await http.aclose()


async def test_the_clock_of_a_router_is_only_shown() -> None:
    answer = httpx.Response(204, headers={"date": "Tue, 01 Jan 2030 00:00:00 GMT"})
    with respx.mock(base_url=URL) as far:
        far.route().mock(return_value=answer)
        http = Http(Reach((URL,)), Material(ca=None))
        await http.tell("DELETE", "/sessions/x")
        assert http.skew_seconds is not None
        assert abs(time.time() + http.skew_seconds - 1_893_456_000) < 10
        await http.aclose()


async def test_a_silent_router_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "READ_SECONDS", 0.3)
    monkeypatch.setattr(_http, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        http = Http(Reach((f"https://127.0.0.1:{silent.getsockname()[1]}",)), Material(ca=None))
        with pytest.raises(TransportError, match="did not answer in time"):
            await opened(http)
