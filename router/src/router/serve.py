"""Composition root: files and numbers -> a running Router."""

import logging
import ssl
from asyncio import Protocol
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import uvicorn

from router.ca.authority import Authority
from router.server import tls
from router.server.app import application
from router.server.listening import BACKLOG, RouterServer, most_of_one
from router.server.protocol import PeerProtocol, Peers
from router.service import files as disk
from router.service import roll
from router.service.bell import Bell
from router.service.files import Files
from router.service.hub import Hub, Quota, Terms
from router.service.parking import Parking
from router.service.relay import Relay
from router.service.writer import Writer
from router.store.parts import FolderParts
from router.store.port import Parts, Store
from router.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from router.cli.site import Settings

_RENEWAL_LOOKS_SECONDS: Final = 3600.0
_LOGGER = logging.getLogger(__name__)


def hub_of(
    files: Files, authority: Authority, terms: Terms, *, database: str | None = None, parts: Path | None = None
) -> Hub:
    """A hub over the embedded store, or over PostgreSQL at the address `database`.

    Args: `parts` is a folder that all Routers over one database share; without it parts stand in the database.
    Raises StoreError.
    """
    over = partial(_hub_over, authority=authority, terms=terms)
    if database is None:
        return over(SqliteStore(files.store), FolderParts(files.parts))
    from router.store.postgres import PostgresStore  # noqa: PLC0415 - the embedded store needs no driver
    from router.store.postgres_parts import PostgresParts  # noqa: PLC0415

    store = PostgresStore(database)
    return over(store, PostgresParts(database) if parts is None else FolderParts(parts), relay=Relay(store))


def _hub_over(store: Store, parts: Parts, *, authority: Authority, terms: Terms, relay: Relay | None = None) -> Hub:
    writer, bell = Writer(store), Bell()
    return Hub(
        store=store,
        parts=parts,
        writer=writer,
        bell=bell,
        parking=Parking(writer, bell, store.ready()),
        authority=authority,
        terms=terms,
        relay=relay,
    )


class Keeper:
    """Keeps the Router's certificate and authorities current: files that changed are read again, without a restart."""

    def __init__(self, hub: Hub, files: Files) -> None:
        """Raises OSError, ValueError, ssl.SSLError."""
        self._hub, self._files = hub, files
        self.tls = tls.Current(self._context())
        self._seen = disk.stamp(files)
        self._looked = 0.0

    def look(self) -> None:
        """Called about once a second. Whatever cannot be read is logged, and the last good one stays in use."""
        try:
            now = self._hub.now()
            if now - self._looked > _RENEWAL_LOOKS_SECONDS:
                self._looked = now
                if roll.renewed(self._files, self._hub.authority, now):
                    _LOGGER.warning("the Router's own certificate was renewed")
            seen = disk.stamp(self._files)
            if seen != self._seen:
                self._hub.adopt(disk.load(self._files, self._hub.authority.domain))
                self.tls.replace(self._context())
                self._seen = seen
                _LOGGER.warning("certificates were read again")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            _LOGGER.error("certificates cannot be read again: %s", type(error).__name__)  # noqa: TRY400 - no traceback

    def _context(self) -> ssl.SSLContext:
        authorities = self._hub.authority.bundle_pem().decode()
        return tls.context(self._files.certificate, self._files.key, authorities)


def server_of(hub: Hub, files: Files, host: str, port: int, version: str) -> RouterServer:
    """The server over TLS, not yet running. Raises OSError, ValueError."""
    tls.shrink_buffers()
    tls.hasten_handshakes()
    keeper = Keeper(hub, files)
    return RouterServer(_config(hub, version, keeper.tls.listening), hub, (host, port), keeper.look)


def local_server_of(hub: Hub, files: Files, path: Path, version: str) -> RouterServer:
    """The server on a unix socket, for a proxy on this machine that ends TLS and hands on certificates."""
    keeper = Keeper(hub, files)
    return RouterServer(_config(hub, version, None), hub, path, keeper.look)


def _config(hub: Hub, version: str, context: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        application(hub, version),
        http=cast("type[Protocol]", partial(PeerProtocol, peers=Peers(most_of_one(hub.terms.connections)))),
        ws="none",
        loop="asyncio",
        lifespan="on",
        ssl_context_factory=None if context is None else lambda *_: context,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        log_level=logging.WARNING,
        backlog=BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )


def terms_of(settings: "Settings") -> Terms:
    """The numbers of the settings."""
    return Terms(
        open_jobs=settings.open_jobs,
        stored_bytes=settings.stored_bytes,
        result_bytes=settings.result_bytes,
        keep_results_seconds=settings.keep_results_hours * 3600,
        keep_jobs_seconds=settings.keep_jobs_hours * 3600,
        agent_hours=settings.agent_hours,
        calls_per_second=settings.calls_per_second,
        failures_per_second=settings.failures_per_second,
        connections=settings.connections,
        keep_uploads_seconds=settings.keep_uploads_hours * 3600,
        tenants={
            tenant: Quota(
                open_jobs=int(own.get("open_jobs", settings.open_jobs)),
                stored_bytes=int(own.get("stored_bytes", settings.stored_bytes)),
                calls_per_second=own.get("calls_per_second", settings.calls_per_second),
            )
            for tenant, own in settings.tenants.items()
        },
    )


def run(folder: Path, settings: "Settings", place: "tuple[str, int] | Path") -> None:
    """Serve until SIGTERM or SIGINT, at an address or a unix socket.

    Raises StoreError, ValueError, and OSError for files that cannot be read and an address that cannot be had.
    """
    files = Files(folder)
    hub = hub_of(
        files,
        disk.load(files, settings.domain),
        terms_of(settings),
        database=settings.address(folder),
        parts=None if settings.parts_folder is None else folder / settings.parts_folder,
    )
    number = version("meridyen-router")
    if isinstance(place, Path):
        local_server_of(hub, files, place, number).run()
    else:
        server_of(hub, files, *place, number).run()
