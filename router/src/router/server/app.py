"""All calls as one ASGI application: the agents' own routes first, then the submitters' FastAPI."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from router.core.problem import RouterProblem
from router.server.agents import AgentCalls
from router.server.api import api
from router.server.calls import answer, answered, http_problem
from router.server.enroll import EnrollCalls
from router.server.messages import HealthOut
from router.server.results import ResultCalls
from router.service.hub import Hub
from router.store.port import StoreError

_SILENT_SECONDS: Final = 10.0
"""A store that takes no tick for so long does not answer."""
_LOGGER = logging.getLogger(__name__)


def application(hub: Hub, version: str) -> Starlette:
    """The Router over one hub. Its lifespan starts the writer and the clockwork, and ends them in order."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        hub.writer.start()
        hub.learn_revoked()  # before the first call is answered
        hub.ticked = hub.now()
        if hub.relay is not None:
            hub.relay.start(hub)
        ticking = asyncio.create_task(_tick(hub))
        try:
            yield
        finally:
            hub.close_doors()
            ticking.cancel()
            if hub.relay is not None:
                await hub.relay.close()
            await hub.writer.close()
            hub.store.close()
            hub.parts.close()

    async def health(_: Request) -> Response:
        if hub.closing:
            raise RouterProblem("shutting_down", retry_after=1.0)
        if hub.now() - hub.ticked > _SILENT_SECONDS:
            raise RouterProblem("store.unavailable", retry_after=2.0)
        return answer(HealthOut("ok", version))

    calls = (AgentCalls(hub), ResultCalls(hub), EnrollCalls(hub))
    routes = [route for one in calls for route in one.routes()]
    routes.append(Route("/v1/health", answered(health), methods=["GET"]))
    handlers: Any = {HTTPException: http_problem}
    return Starlette(routes=[*routes, Mount("/", api(hub, version))], lifespan=lifespan, exception_handlers=handlers)


async def _tick(hub: Hub) -> None:
    while True:
        try:
            await hub.tick()
        except (StoreError, RouterProblem) as error:
            _LOGGER.warning("a tick was not written: %s", error)
        except Exception as error:  # noqa: BLE001 - the clockwork goes on
            _LOGGER.error("a tick met a defect: %s", type(error).__name__)  # noqa: TRY400
        await asyncio.sleep(hub.terms.tick_seconds)
