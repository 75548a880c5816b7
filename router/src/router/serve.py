"""Composition root: files and numbers -> a running Router."""

import logging
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from router.ca.authority import Authority
from router.server import tls
from router.server.app import application
from router.server.protocol import PeerProtocol
from router.service import files as disk
from router.service.bell import Bell
from router.service.files import Files
from router.service.hub import Hub, Terms
from router.service.parking import Parking
from router.service.writer import Writer
from router.store.parts import FolderParts
from router.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from router.cli.site import Settings

BACKLOG: Final = 128
MOST_CONNECTIONS: Final = 8192


def hub_of(files: Files, authority: Authority, terms: Terms) -> Hub:
    """A hub over the embedded store. Raises StoreError."""
    store = SqliteStore(files.store)
    writer, bell = Writer(store), Bell()
    return Hub(
        store=store,
        parts=FolderParts(files.parts),
        writer=writer,
        bell=bell,
        parking=Parking(writer, bell, store.ready()),
        authority=authority,
        terms=terms,
    )


def server_of(hub: Hub, files: Files, host: str, port: int, version: str) -> uvicorn.Server:
    """The server, not yet running."""
    tls.shrink_buffers()
    config = uvicorn.Config(
        application(hub, version),
        host=host,
        port=port,
        http=PeerProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        ssl_context_factory=lambda *_: tls.context(files.certificate, files.key, files.ca),
        access_log=False,
        server_header=False,
        log_config=None,
        log_level=logging.WARNING,
        backlog=BACKLOG,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def run(folder: Path, settings: "Settings", host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises StoreError, and OSError for an address that cannot be had."""
    files = Files(folder)
    authority = disk.load(files, settings.domain)
    terms = Terms(
        open_jobs=settings.open_jobs,
        stored_bytes=settings.stored_bytes,
        result_bytes=settings.result_bytes,
        keep_results_seconds=settings.keep_results_hours * 3600,
        keep_jobs_seconds=settings.keep_jobs_hours * 3600,
        agent_hours=settings.agent_hours,
    )
    server = server_of(hub_of(files, authority, terms), files, host, port, version("meridyen-router"))
    server.run()
