"""The client for programs that use asyncio or trio."""

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import anyio
from anyio import to_thread

from agent.wire.container import read_mres
from agent.wire.errors import WireError
from agent.wire.sealing import Opened, open_result
from agent.wire.signing import verify_manifest
from router.client import keys as keystore
from router.client import tasks
from router.client.errors import (
    ConfigurationError,
    JobCancelledError,
    JobError,
    JobFailedError,
    JobTimeoutError,
    ResultError,
)
from router.client.http import Calls
from router.client.keys import Keys
from router.client.results import Result, result_of
from router.client.tasks import Format, Signed, Terms

_POLL_SECONDS: Final = 25
_SPOOL_BYTES: Final = 8 * 2**20
_WITHOUT_RESULT: Final[Mapping[str, tuple[type[JobError], str]]] = {
    "cancelled": (JobCancelledError, "The job was cancelled before an agent had it."),
    "timed_out": (JobTimeoutError, "No agent started or delivered the job in time."),
    "dead": (JobFailedError, "The agent that had the job went silent, and it may not run twice."),
    "refused": (JobFailedError, "The agent does not trust the envelope."),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands. `rows` is a bucket, not a count. Nothing else leaves a site unsealed."""

    state: str
    phase: str | None
    rows: str | None
    attempt: int
    ended: bool
    code: str | None
    agent: str | None
    changed: float


class AsyncJob:
    """A submitted job."""

    def __init__(self, client: "AsyncClient", signed: Signed) -> None:
        self._client, self._signed = client, signed

    @property
    def id(self) -> str:
        """Its id: the same on the agent's side and in the audit log."""
        return self._signed.id

    async def status(self) -> Progress:
        """Where it stands now."""
        return _progress(await self._client.calls.json("GET", f"/jobs/{self.id}"))

    async def stream(self) -> AsyncIterator[Progress]:
        """Every change until the end, the present state first."""
        said = await self._client.calls.json("GET", f"/jobs/{self.id}")
        yield _progress(said)
        while not said["ended"]:
            query = {"wait": _POLL_SECONDS, "since": repr(said["changed"])}
            before = said
            said = await self._client.calls.json("GET", f"/jobs/{self.id}", params=query, wait=_POLL_SECONDS)
            if _progress(said) != _progress(before):
                yield _progress(said)

    async def wait(self, timeout: float | None = None, *, keep: bool = False) -> Result:  # noqa: ASYNC109 - a caller's word
        """The opened result. `timeout` in seconds; `keep` leaves the sealed result at the Router.

        Raises the JobError of a job that did not complete, ResultError for a result that cannot be trusted.
        """
        with anyio.move_on_after(timeout) as waiting:
            said = await self._client.calls.json(
                "GET", f"/jobs/{self.id}", params={"wait": _POLL_SECONDS}, wait=_POLL_SECONDS
            )
            while not said["ended"]:
                said = await self._client.calls.json(
                    "GET", f"/jobs/{self.id}", params={"wait": _POLL_SECONDS}, wait=_POLL_SECONDS
                )
            return await self._opened(said, keep=keep)
        assert waiting.cancelled_caught, "nothing else ends the block"
        raise JobTimeoutError("wait.timeout", f"The job {self.id} has not ended yet.", "Wait again, or cancel it.")

    async def cancel(self) -> None:
        """Ask for its end; `wait` then raises JobCancelledError. Of a job that has ended nothing changes."""
        from router.client.errors import RouterError  # noqa: PLC0415

        try:
            await self._client.calls.json("POST", f"/jobs/{self.id}/cancel")
        except RouterError as error:
            if error.code != "job.ended":
                raise

    async def _opened(self, said: Mapping[str, Any], *, keep: bool) -> Result:
        if not said["result"]:
            kind, message = _WITHOUT_RESULT.get(said["state"], (JobFailedError, "The job ended without a result."))
            raise kind(said["code"] or "job.ended", message)
        with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as file:
            async with self._client.calls.stream(f"/jobs/{self.id}/result") as response:
                async for piece in response.aiter_bytes():
                    file.write(piece)
            file.seek(0)
            opened = await to_thread.run_sync(self._client.open, file, self._signed.digest)
        if not keep:
            await self._client.calls.json("DELETE", f"/jobs/{self.id}/result")
        return result_of(self.id, opened)


class AsyncClient:
    """Signs jobs and opens results with the caller's keys; the Router in between sees neither key nor result.

    `async with AsyncClient.from_profile("…") as client: …`
    """

    def __init__(self, url: str | Sequence[str], *, token: str, keys: Keys, ca_file: Path | str | None = None) -> None:
        """Args: `url` of the Router, or several to be tried in order; `ca_file`: PEM, where it has a CA of its own."""
        self._keys = keys
        self.calls = Calls([url] if isinstance(url, str) else url, token, None if ca_file is None else Path(ca_file))
        self._stack = AsyncExitStack()

    @classmethod
    def from_profile(
        cls, folder: Path | str, *, url: str | Sequence[str] | None = None, token: str | None = None
    ) -> Self:
        """Keys, pinned agents and, unless given, the Router's address and token from a profile folder."""
        profile = keystore.load(folder)
        address, secret = url or profile.router, token or profile.token
        if address is None or secret is None:
            missing = "router" if address is None else "token_file"
            raise ConfigurationError("profile.router", f"The profile names no {missing}.", "Give url=… and token=….")
        return cls(address, token=secret, keys=profile.keys, ca_file=profile.ca_file)

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.calls.aclose()

    @property
    def keys(self) -> Keys:
        """Whose keys these are."""
        return self._keys

    def trust(self, key: Any) -> None:
        """Pin one more agent's result key (`agent.wire.keys.VerifyKey`), after comparing its fingerprint."""
        self._keys = self._keys.trusting(key)

    async def submit(self, task: Mapping[str, Any], terms: Terms | None = None) -> AsyncJob:
        """Sign and send any task object of the protocol."""
        signed = tasks.signed(task, terms or Terms(), self._keys)
        headers = {"content-type": "application/jose"}
        await self.calls.json("POST", "/jobs", content=signed.envelope, headers=headers)
        return AsyncJob(self, signed)

    async def sql(
        self,
        statement: str,
        *,
        source: str,
        params: Mapping[str, Any] | None = None,
        format: Format = "arrow",  # noqa: A002 - the protocol's word
        **terms: Any,
    ) -> AsyncJob:
        """Rows of a statement. `terms` are those of `Terms`."""
        return await self.submit(tasks.sql(statement, source, params, format), Terms(**terms))

    async def python(
        self,
        code: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        variables: Mapping[str, Any] | None = None,
        source: str | None = None,
        frames: str = "pandas",
        charts: Sequence[str] = (),
        **terms: Any,
    ) -> AsyncJob:
        """A program over named inputs: statements (of `source`), task objects, lists of rows, or frames."""
        return await self.submit(
            tasks.python(code, inputs=inputs, variables=variables, source=source, frames=frames, charts=charts),
            Terms(**terms),
        )

    async def catalog(self, source: str, *, relations: Sequence[str] = (), **terms: Any) -> AsyncJob:
        """What a source holds, as far as the site's policy shows it."""
        return await self.submit({"kind": "catalog", "source": source, "relations": list(relations)}, Terms(**terms))

    async def explain(self, task: Mapping[str, Any] | str, *, source: str | None = None, **terms: Any) -> AsyncJob:
        """What would become of a task, or of a statement of `source`."""
        if isinstance(task, str):
            if source is None:
                raise ConfigurationError("explain.source", "A statement is of a source.", "Add source=….")
            task = tasks.sql(task, source, None, "arrow")
        return await self.submit({"kind": "explain", "task": dict(task)}, Terms(**terms))

    def job(self, job_id: str, digest: str | None = None) -> AsyncJob:
        """A job that was submitted earlier, perhaps elsewhere. With its `digest`, only its own result is opened."""
        return AsyncJob(self, Signed(job_id, b"", digest))

    def open(self, file: IO[bytes], digest: str | None = None) -> Opened:
        """Open a sealed result: signed by a pinned agent, of just this job, for this key. Raises ResultError."""
        try:
            manifest, parts = read_mres(file)  # type: ignore[arg-type]
            verified = verify_manifest(manifest, self._keys.agents)
            return open_result(verified, parts, self._keys.opening, job_digest=digest)
        except (WireError, ValueError) as error:
            hint = "Compare the agent's fingerprint out of band, then pin it; else report it."
            raise ResultError("result.untrusted", f"The result cannot be trusted: {error}.", hint) from None


def _progress(said: Mapping[str, Any]) -> Progress:
    names = ("state", "phase", "rows", "attempt", "ended", "code", "agent", "changed")
    return Progress(**{name: said[name] for name in names})
