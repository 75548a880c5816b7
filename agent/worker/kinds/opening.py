"""A job's source, open, with its catalog: one that an earlier worker read, or what the source holds now."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Final, TypeVar

from agent.core.catalog import Catalog
from agent.core.errors import Fault, Refuse
from agent.core.job import SourceName
from agent.core.ports import Connection, Detailed, Source
from agent.worker import catalogs
from agent.worker.kinds.base import Bench, Notes

_MAY_BE_STALE: Final = frozenset({"sql.relation", "sql.column", "sql.view", "source.binding"})
"""What an old catalog can be the reason of."""

T = TypeVar("T")


def source_of(bench: Bench, name: SourceName) -> Source:
    """A configured source. Raises Refuse(task.source)."""
    found = bench.sources.get(name)
    if found is None:
        raise Refuse("task.source", "No source of this name is configured here.", "Use a configured source.")
    return found


def opened(bench: Bench, name: SourceName, catalog: Catalog | None = None) -> AbstractContextManager[Connection]:
    """One of the job's sources. Raises Refuse(task.source), Fault(source.unavailable)."""
    return source_of(bench, name).open(name, bench.limits, bench.session(name), catalog)


def with_catalog(
    bench: Bench, name: SourceName, notes: Notes, stack: ExitStack, use: Callable[[Connection, Catalog], T]
) -> T:
    """What `use` makes of the open source, which `stack` keeps open, and its catalog.

    Where a catalog of an earlier worker may be the reason that `use` refuses or fails, once more with a fresh one.
    Raises what `use` raises, and as `opened`.
    """
    source = source_of(bench, name)
    handed = notes.catalogs.get(name) or bench.catalogs.get(name)  # an earlier input of this job may have read it anew
    held = None if handed is None else catalogs.decode(handed, source=name, dialect=source.dialect)
    if held is not None:
        with ExitStack() as first:
            connection = first.enter_context(opened(bench, name, held))
            try:
                made = use(connection, _read(connection, bench))
            except (Refuse, Fault) as error:
                if not _may_be_stale(error):
                    raise
            else:
                stack.push(first.pop_all())
                return made
    connection = stack.enter_context(opened(bench, name))
    catalog = _read(connection, bench)
    if source.connects():  # files are cheap to ask, and may have been exchanged
        notes.catalogs[name] = catalogs.encode(catalog)
    return use(connection, catalog)


def _read(connection: Connection, bench: Bench) -> Catalog:
    """What the source holds; with its comments where the policy takes tags from them."""
    if bench.policy.tags_from_comments and isinstance(connection, Detailed):
        return connection.detailed()
    return connection.catalog()


def _may_be_stale(error: Refuse | Fault) -> bool:
    problems = error.problems if isinstance(error, Refuse) else ()
    return error.code in _MAY_BE_STALE or any(problem.code in _MAY_BE_STALE for problem in problems)
