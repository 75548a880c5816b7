"""One dialect, one file; the table below is the whole list."""

from collections.abc import Mapping
from types import MappingProxyType

from agent.dialects.base import Dialect
from agent.dialects.duckdb import DUCKDB
from agent.dialects.sqlite import SQLITE

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in (DUCKDB, SQLITE)})

__all__ = ["DIALECTS", "Dialect"]
