"""One dialect, one file; the table below is the whole list."""

from collections.abc import Mapping
from types import MappingProxyType

from agent.dialects.base import Dialect
from agent.dialects.bigquery import BIGQUERY
from agent.dialects.clickhouse import CLICKHOUSE
from agent.dialects.databricks import DATABRICKS
from agent.dialects.duckdb import DUCKDB
from agent.dialects.mysql import MYSQL
from agent.dialects.oracle import ORACLE
from agent.dialects.postgres import POSTGRES
from agent.dialects.redshift import REDSHIFT
from agent.dialects.snowflake import SNOWFLAKE
from agent.dialects.sqlite import SQLITE
from agent.dialects.trino import TRINO
from agent.dialects.tsql import TSQL

_ALL = (
    DUCKDB,
    SQLITE,
    POSTGRES,
    REDSHIFT,
    MYSQL,
    TSQL,
    SNOWFLAKE,
    BIGQUERY,
    TRINO,
    CLICKHOUSE,
    ORACLE,
    DATABRICKS,
)
DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in _ALL})

__all__ = ["DIALECTS", "Dialect"]
