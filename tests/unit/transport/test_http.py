"""The way to a Router: whose fault a failure is, which files count, and through which proxy."""

import asyncio
import base64
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
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
from tests.support.proxies import ConnectProxy
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


@pytest.mark.parametrize(
    ("known", "date", "asked", "now", "skew"),
    [
        (0.0, 100.0, 100.2, 100.3, 0.0),  # a date has no fractions
        (0.0, 100.0, 100.2, 160.2, 0.0),  # a poll that is dated by its begin
        (0.0, 160.0, 100.2, 160.2, 0.0),  # by its end
        (0.0, 400.0, 100.0, 100.1, 299.9),
        (299.9, 400.0, 100.0, 125.0, 299.9),  # a poll says nothing new
        (299.9, 100.0, 100.0, 100.1, 1.0),  # it was put right
        (0.0, 100.0, 400.0, 400.5, -299.0),
    ],
)
def test_a_skew_is_what_the_dates_of_answers_allow(
    known: float, date: float, asked: float, now: float, skew: float
) -> None:
    assert _http._skew(known, date, asked, now) == pytest.approx(skew)


@pytest.mark.parametrize("answered", [b"HTTP/1.1 200 OK\r\nx-why: ", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_answer_that_drips_is_none(answered: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, the whole would never come: an agent must not wait for it in good health."""
    monkeypatch.setattr(_http, "READ_SECONDS", 0.5)
    monkeypatch.setattr(_http, "CONNECT_SECONDS", 0.5)

    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=_drip, args=(server, answered))
        dripping.start()
        http = Http(Reach((f"http://127.0.0.1:{server.getsockname()[1]}",)), Material(ca=None))
        with anyio.fail_after(30), pytest.raises(TransportError, match="did not answer in time"):
            await http.call(calls.Leased, "POST", "/lease", wait=0.1, json={})
        await http.aclose()
        await anyio.to_thread.run_sync(dripping.join)


def _drip(server: socket.socket, answered: bytes) -> None:
    """One byte after the other, until the caller has had enough."""
    client, _ = server.accept()
    with client, suppress(OSError):
        client.sendall(answered)
        while True:
            client.sendall(b" ")
            time.sleep(0.02)


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
    learned = material(router, tmp_path, ca=other, learned=router.files.ca)
    assert await opened(Http(Reach((router.url,)), learned)), "what the Router named at the last renewal counts as well"
    none = material(router, tmp_path, ca=router.files.ca, learned=tmp_path / "none.pem")
    assert await opened(Http(Reach((router.url,)), none))


@pytest.mark.parametrize(
    ("host", "begins", "ends", "says"),
    [
        ("localhost", 1, 2, "not begun by this machine's clock. Fix: check the time service"),
        ("localhost", -2, -1, "ended by this machine's clock. Fix: check the clock"),
        ("router.example", -1, 1, "for another name or address. Fix: check transport.https.urls"),
    ],
)
async def test_what_is_wrong_with_a_routers_certificate_is_named(
    tmp_path: Path, host: str, begins: float, ends: float, says: str
) -> None:
    authority, now = trustme.CA(), dt.datetime.now(tz=dt.UTC)
    authority.cert_pem.write_to_path(str(ca := tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    days = {"not_before": now + dt.timedelta(days=begins), "not_after": now + dt.timedelta(days=ends)}
    authority.issue_cert(host, **days).configure_cert(context)
    async with await asyncio.start_server(lambda *_: None, "localhost", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransportError) as caught:
            await opened(Http(Reach((f"https://localhost:{port}",)), Material(ca=ca)))
    assert says in str(caught.value)


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


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy("ann:pass word") as made:
        yield made


async def test_through_a_proxy_with_a_login(router: RouterThread, proxy: ConnectProxy, tmp_path: Path) -> None:
    reach = Reach((router.url,), proxy=f"http://ann:pass%20word@{proxy.address}")
    assert await opened(Http(reach, material(router, tmp_path)))
    assert {place for place, _ in proxy.asked} == {f"localhost:{router.port}"}


async def test_a_proxy_that_refuses_is_named_and_its_login_is_not(
    router: RouterThread, proxy: ConnectProxy, tmp_path: Path
) -> None:
    with pytest.raises(TransportError, match="The proxy refused the way") as caught:
        await opened(Http(Reach((router.url,), f"http://ann:wrong@{proxy.address}"), material(router, tmp_path)))
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "ann:c4n4ry@", "socks5://ann:c4n4ry@localhost:1", "http://a:x"])
async def test_what_is_no_proxys_address_is_named_and_not_shown(address: str) -> None:
    with pytest.raises(TransportError, match="not the address of one") as caught:
        await opened(Http(Reach((URL,), address), Material(ca=None)))
    assert "c4n4ry" not in str(caught.value)


async def test_a_proxys_address_without_its_scheme(router: RouterThread, proxy: ConnectProxy, tmp_path: Path) -> None:
    assert await opened(Http(Reach((router.url,), f"ann:pass%20word@{proxy.address}"), material(router, tmp_path)))
    assert proxy.asked


@pytest.mark.parametrize("without", ["localhost", "*", ".host", "example.org"])
async def test_hosts_without_the_proxy(router: RouterThread, proxy: ConnectProxy, tmp_path: Path, without: str) -> None:
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
        for either in (down, up):  # a year is nobody's to ask for
            either.respond(503, json=problem, headers={"retry-after": "31536000"})
        with pytest.raises(RouterRefusalError) as caught:
            await http.call(calls.Landed, "POST", "/x")
        assert caught.value.retry_after == 3600
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
