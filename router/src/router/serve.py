"""Composition root: files and numbers -> a running Router."""

import logging
from typing import Final

import uvicorn

from router.ca.authority import Authority
from router.server import tls
from router.server.app import application
from router.server.protocol import PeerProtocol
from router.service.bell import Bell
from router.service.files import Files
from router.service.hub import Hub, Terms
from router.service.parking import Parking
from router.service.writer import Writer
from router.store.parts import FolderParts
from router.store.sqlite import SqliteStore

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
