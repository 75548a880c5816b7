"""The way to a Router, tried step by step with plain sockets: name, proxy, connection, TLS, its answer, its clock.

Each step that fails ends the way to its address: what lies behind it cannot be told.
"""

import email.utils
import http.client
import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from agent.core.errors import TransportError
from agent.core.ports import Finding
from agent.transport import _tls
from agent.transport._issuer import issuer
from agent.transport._terms import Place, Terms
from agent.transport._tls import Material
from agent.wire.ids import new_ulid

SECONDS: Final = 5.0
SKEW_NOTED_SECONDS: Final = 30.0
SKEW_BAD_SECONDS: Final = 240.0
_HTTPS, _HTTP = 443, 80
_MAX_REPLY_BYTES: Final = 65_536
_LOGIN_WANTED: Final = 407
_EXPIRED, _NOT_YET, _WRONG_NAME = 10, 9, 62
"""X509_V_ERR_* of OpenSSL."""


class _StepError(Exception):
    """A step failed: its finding."""

    def __init__(self, check: str, found: str, expected: str, fix: str) -> None:
        self.finding = Finding(check, "error", found, fix, expected)
        super().__init__(check)


@dataclass(frozen=True, slots=True)
class _Target:
    url: str
    host: str
    port: int


def examine(config: Terms, place: Place) -> tuple[Finding, ...]:
    """Every address in turn. Raises nothing."""
    return tuple(finding for url in config.urls for finding in _one(config, place, url))


def _one(config: Terms, place: Place, url: str) -> Iterator[Finding]:
    try:
        target = _target(url)
        proxy = _proxy(config, target)
        if proxy is None:
            yield _resolved("DNS", target.host, target.port, "transport.https.urls")
        else:
            yield _resolved("proxy: DNS", proxy.hostname or "", proxy.port or _HTTP, "transport.https.proxy")
        with _connected(target, proxy) as sock:
            way = "through the proxy" if proxy is not None else "directly"
            yield Finding("connection", "ok", f"{target.host}:{target.port} {way}")
            material = _material(config, place)
            with _wrapped(sock, target, material, place, proxied=proxy is not None) as secured:
                yield Finding("TLS", "ok", f"{secured.version()}, the certificate is trusted")
                yield from _answered(secured, target, enrolled=material.certificate is not None)
    except _StepError as failure:
        yield failure.finding


def _target(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        port = parts.port or _HTTPS
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), 0
    if parts.scheme != "https" or not parts.hostname:
        expected = "https://HOST:PORT"
        raise _StepError("address", f"{url} is no address of a Router", expected, "correct transport.https.urls.")
    return _Target(url, parts.hostname, port)


def _proxy(config: Terms, target: _Target) -> SplitResult | None:
    for pattern in config.no_proxy:
        if pattern in {"*", target.host} or (pattern.startswith(".") and target.host.endswith(pattern)):
            return None
    if config.proxy is None:
        return None
    with suppress(ValueError):
        parts = urlsplit(config.proxy)
        if parts.scheme == "http" and parts.hostname and (parts.port or _HTTP) > 0:
            return parts
    expected = "http://[user:password@]host:port"
    raise _StepError("proxy", "its address cannot be used", expected, "correct transport.https.proxy.")


def _resolved(check: str, host: str, port: int, key: str) -> Finding:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not a host name"
        fix = f"correct {key}, or have the name put into this machine's DNS (/etc/resolv.conf, /etc/hosts)."
        raise _StepError(check, f"the name {host} is not known here ({said})", "an address", fix) from None
    addresses = sorted({str(one[4][0]) for one in found})
    return Finding(check, "ok", f"{host} is {', '.join(addresses[:4])}")


def _connected(target: _Target, proxy: SplitResult | None) -> socket.socket:
    if proxy is None:
        fix = "open the firewall for this way out, see that the Router runs, and check transport.https.urls."
        return _dialled("connection", target.host, target.port, fix)
    fix = "see that the proxy runs, and check transport.https.proxy."
    sock = _dialled("proxy", proxy.hostname or "", proxy.port or _HTTP, fix)
    try:
        _tunnel(sock, target, proxy)
    except BaseException:
        sock.close()
        raise
    return sock


def _dialled(check: str, host: str, port: int, fix: str) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=SECONDS)
    except OSError as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
        raise _StepError(check, f"{host}:{port} cannot be connected to ({why})", "a connection", fix) from None


def _tunnel(sock: socket.socket, target: _Target, proxy: SplitResult) -> None:
    lines = [f"CONNECT {target.host}:{target.port} HTTP/1.1", f"Host: {target.host}:{target.port}"]
    if proxy.username:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}")
    expected = "a tunnel (status 200)"
    try:
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        head, deadline = b"", time.monotonic() + SECONDS
        while b"\r\n\r\n" not in head and len(head) < _MAX_REPLY_BYTES and time.monotonic() < deadline:
            chunk = sock.recv(1)  # not a byte of what comes behind
            if not chunk:
                break
            head += chunk
        status = int(head.split(None, 2)[1])
    except (OSError, ValueError, IndexError):
        fix = "check transport.https.proxy; what answers there is no HTTP proxy."
        raise _StepError("proxy", "it does not answer as a proxy does", expected, fix) from None
    if status == _LOGIN_WANTED:
        fix = "correct user and password in the secret behind transport.https.proxy."
        raise _StepError("proxy", "it wants another login (status 407)", expected, fix)
    if status != 200:  # noqa: PLR2004
        fix = f"have the proxy let {target.host}:{target.port} through, or name the host in transport.https.no_proxy."
        raise _StepError("proxy", f"it refused the way to {target.host} (status {status})", expected, fix)


def _material(config: Terms, place: Place) -> Material:
    pair = place.pair if place.pair.exists() else None
    ca = config.ca_file or (place.ca if place.ca.exists() else None)
    if ca is not None:
        _check_ca(ca)
    return Material(ca=ca, certificate=pair, pins=config.pins, learned=place.ca)


def _check_ca(ca: Path) -> None:
    fix = "point transport.https.ca_file to the Router's ca.pem, readable for the agent's account."
    expected = "certificates of an authority, in PEM"
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(ca)
    except ssl.SSLError:
        raise _StepError("CA", f"{ca} holds no certificate", expected, fix) from None
    except OSError as error:
        raise _StepError("CA", f"{ca} cannot be read ({error.strerror})", expected, fix) from None
    if not context.get_ca_certs():
        raise _StepError("CA", f"{ca} holds no certificate of an authority", expected, fix)


def _wrapped(sock: socket.socket, target: _Target, material: Material, place: Place, *, proxied: bool) -> ssl.SSLSocket:
    try:
        # A pin is checked behind the handshake here: the pinned class is for objects, not for sockets.
        context = _tls.context(replace(material, pins=()))
    except TransportError as error:
        sentence, _, fix = str(error).partition(" Fix: ")
        raise _StepError("TLS files", sentence.rstrip("."), "a key and its certificate", fix) from None
    try:
        secured = context.wrap_socket(sock, server_hostname=target.host)
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(error, target, material, place, proxied=proxied) from None
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        fix = "check the address; what answers there does not speak TLS 1.3, or a firewall ends it."
        raise _StepError("TLS", f"the handshake failed ({why})", "TLS 1.3", fix) from None
    if material.pins and _tls.spki_pin(secured.getpeercert(binary_form=True) or b"") not in material.pins:
        secured.close()
        fix = "ask the Router's operator whether its key was changed; if so, put the new pin into transport.https.pins."
        raise _StepError("TLS", "the Router shows another key than a pinned one", "a key of transport.https.pins", fix)
    return secured


def _untrusted(
    error: ssl.SSLCertVerificationError, target: _Target, material: Material, place: Place, *, proxied: bool
) -> _StepError:
    expected = f"a certificate for {target.host} by {material.ca or 'an authority of the system'}"
    if error.verify_code in {_EXPIRED, _NOT_YET}:
        state = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
        fix = "check this machine's clock first; if it is right, the Router needs a new certificate."
        return _StepError("TLS", f"the Router's certificate {state}, by this machine's clock", expected, fix)
    if error.verify_code == _WRONG_NAME:
        fix = "use in transport.https.urls a name that the Router's certificate was issued for."
        return _StepError("TLS", f"the certificate is for another name than {target.host}", expected, fix)
    by = "somebody else" if proxied else _shown_by(target)
    if not place.ca.exists():
        fix = "point transport.https.ca_file to the Router's ca.pem; if it is that one, see proxies.md."
        found = f"the certificate shown is by {by}, whom {material.ca or 'the system'} does not name"
        return _StepError("CA", found, expected, fix)
    # The CA of enrolment did hold once: what is shown now is not the Router's, or the Router has a new authority.
    fix = (
        f"have {target.host} exempted from TLS inspection: the agent trusts nobody in between. If the Router did "
        "change its authority, put the new ca.pem into transport.https.ca_file."
    )
    found = f"the certificate shown is by {by}, not by the Router's CA: somebody on the way ends TLS"
    return _StepError("TLS interception", found, expected, fix)


def _shown_by(target: _Target) -> str:
    """The issuer that the certificate names. Nothing is sent over this connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        suppress(OSError, ssl.SSLError, ValueError),
        socket.create_connection((target.host, target.port), timeout=SECONDS) as sock,
        context.wrap_socket(sock, server_hostname=target.host) as secured,
    ):
        return issuer(secured.getpeercert(binary_form=True) or b"") or "nobody"
    return "an unknown issuer"


def _answered(secured: ssl.SSLSocket, target: _Target, *, enrolled: bool) -> Iterator[Finding]:
    """A call that changes nothing: a heartbeat of a session that does not exist."""
    body = json.dumps({"session": new_ulid(time.time()), "leases": []}).encode()
    head = f"POST /v1/heartbeat HTTP/1.1\r\nHost: {target.host}\r\nContent-Type: application/json\r\n"
    try:
        secured.sendall(head.encode() + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        response = http.client.HTTPResponse(secured)
        response.begin()
        now = time.time()
        said = json.loads(response.read(_MAX_REPLY_BYTES))
        code, message = str(said["code"]), str(said.get("message", ""))
    except (OSError, ssl.SSLError, http.client.HTTPException):
        # Under TLS 1.3 a server refuses a client's certificate only after the handshake: the link just ends.
        fix = "enrol again with `agent enroll`: the Router refuses certificates that expired, or that it did not issue."
        raise _StepError("Router", "it ended the connection without an answer", "an answer", fix) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        fix = "check transport.https.urls and the proxy; somebody else answers there."
        raise _StepError("Router", "what answers there is not a Router", "a Router's answer", fix) from None
    yield _knows(code, message, enrolled=enrolled)
    yield from _clock(response.getheader("date", ""), now)


def _knows(code: str, message: str, *, enrolled: bool) -> Finding:
    if code == "session.unknown":
        return Finding("Router", "ok", "answers, and knows this agent")
    if not enrolled:
        fix = "`agent enroll` with a token of the Router's operator."
        return Finding("Router", "error", "answers, but this agent is not enrolled", fix, "a certificate of the Router")
    revoked = "revoked" in message
    found = "answers, but it has revoked this agent" if revoked else f"answers, but refuses this agent ({code[:64]})"
    fix = "ask the Router's operator why; with a new token, `agent enroll` gets a new certificate."
    if revoked:
        fix = "ask the Router's operator why; a revoked name stays so: `agent enroll` under another agent.name."
    return Finding("Router", "error", found, fix, "an agent that the Router knows")


def _clock(date: str, now: float) -> Iterator[Finding]:
    with suppress(ValueError, TypeError):
        skew = now - email.utils.parsedate_to_datetime(date).timestamp()
        level: Literal["ok", "warning", "error"] = (
            "ok" if abs(skew) < SKEW_NOTED_SECONDS else "warning" if abs(skew) < SKEW_BAD_SECONDS else "error"
        )
        way = "ahead of" if skew > 0 else "behind"
        found = f"{abs(skew):.0f} s {way} the Router's"
        fix = "" if level == "ok" else "set this machine's clock: check its time service (NTP), then the Router's."
        yield Finding("clock", level, found, fix, "at most 30 s apart; jobs are judged with 5 minutes of tolerance")
