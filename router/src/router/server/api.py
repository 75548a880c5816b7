"""FastAPI over the submitters' calls: the source of the OpenAPI document and of docs/api.md."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from typing_extensions import override

from agent.wire import ids
from router.core.agents import TokenView
from router.core.jobs import State
from router.core.problem import RouterProblem
from router.server import openapi
from router.server.calls import http_problem, problem_response
from router.server.described import BODY, CALLER, EVERYWHERE, MAX_WAIT_SECONDS, by_status, refusal
from router.server.messages import JOSE, MRES
from router.server.schemas import Agent, Job, Jobs, Pool, Problem
from router.server.submitters import SubmitterCalls
from router.service.hub import Hub
from router.store.port import StoreError

JobId = Annotated[str, Path(pattern=ids.PATTERN, description="The job's id, as its envelope has it.")]
Wait = Annotated[int, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for a change, at most.")]
Since = Annotated[float | None, Query(description="Wait only for a change after this `changed`.")]
_ENVELOPE: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The signed job: a compact JWS, as `router.client` and `agent submit` make it.",
        "content": {JOSE: {"schema": {"type": "string", "contentMediaType": JOSE}}},
    }
}


def _told(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The problems that a call names, for OpenAPI."""
    found = by_status((*CALLER, *codes, *EVERYWHERE))
    return {status: {"model": Problem, **refusal(kinds)} for status, kinds in found.items()}


class Api(FastAPI):
    """Its OpenAPI document describes the agents' calls too."""

    @override
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.whole(super().openapi())
        return self.openapi_schema


def api(hub: Hub, version: str) -> Api:
    """The submitters' application. It serves its own OpenAPI document at /v1/openapi.json and no web pages."""
    app = Api(
        title="Meridyen Task Router",
        version=version,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(_routes(SubmitterCalls(hub)))
    app.add_exception_handler(RouterProblem, _problem)
    app.add_exception_handler(
        StoreError, lambda *_: problem_response(RouterProblem("store.unavailable", retry_after=2.0))
    )
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, http_problem)
    app.add_exception_handler(Exception, lambda *_: problem_response(RouterProblem("internal")))
    return app


def _routes(calls: SubmitterCalls) -> APIRouter:
    routes = APIRouter(prefix="/v1")
    Caller = Annotated[TokenView, Depends(calls.caller)]  # noqa: N806 - a type

    bearer = [Depends(HTTPBearer(auto_error=False, description="A token of `router token create --submit`."))]

    @routes.post("/jobs", status_code=202, openapi_extra=_ENVELOPE, dependencies=bearer,
                 responses=_told(*BODY, "job.expired", "job.conflict", "quota.jobs", "quota.bytes"))  # fmt: skip
    async def submit_job(request: Request, caller: Caller) -> Job:
        """Queue a signed job. The same envelope again answers with the job as it stands: safe to repeat."""
        return await calls.submit(request, caller)

    @routes.get("/jobs", responses=_told("request.malformed"), dependencies=bearer)
    def list_jobs(
        caller: Caller,
        state: State | None = None,
        before: Annotated[str | None, Query(pattern=ids.PATTERN)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Jobs:
        """Jobs of the token's tenant and pools, newest first."""
        return calls.listed(caller, state, before, limit)

    @routes.get("/jobs/{job_id}", responses=_told("request.malformed", "not_found"), dependencies=bearer)
    async def get_job(job_id: JobId, caller: Caller, wait: Wait = 0, since: Since = None) -> Job:
        """Where a job stands. With `wait`, answers at its end, or after that time; with `since`, at any change."""
        return await calls.one(job_id, wait, since, caller)

    @routes.get("/jobs/{job_id}/result", responses=_told("request.malformed", "not_found", "result.missing")
                | {200: {"content": {MRES: {}}, "description": "The sealed result, a `.mres` file."}},
                response_class=Response, dependencies=bearer)  # fmt: skip
    async def get_result(job_id: JobId, caller: Caller) -> Response:
        """The sealed result. Only the recipient's key opens it, and only the agent's pinned key proves it."""
        return await calls.result(job_id, caller)

    @routes.delete(
        "/jobs/{job_id}/result", status_code=204, responses=_told("request.malformed", "not_found"), dependencies=bearer
    )
    async def delete_result(job_id: JobId, caller: Caller) -> None:
        """Say that the result has arrived: the Router deletes it. Repeating it is no error."""
        await calls.forget(job_id, caller)

    @routes.post(
        "/jobs/{job_id}/cancel", responses=_told("request.malformed", "not_found", "job.ended"), dependencies=bearer
    )
    async def cancel_job(job_id: JobId, caller: Caller) -> Job:
        """Ask for the end of a job. One that runs ends when its agent says so."""
        return await calls.cancel(job_id, caller)

    @routes.get("/agents", responses=_told(), dependencies=bearer)
    def list_agents(caller: Caller) -> list[Agent]:
        """Agents that the token's jobs can go to."""
        return calls.agents(caller)

    @routes.get("/pools", responses=_told(), dependencies=bearer)
    def list_pools(caller: Caller) -> list[Pool]:
        """Queues that the token's jobs can go to."""
        return calls.pools(caller)

    return routes


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, RouterProblem), "registered for it"
    return problem_response(error)


async def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for it"
    first = error.errors()[0]
    place = ".".join(str(one) for one in first.get("loc", ()))
    return problem_response(RouterProblem("request.malformed", f"{place} is not of its form."))
