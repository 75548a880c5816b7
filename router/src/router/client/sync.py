"""The client for programs that do not use async: the same calls, each waited for."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from agent.wire.keys import VerifyKey
from agent.wire.sealing import Opened
from router.client.aio import MAX_RESULT_BYTES, AsyncClient, AsyncJob, Progress
from router.client.errors import ConfigurationError
from router.client.keys import Keys
from router.client.results import Result
from router.client.tasks import Format, Terms

T = TypeVar("T")


def _done(portal: BlockingPortal, call: Callable[[], Awaitable[T]]) -> T:
    """Run it there and wait. Whatever ends the wait, such as Ctrl-C, ends the call too. Raises ConfigurationError."""
    try:
        future = portal.start_task_soon(call)
    except RuntimeError:
        raise ConfigurationError("client.closed", "The client was closed.", "Make another one.") from None
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _portal() -> tuple[BlockingPortal, Callable[[], None]]:
    """An event loop in a thread that keeps no program alive which forgets to close its client; and its end."""
    ready: Future[BlockingPortal] = Future()

    async def work() -> None:
        async with BlockingPortal() as portal:
            ready.set_result(portal)
            await portal.sleep_until_stopped()

    def stop() -> None:
        portal.start_task_soon(partial(portal.stop, cancel_remaining=True))
        thread.join()

    thread = Thread(target=anyio.run, args=(work,), name="router.client", daemon=True)
    thread.start()
    portal = ready.result()
    return portal, stop


class Job:
    """A submitted job."""

    def __init__(self, portal: BlockingPortal, job: AsyncJob) -> None:
        self._portal, self._job = portal, job

    @property
    def id(self) -> str:
        """Its id: the same on the agent's side and in the audit log."""
        return self._job.id

    @property
    def digest(self) -> str | None:
        """See `AsyncJob.digest`."""
        return self._job.digest

    def status(self) -> Progress:
        """Where it stands now."""
        return _done(self._portal, self._job.status)

    def stream(self) -> Iterator[Progress]:
        """Every change until the end, the present state first."""
        steps = self._job.stream()
        while True:
            step = _done(self._portal, partial(anext, steps, None))
            if step is None:
                return
            yield step

    def wait(self, timeout: float | None = None, *, keep: bool = False) -> Result:
        """See `AsyncJob.wait`."""
        return _done(self._portal, partial(self._job.wait, timeout, keep=keep))

    def opened(self, timeout: float | None = None, *, keep: bool = False) -> Opened:
        """See `AsyncJob.opened`."""
        return _done(self._portal, partial(self._job.opened, timeout, keep=keep))

    def download(self, path: Path | str) -> Path:
        """See `AsyncJob.download`."""
        return _done(self._portal, partial(self._job.download, path))

    def cancel(self) -> None:
        """See `AsyncJob.cancel`."""
        _done(self._portal, self._job.cancel)


class Client:
    """See `AsyncClient`. `with Client.from_profile("…") as client: client.sql("select 1", source="shop").wait()`"""

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
        """See `AsyncClient`."""
        made = partial(AsyncClient, url, keys=keys, ca_file=ca_file, max_result_bytes=max_result_bytes)
        self._begin(partial(made, token=token, certificate=certificate))

    @classmethod
    def from_profile(
        cls, folder: Path | str, *, url: str | Sequence[str] | None = None, token: str | None = None
    ) -> Self:
        """See `AsyncClient.from_profile`."""
        client = cls.__new__(cls)
        client._begin(lambda: AsyncClient.from_profile(folder, url=url, token=token))  # noqa: SLF001 - its own
        return client

    def _begin(self, make: Callable[[], AsyncClient]) -> None:
        self._client = make()
        self._stack = ExitStack()
        self._portal, stop = _portal()
        self._stack.callback(stop)
        self._stack.callback(lambda: _done(self._portal, self._client.aclose))

    def __enter__(self) -> Self:
        """Nothing is opened before the first call."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._stack.close()

    @property
    def keys(self) -> Keys:
        """Whose keys these are."""
        return self._client.keys

    def trust(self, key: VerifyKey | Path | str, *, fingerprint: str | None = None) -> None:
        """See `AsyncClient.trust`."""
        self._client.trust(key, fingerprint=fingerprint)

    def submit(self, task: Mapping[str, Any], terms: Terms | None = None) -> Job:
        """See `AsyncClient.submit`."""
        return self._job(partial(self._client.submit, task, terms))

    def sql(
        self,
        statement: str,
        *,
        source: str,
        params: Mapping[str, Any] | None = None,
        format: Format = "arrow",  # noqa: A002 - the protocol's word
        **terms: Any,
    ) -> Job:
        """See `AsyncClient.sql`."""
        return self._job(partial(self._client.sql, statement, source=source, params=params, format=format, **terms))

    def python(self, code: str, **asked: Any) -> Job:
        """See `AsyncClient.python`."""
        return self._job(partial(self._client.python, code, **asked))

    def catalog(self, source: str, **asked: Any) -> Job:
        """See `AsyncClient.catalog`."""
        return self._job(partial(self._client.catalog, source, **asked))

    def explain(self, task: Mapping[str, Any] | str, **asked: Any) -> Job:
        """See `AsyncClient.explain`."""
        return self._job(partial(self._client.explain, task, **asked))

    def job(self, job_id: str, digest: str | None = None) -> Job:
        """See `AsyncClient.job`."""
        return Job(self._portal, self._client.job(job_id, digest))

    def _job(self, submit: Callable[[], Any]) -> Job:
        return Job(self._portal, _done(self._portal, submit))
