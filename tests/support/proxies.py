"""Proxies in front of a server: one that ends TLS, one whose connections can be cut, and one that is asked to CONNECT."""

import base64
import contextlib
import http.server
import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Self

import trustme

_SSL_REQUEST = struct.pack("!II", 8, 80877103)


class Proxy:
    """Forwards TCP connections to `port` of this host. With `tls`, as a PostgreSQL server that offers TLS."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target, self._tls = port, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End all connections without a word."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), client:
            if self._tls is not None:
                if client.recv(8, socket.MSG_WAITALL) != _SSL_REQUEST:
                    return
                client.sendall(b"S")
                client = self._tls.wrap_socket(client, server_side=True)
            with client, socket.create_connection(("127.0.0.1", self._target)) as server:
                self._open += [client, server]
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join()


class ConnectProxy:
    """A small real proxy: CONNECT with Basic, and what it was asked for. Every name leads to this host."""

    def __init__(self, login: str | None) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.login = login
        self._open: list[socket.socket] = []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                given = self.headers.get("proxy-authorization")
                proxy.asked.append((self.path, given))
                if given != proxy.wanted:
                    self.send_error(407)
                    return
                with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as far:
                    self.send_response(200)
                    self.end_headers()
                    proxy._open += [self.connection, far]
                    back = threading.Thread(target=_copy, args=(far, self.connection), daemon=True)
                    back.start()
                    _copy(self.connection, far)
                    back.join()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    @property
    def wanted(self) -> str | None:
        """The header that its login makes."""
        return None if self.login is None else "Basic " + base64.b64encode(self.login.encode()).decode()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self.cut()
        self._server.server_close()

    def cut(self) -> None:
        """End all connections without a word."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def certificates(folder: Path, host: str) -> tuple[Path, ssl.SSLContext]:
    """A CA's file, and a server's context with a certificate of it for `host`."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    file = folder / f"ca-{host}.pem"
    authority.cert_pem.write_to_path(str(file))
    return file, context
