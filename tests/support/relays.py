"""What stands between an agent and its Router: a relay of bytes that cuts and swallows, and one that meddles with calls."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date", "server"})


class Relay:
    """TCP on loopback to `target`. `cut` ends what is open; `hole` holds everything back; `most` ends after so many bytes.

    `refusing`: new ones are turned away; `refusing_after`: from that end on. `up` counts bytes on their way there.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self.refusing = self.refusing_after = False
        self.most: int | None = None
        self.up = 0
        self._clear = threading.Event()
        self._clear.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._clear.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        for one in tuple(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def hole(self, *, there: bool) -> None:
        """Connections stay, and new ones are taken, but nothing comes through before its end."""
        (self._clear.clear if there else self._clear.set)()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            if self.refusing:
                return
            with socket.create_connection(("127.0.0.1", self._target)) as far:
                self._open |= {client, far}
                try:
                    back = threading.Thread(target=self._copy, args=(far, client, False), daemon=True)
                    back.start()
                    self._copy(client, far, True)
                    back.join()
                finally:
                    self._open -= {client, far}

    def _copy(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with suppress(OSError):
            while data := source.recv(16_384):
                self._clear.wait()
                if up:
                    self.up += len(data)
                    if self.most is not None and self.up > self.most:
                        self.refusing = self.refusing_after
                        self.most = None
                        self.cut()
                        return
                sink.sendall(data)
            self._clear.wait()
            sink.shutdown(socket.SHUT_WR)


@dataclass(frozen=True)
class Call:
    """One call of an agent, as it came."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def kind(self) -> str:
        """`sessions`, `lease`, `accept`, `heartbeat`, `events`, `orders`, `parts`, `part`, `manifest`, `result` …"""
        steps = self.path.partition("?")[0].removeprefix("/v1/").split("/")
        if "results" in steps:
            whole = self.headers.get("content-type", "").endswith("mres")
            return (
                "part"
                if self.method == "PUT"
                else "parts"
                if steps[-1] == "parts"
                else "result"
                if whole
                else "manifest"
            )
        return "close" if self.method == "DELETE" else steps[-1]


@dataclass(frozen=True)
class Answer:
    """What the Router said."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes


Send = Callable[[Call], Answer]
Meddling = Callable[[Call, Send], Answer | None]
"""A call and the way to the Router -> what its caller hears; None ends the connection without a word."""


def passing(call: Call, send: Send) -> Answer | None:
    """No meddling."""
    return send(call)


@dataclass
class Meddler:
    """Ends the agent's TLS with the Router's own key, reads each call, and speaks to the Router with the agent's."""

    port: int
    meddling: Meddling = passing
    calls: list[tuple[Call, int]] = field(default_factory=list)
    """Every call that reached the Router, and the status of its answer, in the order of the answers."""
    _client: httpx.Client | None = None
    _base: str = ""

    def send(self, call: Call) -> Answer:
        assert self._client is not None, "it is running"
        found = self._client.request(call.method, self._base + call.path, headers=call.headers, content=call.body)
        self.calls.append((call, found.status_code))
        kept = {name: value for name, value in found.headers.items() if name not in _HOP}
        return Answer(found.status_code, kept, found.content)

    def kinds(self) -> list[str]:
        return [call.kind for call, _ in self.calls]


@contextmanager
def meddler(files: Any, target: int, pair: Path) -> Iterator[Meddler]:
    """Between an agent with the TLS files in `pair` and the Router at `target`, whose folder is `files`."""
    theirs = ssl.create_default_context(cafile=str(files.ca))
    theirs.load_cert_chain(pair)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(files.certificate, files.key)
    with httpx.Client(verify=theirs, timeout=90, limits=httpx.Limits(max_connections=64)) as client:
        made = Meddler(port=0, _client=client, _base=f"https://localhost:{target}")
        server = _Server(("127.0.0.1", 0), _handler(made))
        made.port = int(server.server_address[1])
        server.tls = own
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            server.server_close()
            time.sleep(0.05)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    tls: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a handshake that hangs holds up nobody."""
        with suppress(OSError), self.tls.wrap_socket(request, server_side=True) as wrapped:
            self.RequestHandlerClass(wrapped, client_address, self)  # type: ignore[arg-type]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The agent hangs up whenever it likes."""


def _handler(meddler: Meddler) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items() if name.lower() not in _HOP}
            try:
                answer = meddler.meddling(Call(self.command, self.path, headers, body), meddler.send)
            except httpx.HTTPError:
                answer = None
            if answer is None:
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != httpx.codes.NO_CONTENT:
                self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _any  # noqa: N815 - the library's names

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    return Handler
