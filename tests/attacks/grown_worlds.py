"""Random schemas under random policies, each as two databases that differ only in what the policy's masks hide."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

NAMES = ("id", "name", "ssn", "email", "salary", "born", "note", "Amount", "user", "order", "city", "t0", "t1")
TABLES = ("t0", "t1", "people", "Orders", "order")
TYPES = {"int": "INTEGER", "num": "DECIMAL(12,2)", "text": "TEXT", "date": "DATE", "float": "DOUBLE PRECISION"}
ROWS = 9
CITIES = ("Rome", "Oslo", "Lima")
WORLDS = 40
MASKS = {
    "int": ({"bucket": 1000}, "redact", "null", {"constant": 7}),
    "num": ({"bucket": 1000}, {"round": -3}, "redact", "null", {"constant": 7}),
    "float": ({"bucket": 1000}, "redact", "null", {"constant": 7}),
    "text": ("last4", {"partial": {"keep_first": 2, "keep_last": 2}}, "email", "redact", "null", {"constant": "x"}),
    "date": ("year", "month", "redact", "null"),
}
"""What hides the difference of the two worlds, by type of column."""


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    rule: object = None  # None: not protected


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class World:
    """Tables, and the literal rows of each, twice."""

    seed: int
    tables: tuple[Table, ...]
    rows: dict[str, tuple[list[list[str]], list[list[str]]]]

    def ddl(self) -> Iterator[str]:
        for table in self.tables:
            columns = ", ".join(f'"{c.name}" {TYPES[c.type]}' for c in table.columns)
            yield f'CREATE TABLE "{table.name}" ({columns})'
        for table in self.tables[:1]:
            yield f'CREATE VIEW "v_{table.name}" AS SELECT * FROM "{table.name}"'
            first = table.columns[0].name
            yield f'CREATE VIEW "w_{table.name}" AS SELECT "{first}" AS k FROM "v_{table.name}" WHERE "{first}" IS NOT NULL'

    def inserts(self, which: int) -> Iterator[str]:
        for table in self.tables:
            lines = ", ".join(f"({', '.join(row)})" for row in self.rows[table.name][which])
            yield f'INSERT INTO "{table.name}" VALUES {lines}'

    def policy(self, schema: str) -> dict[str, object]:
        rules = [
            {"match": f"*.{schema}.{table.name}.{column.name}", "rule": column.rule}
            for table in self.tables
            for column in table.columns
            if column.rule is not None
        ]
        return {"version": 1, "default": "keep", "rules": rules}

    def protected(self) -> set[str]:
        return {c.name for table in self.tables for c in table.columns if c.rule is not None}


@cache
def world(seed: int) -> World:
    chance = random.Random(seed)
    tables = []
    for name in chance.sample(TABLES, k=chance.randint(2, 3)):
        columns = [Column("id", "int")]
        for column in chance.sample([n for n in NAMES if n != "id"], k=chance.randint(3, 5)):
            kind = chance.choice(tuple(TYPES))
            rule = chance.choice(MASKS[kind]) if chance.random() < 0.6 else None
            columns.append(Column(column, kind, rule))
        tables.append(Table(name, tuple(columns)))
    rows = {table.name: _rows(table, chance) for table in tables}
    return World(seed, tuple(tables), rows)


def _rows(table: Table, chance: random.Random) -> tuple[list[list[str]], list[list[str]]]:
    first, second = [], []
    for number in range(ROWS):
        cells = [_cells(column, number, chance) for column in table.columns]
        first.append([cell[0] for cell in cells])
        second.append([cell[1] for cell in cells])
    return first, second


def _cells(column: Column, number: int, chance: random.Random) -> tuple[str, str]:
    """The same cell in both worlds: equal, or different behind the same mask."""
    if column.name == "id":
        return str(number % 6), str(number % 6)
    null = chance.random() < 0.15
    hides_null = column.rule in ("redact", "null") or (isinstance(column.rule, dict) and "constant" in column.rule)
    if null and not hides_null:
        return "NULL", "NULL"
    one = _value(column.type, chance, ())
    if column.rule is None:
        return one, one
    if hides_null:
        return "NULL" if null else one, _value(column.type, chance, ())
    return _behind(column, chance)


def _value(kind: str, chance: random.Random, _: tuple[()]) -> str:
    match kind:
        case "int":
            return str(chance.randint(-50, 9000))
        case "num":
            return f"{chance.randint(-500, 90000)}.{chance.randint(0, 99):02}"
        case "float":
            return f"{chance.randint(-500, 9000)}.5"
        case "date":
            return f"DATE '{chance.randint(1950, 2020)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}'"
        case _:
            return f"'{chance.choice(CITIES)}{chance.choice(('', chance.randint(10000, 99999)))}'"


def _behind(column: Column, chance: random.Random) -> tuple[str, str]:
    """Two values that the column's rule turns into one."""
    match column.type, column.rule:
        case "date", "year":
            year = chance.randint(1950, 2020)
            return tuple(f"DATE '{year}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}'" for _ in "ab")
        case "date", "month":
            month = f"{chance.randint(1950, 2020)}-{chance.randint(1, 12):02}"
            return tuple(f"DATE '{month}-{chance.randint(1, 28):02}'" for _ in "ab")
        case "text", "email":
            domain = chance.choice(("example.org", "example.com"))
            return tuple(f"'p{chance.randint(1, 10**6)}@{domain}'" for _ in "ab")
        case "text", "last4":
            end = f"{chance.randint(0, 9999):04}"
            return tuple(f"'{chance.randint(10**6, 10**7)}{end}'" for _ in "ab")
        case "text", _:
            start, end = chance.choice("ABC") + "x", f"{chance.randint(0, 99):02}"
            return tuple(f"'{start}{chance.randint(10**6, 10**7)}{end}'" for _ in "ab")
        case _:  # bands of 1000, and rounding to 1000, share the middle of a band
            base = chance.randint(0, 8) * 1000
            return tuple(f"{base + chance.randint(510, 900)}{'.25' if column.type != 'int' else ''}" for _ in "ab")
