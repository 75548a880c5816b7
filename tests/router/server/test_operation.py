"""A Router of its own for each test: limits, rolls of the CA, renewal, a proxy in front, restarts, the end."""

import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509

from router.ca.authority import Authority, new_key
from router.ca.names import SubmitterId
from router.core import ops
from router.core.agents import AgentId
from router.core.problem import RouterProblem
from router.serve import local_server_of
from router.server import calls, protocol
from router.server.listening import bound
from router.service import roll
from router.service.files import load
from router.service.hub import Quota, Terms
from router.service.pace import Pace
from tests.router.server import site as sites
from tests.router.server.site import Agent, Site, csr_of, envelope, submitted, ulid


def until(true: Callable[[], bool]) -> None:
    """Wait for it, at most 20 s."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(agent: Agent, http: httpx.Client) -> bool:
    answer = http.post("/heartbeat", json={"session": agent.session, "leases": []})
    return answer.status_code == 200


# --- limits


def test_a_pace_lets_five_seconds_worth_through_and_then_its_rate() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    for _ in range(50):
        pace.take("a", 10)
    with pytest.raises(RouterProblem) as caught:
        pace.take("a", 10)
    assert (caught.value.code, caught.value.retry_after) == ("quota.rate", 1.0)
    pace.take("b", 10)
    now[0] += 0.1
    pace.take("a", 10)
    with pytest.raises(RouterProblem):
        pace.take("a", 10)
    now[0] += 1000
    for _ in range(50):
        pace.take("a", 10)
    with pytest.raises(RouterProblem):
        pace.take("a", 10)


def test_quotas_are_a_tenants_and_the_others_go_on(tmp_path: Path) -> None:
    small = Quota(open_jobs=2, stored_bytes=10**9, calls_per_second=1000)
    slow = Quota(open_jobs=10, stored_bytes=10**9, calls_per_second=1)
    tight = Quota(open_jobs=10, stored_bytes=1500, calls_per_second=1000)
    tenants = {"small": small, "slow": slow, "tight": tight}
    with sites.running(tmp_path, Terms(tenants=tenants)) as site:
        found = {}
        for tenant in (*tenants, "free"):
            caller = site.submitter(tenant)
            found[tenant] = [caller.post("/jobs", content=envelope(tenant)[1]) for _ in range(7)]
        codes = {tenant: [one.json().get("code") for one in answers] for tenant, answers in found.items()}
        assert codes["small"] == [None] * 2 + ["quota.jobs"] * 5
        assert codes["slow"][:5] == [None] * 5
        assert codes["slow"][-1] == "quota.rate"
        assert codes["tight"][0] is None
        assert codes["tight"][-1] == "quota.bytes"
        assert codes["free"] == [None] * 7
        for tenant in tenants:
            assert (found[tenant][-1].status_code, "retry-after" in found[tenant][-1].headers) == (429, True)
        assert site.submitter("slow").get("/jobs").status_code == 200  # another token of the tenant


def test_a_body_that_dribbles_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(calls, "SLOWEST_BYTES_PER_SECOND", 10**9)

    def dribble() -> Any:
        for _ in range(100):
            yield b" "
            time.sleep(0.05)

    with sites.running(tmp_path) as site, site.http() as http:
        answer = http.post("/enroll", content=dribble())
        assert (answer.status_code, answer.json()["code"]) == (408, "request.timeout")
        assert answer.headers["connection"] == "close"


def test_a_head_that_dribbles_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_HEADER_SECONDS", 0.2)
    with sites.running(tmp_path) as site:
        plain = socket.create_connection(("127.0.0.1", site.port), timeout=20)
        with plain, site.tls().wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            with suppress(ConnectionError, ssl.SSLError):  # cut off all the same
                assert tls.recv(10) == b""
        with site.http() as http:
            assert http.get("/health").status_code == 200


def test_callers_beyond_the_descriptors_are_turned_away_and_the_rest_is_served(tmp_path: Path) -> None:
    """Python's accept loop runs hot without descriptors: it must never get there."""
    with sites.running(tmp_path) as site:
        listening = site.server.servers[0].sockets[0]._sock
        used = {int(one.name) for one in Path("/proc/self/fd").iterdir()}
        free = (number for number in count() if number not in used)
        listening.most = next(islice(free, 52, None))  # the callers, in this process too, take 40 of them
        held = [socket.create_connection(("127.0.0.1", site.port), timeout=10) for _ in range(40)]
        time.sleep(0.3)
        open_ = 0
        for one in held:
            one.settimeout(0.05)
            try:
                open_ += one.recv(1) != b""
            except TimeoutError:
                open_ += 1
            except ConnectionError:
                pass
        assert 0 < open_ < 40
        for one in held:
            one.close()
        until(lambda: _served(site))


def _served(site: Site) -> bool:
    with site.http() as http:
        try:
            return http.get("/health").status_code == 200
        except httpx.TransportError:
            return False


def test_a_listening_socket_keeps_its_reserve() -> None:
    with bound("127.0.0.1", 0) as made:
        assert made.most > 64


# --- certificates


def test_a_certificate_that_ends_counts_no_more_on_an_open_connection(tmp_path: Path) -> None:
    with sites.running(tmp_path) as site:
        agent = site.agent()
        assert alive(agent, agent.http)
        site.ahead = 25 * 3600
        answer = agent.http.post("/heartbeat", json={"session": agent.session, "leases": []})
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.invalid")


def test_the_ca_is_rolled_and_nobody_is_cut_off(tmp_path: Path) -> None:
    with sites.running(tmp_path) as site:
        agent, files, now = site.agent(), site.files, time.time()
        domain, hosts = sites.DOMAIN, ("localhost", "127.0.0.1")
        before = site.hub.authority.certificate

        roll.prepare(files, domain, now)
        until(lambda: len(site.hub.authority.others) == 1)
        assert site.hub.authority.certificate == before
        (known,) = site.hub.store.agents(None)
        assert roll.behind([known], now + 1, 24 * 3600, now) == (f"acme/{agent.name}",)
        with pytest.raises(roll.RollError):
            roll.prepare(files, domain, now)

        key = new_key()
        said = agent.http.post("/renew", json={"csr": csr_of(key)}).json()
        assert len(x509.load_pem_x509_certificates(said["ca"].encode())) == 2
        assert roll.behind([site.hub.store.agent("acme", agent.name)], now - 5, 24 * 3600, now) == ()  # type: ignore[list-item]
        renewed = site.http(site.pair(key, said["certificate"]))

        roll.switch(files, domain, hosts, now)
        until(lambda: site.hub.authority.certificate != before)
        bundle = ssl.create_default_context(cadata=said["ca"])
        bundle.load_cert_chain(agent.pair)
        only_new = ssl.create_default_context(cadata=site.hub.authority.certificate_pem().decode())
        for context in (bundle, only_new):  # what the agent was told, and the next CA alone
            with httpx.Client(verify=context, base_url=site.url) as http:
                assert http.get("/health").status_code == 200
        with httpx.Client(verify=bundle, base_url=site.url) as http:
            assert alive(agent, http)
        assert alive(agent, agent.http)
        newest = new_key()
        third = renewed.post("/renew", json={"csr": csr_of(newest)}).json()["certificate"]
        assert site.hub.authority.issued(x509.load_pem_x509_certificate(third.encode()))

        roll.drop(files, domain)
        until(lambda: site.hub.authority.others == ())
        assert agent.http.post("/heartbeat", json={"session": agent.session, "leases": []}).status_code == 401
        assert renewed.post("/heartbeat", json={"session": agent.session, "leases": []}).status_code == 401
        with httpx.Client(verify=bundle, base_url=site.url) as http, pytest.raises(httpx.TransportError):
            http.get("/health")  # TLS refuses the former CA's certificate on a new connection
        assert alive(agent, site.http(site.pair(newest, third)))
        with pytest.raises(roll.RollError):
            roll.drop(files, domain)
        with pytest.raises(roll.RollError):
            roll.switch(files, domain, hosts, now)


@pytest.mark.parametrize(
    "cut", ["before the key", "after the key", "after the key's copy is gone", "after the certificate"]
)
def test_a_switch_that_was_cut_short_is_gone_on_with(tmp_path: Path, cut: str) -> None:
    files, now = sites.Files(tmp_path), time.time()
    sites.init(files, sites.DOMAIN, ("localhost",), now)
    old = files.ca.read_bytes()
    roll.prepare(files, sites.DOMAIN, now + 1)
    next_ = files.ca_next.read_bytes()
    files.ca_old.write_bytes(old)
    if cut != "before the key":
        files.ca_key.write_bytes(files.ca_next_key.read_bytes())
    if cut in {"after the key's copy is gone", "after the certificate"}:
        files.ca_next_key.unlink()
    if cut == "after the certificate":
        files.ca.write_bytes(next_)
    found = load(files, sites.DOMAIN)  # a Router that starts now
    assert found.certificate_pem() == (old if cut == "before the key" else next_)
    assert len(found.others) == 1
    after = roll.switch(files, sites.DOMAIN, ("localhost",), now)
    assert after.certificate_pem() == next_
    assert [one.public_bytes(sites.serialization.Encoding.PEM) for one in after.others] == [old]
    assert after.issued(x509.load_pem_x509_certificate(files.certificate.read_bytes()))
    assert roll.drop(files, sites.DOMAIN).others == ()


def test_the_routers_own_certificate_is_renewed_and_served_without_a_restart(tmp_path: Path) -> None:
    with sites.running(tmp_path) as site:
        first = ssl.get_server_certificate(("127.0.0.1", site.port))
        assert not roll.renewed(site.files, site.hub.authority, time.time() + 59 * 86_400)
        assert roll.renewed(site.files, site.hub.authority, time.time() + 61 * 86_400)
        until(lambda: ssl.get_server_certificate(("127.0.0.1", site.port)) != first)
        names = x509.load_pem_x509_certificate(site.files.certificate.read_bytes()).extensions
        said = names.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(name.value) for name in said] == ["localhost", "127.0.0.1"]


def test_a_certificate_from_elsewhere_is_left_alone(tmp_path: Path) -> None:
    files, now = sites.Files(tmp_path), time.time()
    authority = sites.init(files, sites.DOMAIN, ("localhost",), now)
    other = Authority.make("elsewhere.org", now)
    roll.reissue(files, other, ("localhost",), now)
    assert not roll.renewed(files, authority, now + 80 * 86_400)


def test_a_broken_certificate_file_does_not_stop_a_router_that_runs(tmp_path: Path) -> None:
    with sites.running(tmp_path) as site:
        good = site.files.certificate.read_bytes()
        site.files.certificate.write_bytes(b"not a certificate")
        time.sleep(1.5)
        assert _served(site)
        site.files.certificate.write_bytes(good)
        time.sleep(1.2)
        assert _served(site)


def test_revocation_outlives_a_restart(tmp_path: Path) -> None:
    with sites.running(tmp_path) as site:
        agent = site.agent("a")
        site.do(ops.RevokeAgent("acme", "a"))
    with sites.running(tmp_path) as site:
        answer = site.http(agent.pair).post("/sessions", json={"instance": ulid(), "slots": {}, "version": "1"})
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.invalid")


# --- behind a proxy


class Local:
    """A Router on a unix socket."""

    def __init__(self, folder: Path) -> None:
        self.site = Site(folder)
        self.path = folder / "router.sock"
        self.site.server = local_server_of(self.site.hub, self.site.files, self.path, "0.1")

    def __enter__(self) -> Self:
        self.site._thread = Thread(target=lambda: self.site.loop.run_until_complete(self.site.server.serve()))
        self.site._thread.start()
        until(lambda: self.site.server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.site.stop()

    def post(self, path: str, headers: list[tuple[str, str]], **said: Any) -> httpx.Response:
        transport = httpx.HTTPTransport(uds=str(self.path))
        with httpx.Client(transport=transport, base_url="http://router/v1") as http:
            return http.post(path, headers=headers, json=said)


def test_a_proxy_on_a_unix_socket_hands_certificates_on(tmp_path: Path) -> None:
    with Local(tmp_path) as local:
        site, key = local.site, new_key()
        assert local.path.stat().st_mode & 0o777 == 0o660
        token = site.token("enroll", "acme", ("default",))
        pem = local.post("/enroll", [], token=token, name="a", csr=csr_of(key)).json()["certificate"]
        name, session = "x-forwarded-client-cert", {"instance": ulid(), "slots": {}, "version": "1"}
        nginx = (name, quote(pem))
        envoy = (name, f'By=spiffe://x;Hash=abc;Cert="{quote(pem)}";Subject="CN=a"')
        assert local.post("/sessions", [nginx], **session).json()["agent"] == "a"
        assert local.post("/sessions", [envoy], **session).json()["agent"] == "a"
        other = Authority.make(sites.DOMAIN, time.time()).agent(
            csr_of(key).encode(), AgentId(tenant="acme", name="a"), time.time()
        )
        refused: dict[str, list[tuple[str, str]]] = {
            "none": [],
            "two": [nginx, nginx],
            "two in one": [(name, envoy[1] + "," + envoy[1])],
            "another authority's": [(name, quote(other.pem))],
            "no certificate": [(name, "hello")],
            "a CA's": [(name, quote(site.authority.certificate_pem().decode()))],
            "too long": [(name, quote(pem) + "x" * 20_000)],
            "only its name": [(name, 'URI="spiffe://example.org/tenant/acme/agent/a"')],
        }
        found = {how: local.post("/sessions", headers, **session).status_code for how, headers in refused.items()}
        assert found == dict.fromkeys(refused, 401)


# --- the end


def test_at_its_end_a_router_answers_those_who_wait_and_loses_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.start()
    agent, caller = site.agent(), site.submitter()
    job = submitted(caller, audience="pool:elsewhere")
    with ThreadPoolExecutor() as pool:
        waits = [
            pool.submit(agent.lease, 60),
            pool.submit(site.http(agent.pair).get, f"/sessions/{agent.session}/orders?wait=60"),
            pool.submit(caller.get, f"/jobs/{job}?wait=60"),
        ]
        time.sleep(0.5)
        begun = time.monotonic()
        site.server.should_exit = True
        lease, orders, seen = (wait.result(30) for wait in waits)
        assert time.monotonic() - begun < 20  # of the minute
    assert (lease.status_code, lease.json()["code"], "retry-after" in lease.headers) == (503, "shutting_down", True)
    assert orders.status_code == 503
    assert seen.json()["state"] == "queued"
    site.stop()
    with sites.running(tmp_path) as again:
        fetched = again.http(authorization=caller.headers["authorization"]).get(f"/jobs/{job}")
        assert fetched.json()["state"] == "queued"


def test_health_tells_when_the_store_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sites.running(tmp_path) as site, site.http() as http:
        assert http.get("/health").status_code == 200

        async def broken() -> None:
            raise RuntimeError

        monkeypatch.setattr(type(site.hub), "tick", lambda _: broken())
        site.ahead += 11
        answer = http.get("/health")
        assert (answer.status_code, answer.json()["code"]) == (503, "store.unavailable")


def test_a_defect_is_an_answer_without_words_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sites.running(tmp_path) as site:
        caller = site.submitter()

        def broken(*_: object) -> None:
            raise KeyError("hunter2")

        monkeypatch.setattr(site.hub.store, "jobs", broken)
        answer = caller.get("/jobs")
        assert (answer.status_code, answer.json()["code"], "hunter2" in answer.text) == (500, "internal", False)


def test_a_submitters_certificate_is_bound_to_its_record(tmp_path: Path) -> None:
    with sites.running(tmp_path) as site:
        planner = site.certified("acme", "planner", ("a",))
        assert planner.post("/jobs", content=envelope(audience="pool:a")[1]).status_code == 202
        assert planner.post("/jobs", content=envelope(audience="pool:b")[1]).json()["code"] == "auth.scope"
        (record,) = [one for one in site.hub.store.tokens("acme") if one.kind == "submit"]
        site.do(ops.RevokeToken(record.id))
        assert planner.get("/jobs").json()["code"] == "auth.invalid"
        unknown = site.forged(site.authority, SubmitterId(tenant="acme", name="nobody"))
        assert unknown.get("/jobs").json()["code"] == "auth.invalid"
