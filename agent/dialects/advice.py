"""What is refused, and what to write instead: for everybody, and dialect by dialect. Text for docs/sql."""

from collections.abc import Mapping
from typing import Final

COMMON: Final = (
    ("INSERT, UPDATE, DELETE, MERGE, CREATE, DROP, ALTER, GRANT, SET, CALL, COPY", "nothing: jobs only read"),
    ("two statements, or one behind `;`", "one job for each statement"),
    ("`INTO`, `FOR UPDATE`, `FOR SHARE`, hints", "the query without them"),
    ("`?`, `$1`, `@p`, `%s`", "`:name`, with its value in the task's `parameters`"),
    ("functions of users, sessions and settings (`current_user`, `version()`)", "nothing: they are not for results"),
    ("functions and table functions that read files, networks, other databases or wait", "tables of the catalog"),
    ('`schema.f(x)`, `x.f()`, `"f"(x)` for an unlisted function', "a listed function, unqualified"),
    ("system tables, `information_schema`", "a `catalog` job"),
    ("row ids and other pseudo columns", "a key column of the table"),
    ("casts to types that are not listed", "a listed plain type"),
)

OWN: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "duckdb": (
        ("`FROM 'file.csv'`, `read_csv(…)`, `ATTACH`, `PRAGMA`, `DESCRIBE`, `SUMMARIZE`", "a table; a `catalog` job"),
        ("`query(…)`, `query_table(…)`, `getvariable(…)`", "the query itself; `:name`"),
    ),
    "sqlite": (("`PRAGMA`, `ATTACH`, `rowid`, `load_extension(…)`", "a table and its columns"),),
    "postgres": (
        ("`t.ctid`, `pg_…(…)`, `lo_…(…)`, `dblink(…)`, `query_to_xml(…)`", "columns by name"),
        ("casts to `reg…` types", "a plain type"),
    ),
    "mysql": (("`@variable`, `@@variable`, `/*! … */`, `LOAD_FILE(…)`, `SLEEP(…)`, `BENCHMARK(…)`", "`:name`"),),
    "tsql": (("`#temporary`, `OPENROWSET(…)`, `OPTION (…)`, `FOR XML`, `@variable`", "WITH; `:name`"),),
    "snowflake": (("`@stage`, `RESULT_SCAN(…)`, `seq.NEXTVAL`, `AT`/`BEFORE`, `CHANGES`", "a table as it is now"),),
    "bigquery": (("`EXTERNAL_QUERY(…)`, `ML.…`, `FOR SYSTEM_TIME`, scripts", "a table as it is now"),),
    "trino": (('`TABLE(system.query(…))`, `"t$partitions"`, `FOR VERSION AS OF`', "a table as it is now"),),
    "clickhouse": (
        ("`FINAL`", "`argMax(column, version)` with `GROUP BY` the key"),
        ("`PREWHERE`", "`WHERE`: the engine moves conditions by itself"),
        ("`SAMPLE 0.1`", "`WHERE cityHash64(key) % 10 = 0`"),
        ("`SETTINGS …`, `FORMAT …`, `INTO OUTFILE`", "the job's own `format` and limits"),
        ("`{name:Type}`", "`:name`"),
        ("`dictGet(…)`, `joinGet(…)`", "a JOIN with a table of the catalog"),
        ("`url(…)`, `file(…)`, `s3(…)`, `remote(…)`, `merge(…)` and other table functions", "a table of the catalog"),
        ("`…State(x)`", "the aggregate itself; `…If`, `…OrNull`, `…Distinct`, `…ForEach`, `…Merge` are admitted"),
        ("`* APPLY(f)`, `CAST(x, 'Type')`", "the columns one by one; `CAST(x AS Type)` or `toTypeOrNull(x)`"),
        ("`groupConcat(x, ', ')`", "`arrayStringConcat(groupArray(x), ', ')`"),
        ("`rand()`", "`randCanonical()`"),
        ("a `WITH value AS name` called as a column", "another name for the value"),
        ("names of functions in another spelling (`TOSTRING`)", "the spelling below: the engine tells them apart"),
    ),
    "oracle": (
        ("`DBMS_…`, `UTL_…` and functions in packages, `XMLTYPE`, `XMLQUERY`", "a listed function"),
        ("`ROWID`, `ORA_ROWSCN`, `seq.NEXTVAL`", "a key column; `ROWNUM`, `LEVEL` are admitted"),
        (
            "`t@link`, `AS OF`, `VERSIONS`, `PARTITION (…)`, `SAMPLE`, `MODEL`, `MATCH_RECOGNIZE`",
            "the table as it is now",
        ),
        ("`CROSS APPLY (…)`", "`, LATERAL (…)`"),
        ("`TABLE(f(x))`, `XMLTABLE`, `JSON_TABLE`", "`JSON_VALUE`, `REGEXP_SUBSTR`"),
        ("`CURSOR(…)`, `COLLECT(x)`", "`LISTAGG(x, ', ') WITHIN GROUP (ORDER BY x)`"),
    ),
    "databricks": (
        ("``csv.`/path` ``, ``delta.`/path` ``, `read_files(…)`, `STREAM`", "a table of the catalog"),
        ("`VERSION AS OF`, `TIMESTAMP AS OF`, `table_changes(…)`", "the table as it is now"),
        ("`java_method(…)`, `reflect(…)`, `ai_…(…)`, `http_request(…)`, `secret(…)`", "a listed function"),
        ("`${name}`, also within a text", "`:name`: Spark would replace it before it reads the query"),
        ("`IDENTIFIER(…)`, `TRANSFORM … USING`, `CLUSTER BY`, `TABLESAMPLE`", "names as they are; `ORDER BY`"),
        ("``a:`odd name` ``, `a:['odd name']`", "`get_json_object(a, '$.odd name')`"),
        ("`input_file_name()`, `_metadata`", "columns of the table"),
    ),
}
