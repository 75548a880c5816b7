"""The client for programs that use asyncio or trio."""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO, Any, Final, Self, TypeVar

import anyio
import anyio.lowlevel
from anyio import from_thread

from agent.wire.container import read_mres
from agent.wire.errors import WireError
from agent.wire.ids import is_ulid
from agent.wire.keys import VerifyKey
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
    RouterError,
    RouterUnavailableError,
)
from router.client.http import Calls
from router.client.keys import Keys
from router.client.results import Result, result_of
from router.client.tasks import Format, Signed, Terms

T = TypeVar("T")

_SPOOL_BYTES: Final = 8 * 2**20
_FORGET_SECONDS: Final = 10
_BREATH_SECONDS: Final = 0.1
"""Between two polls that told nothing new: whoever answers at once instead of waiting is not asked at full speed."""
MAX_RESULT_BYTES: Final = 4 * 2**30
_WITHOUT_RESULT: Final[Mapping[str, tuple[type[JobError], str]]] = {
    "cancelled": (JobCancelledError, "The job was cancelled before an agent had it."),
    "timed_out": (JobTimeoutError, "No agent started or delivered the job in time."),
    "dead": (JobFailedError, "The agent that had the job went silent, and it may not run twice."),
    "refused": (JobFailedError, "The agent does not trust the envelope."),
}

_KINDS: Final[Mapping[str, Any]] = {
    "state": str,
    "phase": str | None,
    "rows": str | None,
    "attempt": int,
    "ended": bool,
    "code": str | None,
    "agent": str | None,
    "changed": (int, float),
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
        self._opened: Opened | None = None

    @property
    def id(self) -> str:
        """Its id: the same on the agent's side and in the audit log."""
        return self._signed.id

    @property
    def digest(self) -> str | None:
        """What binds a result to it: give it to `client.job(id, digest)` in another process."""
        return self._signed.digest

    async def status(self) -> Progress:
        """Where it stands now."""
        return _said(await self._client.calls.json("GET", f"/jobs/{self.id}"))[0]

    async def stream(self) -> AsyncIterator[Progress]:
        """Every change until the end, the present state first."""
        step = await self.status()
        yield step
        while not step.ended:
            before = step
            step, _ = _said(await self._client.calls.poll(f"/jobs/{self.id}", step.changed))
            if step != before:
                yield step
            elif step.changed == before.changed:
                await anyio.sleep(_BREATH_SECONDS)

    async def wait(self, timeout: float | None = None, *, keep: bool = False) -> Result:  # noqa: ASYNC109 - a caller's word
        """The opened result. `timeout` in seconds; `keep` leaves the sealed result at the Router.

        Raises the JobError of a job that did not complete, ResultError for a result that cannot be trusted.
        """
        return result_of(self.id, await self.opened(timeout, keep=keep))

    async def opened(self, timeout: float | None = None, *, keep: bool = False) -> Opened:  # noqa: ASYNC109
        """What was sealed, also of a job that was refused or failed. Raises as `wait` where nothing was sealed."""
        if self._opened is None:
            with anyio.move_on_after(timeout):
                with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as file:
                    await self._fetched(file)
                    open_ = partial(self._client.open, file, self._signed.digest, job_id=self.id)
                    found = await _aside(open_)
                self._opened = found
                if not keep:
                    await self._forget()
        if self._opened is None:
            raise JobTimeoutError("wait.timeout", f"The job {self.id} has not ended yet.", "Wait again, or cancel it.")
        return self._opened

    async def download(self, path: Path | str) -> Path:
        """Write the sealed result to a new file, unopened, in pieces: for results that do not fit into memory twice.

        `agent open FILE` reads it. It stays at the Router. Raises as `wait`; FileExistsError.
        """
        target = Path(path)
        with _new(target) as file:
            await self._fetched(file)
        return target

    async def cancel(self) -> None:
        """Ask for its end; `wait` then raises JobCancelledError. Of a job that has ended nothing changes."""
        try:
            await self._client.calls.json("POST", f"/jobs/{self.id}/cancel")
        except RouterError as error:
            if error.code != "job.ended":
                raise

    async def _fetched(self, sink: IO[bytes]) -> None:
        step, sealed = _said(await self._client.calls.json("GET", f"/jobs/{self.id}"))
        while not step.ended:
            step, sealed = _said(await self._client.calls.poll(f"/jobs/{self.id}"))
            if not step.ended:
                await anyio.sleep(_BREATH_SECONDS)
        if not sealed:
            kind, message = _WITHOUT_RESULT.get(step.state, (JobFailedError, "The job ended without a result."))
            raise kind(step.code or "job.ended", message)
        await self._client.calls.download(f"/jobs/{self.id}/result", sink, self._client.max_result_bytes)

    async def _forget(self) -> None:
        """Best effort: what is not deleted now goes when its time is over, and the caller has the result."""
        with suppress(RouterError), anyio.move_on_after(_FORGET_SECONDS):
            await self._client.calls.json("DELETE", f"/jobs/{self.id}/result")


class AsyncClient:
    """Signs jobs and opens results with the caller's keys; the Router in between sees neither key nor result.

    `async with AsyncClient.from_profile("…") as client: …`
    """

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        keys: Keys,
        token: str | None = None,
        certificate: Path | str | None = None,
        ca_file: Path | str | None = None,
        max_result_bytes: int = MAX_RESULT_BYTES,
    ) -> None:
        """Args: `url` of the Router, or several to be tried in order; `ca_file`: PEM, where it has a CA of its own.

        A `token`, or a `certificate` (file with its key, PEM), says to the Router who calls.
        A sealed result of more than `max_result_bytes` is not taken. Raises ConfigurationError.
        """
        self._keys, self.max_result_bytes = keys, max_result_bytes
        own, authority = (None if file is None else Path(file) for file in (certificate, ca_file))
        self.calls = Calls([url] if isinstance(url, str) else url, token, authority, own)

    @classmethod
    def from_profile(
        cls, folder: Path | str, *, url: str | Sequence[str] | None = None, token: str | None = None
    ) -> Self:
        """Keys, pinned agents and, unless given, the Router's address and token from a profile folder.

        A profile with both is used with its token.
        """
        profile = keystore.load(folder)
        address, secret = url or profile.router, token or profile.token
        certificate = profile.certificate if secret is None else None
        if address is None or (secret is None and certificate is None):
            missing = "router" if address is None else "token_file"
            raise ConfigurationError("profile.router", f"The profile names no {missing}.", "Give url=… and token=….")
        return cls(address, token=secret, certificate=certificate, keys=profile.keys, ca_file=profile.ca_file)

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

    def trust(self, key: VerifyKey | Path | str, *, fingerprint: str | None = None) -> None:
        """Accept the results of one more agent: by its public result key, or the file of it.

        `fingerprint`, as the site's people said it over another channel, is compared. Raises ConfigurationError.
        """
        public = key if isinstance(key, VerifyKey) else keystore.verify_key(key)
        keystore.compare(public, fingerprint)
        self._keys = self._keys.trusting(public)

    async def submit(self, task: Mapping[str, Any], terms: Terms | None = None) -> AsyncJob:
        """Sign and send any task object of the protocol."""
        signed = tasks.signed(task, terms or Terms(), self._keys)
        headers = {"content-type": "application/jose"}
        _said(await self.calls.json("POST", "/jobs", content=signed.envelope, headers=headers))
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
        """A job that was submitted earlier, perhaps elsewhere. With its `digest`, its statement is proven too.

        Raises ConfigurationError for what is no id.
        """
        if not is_ulid(job_id):
            raise ConfigurationError("job.id", "That is not a job's id.", "It has 26 letters and digits.")
        return AsyncJob(self, Signed(job_id, b"", digest))

    def open(self, file: IO[bytes], digest: str | None = None, *, job_id: str | None = None) -> Opened:
        """Open a sealed result: signed by a pinned agent, of just this job, for this key. Raises ResultError."""
        try:
            file.seek(0)
            manifest, parts = read_mres(file)  # type: ignore[arg-type]
            verified = verify_manifest(manifest, self._keys.agents)
            if job_id is not None and verified.job_id != job_id:
                raise WireError("the result answers another job")  # noqa: TRY301
            return open_result(verified, parts, self._keys.opening, job_digest=digest)
        except (WireError, ValueError) as error:
            hint = "Compare the agent's fingerprint out of band, then pin it; else report it."
            raise ResultError("result.untrusted", f"The result cannot be trusted: {error}.", hint) from None


async def _aside(call: Callable[[], T]) -> T:
    """In a thread that does not keep a program alive, as those of anyio's pool would; waited for to its end."""
    done, loop, outcome = anyio.Event(), anyio.lowlevel.current_token(), Future[T]()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcome.set_exception(error)
        from_thread.run_sync(done.set, token=loop)

    Thread(target=work, name="router.client open", daemon=True).start()
    with anyio.CancelScope(shield=True):
        await done.wait()
    return outcome.result()


@contextmanager
def _new(path: Path) -> Iterator[IO[bytes]]:
    """A new file, whole or not at all."""
    with path.open("xb") as file:
        try:
            yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _said(answer: Any) -> tuple[Progress, bool]:
    """A Router's answer: where the job stands, and whether something sealed can be fetched."""
    try:
        step = Progress(**{name: answer[name] for name in _KINDS})
        if all(isinstance(getattr(step, name), kind) for name, kind in _KINDS.items()):
            return step, answer["result"] is True
    except (TypeError, KeyError):
        pass
    message, hint = "The Router's answer is not of its schema.", "Compare the versions of Router and client."
    raise RouterUnavailableError("router.foreign", message, hint)
