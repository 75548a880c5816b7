"""The kinds of task that a worker runs. A new kind is one file here and one line below."""

from collections.abc import Mapping

from agent.worker.kinds import catalog, explain, python, sql
from agent.worker.kinds.base import Kind

KINDS: Mapping[str, Kind] = {
    "sql": sql.run,
    "catalog": catalog.run,
    "explain": explain.run,
    "python": python.run,
}
