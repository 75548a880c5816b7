"""A configured source -> what it says of itself, through a worker like that of a job."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from anyio import to_thread

from agent.core.codes import CODES
from agent.core.errors import ConfigError
from agent.core.job import Me
from agent.core.limits import Limits
from agent.core.order import Order
from agent.core.ports import Finding
from agent.service.launcher import ProcessLauncher

EXAMINE_SECONDS: Final = 60.0
"""How long one source may take to answer everything."""


Asked = Callable[[], str | None]


async def examined(launcher: ProcessLauncher, sources: Mapping[str, Asked], me: Me) -> dict[str, tuple[Finding, ...]]:
    """The findings of each source, under its name. Raises AgentError when no worker can be started."""
    await launcher.start()
    try:
        return {name: await _examined(launcher, source, me, name) for name, source in sources.items()}
    finally:
        await launcher.aclose()


async def _examined(launcher: ProcessLauncher, source: Asked, me: Me, name: str) -> tuple[Finding, ...]:
    """A worker that failed, or a secret that is missing, is a finding too."""
    try:
        text = await to_thread.run_sync(source)
    except ConfigError as error:
        return (Finding("configuration", "error", str(error.problem), error.fix),)
    order = Order(
        envelope=b"",
        trust="",
        me=me,
        now=time.time(),
        attempt=1,
        result_id="",
        policy="",
        policy_sha256="",
        token_key=None,
        sources={name: text},
        limits=Limits(),
        isolation="",
    )
    found = await launcher.examine(order, EXAMINE_SECONDS)
    if isinstance(found, str):
        return (Finding("worker", "error", CODES[found].meaning, CODES[found].remedy),)
    return found
