"""Queries grown from a grammar over the tables of a world; most of them run, some are odd on purpose."""

from typing import Any

from hypothesis import strategies as st

from tests.attacks.grown_worlds import World

DEPTH = 2
Scope = list[tuple[str, list[tuple[str, str]]]]
"""Aliases with their columns and types."""


def quoted(name: str) -> str:
    return f'"{name}"'


class Grower:
    """Draws one query. `dialect` decides the few words that engines spell differently."""

    def __init__(self, draw: Any, world: World, dialect: str) -> None:
        self.draw, self.world, self.dialect = draw, world, dialect
        self.fresh = 0

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def chance(self, of: int = 3) -> bool:
        return self.draw(st.integers(0, of - 1)) == 0

    def name(self) -> str:
        self.fresh += 1
        return f"a{self.fresh}"

    def query(self) -> str:
        head, ctes = "", []
        if self.chance(4):
            ctes = [self._cte()]
            head = f"WITH {ctes[0][0]} AS ({ctes[0][1]}) "
        body, types = self._select(DEPTH, outer=[], ctes=[(name, columns) for name, _, columns in ctes])
        if self.chance(6):
            word = self.pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT")
            body = f"{body} {word} {body if self.chance() else self._like(types)}"
        elif self.chance():
            body += f" ORDER BY {self.draw(st.integers(1, len(types)))}{self.pick('', ' DESC', ' NULLS FIRST')}"
            body += self.pick("", " LIMIT 3", " LIMIT 2 OFFSET 1")
        return head + body

    def _cte(self) -> tuple[str, str, list[tuple[str, str]]]:
        # A CTE may carry the name of a table, to shadow it.
        name = quoted(self.pick("c", *[table.name for table in self.world.tables]))
        body, types = self._select(1, outer=[], ctes=[], named=True)
        return name, body, [(f"k{n}", kind) for n, kind in enumerate(types)]

    def _like(self, types: list[str]) -> str:
        return "SELECT " + ", ".join(self.literal(kind) for kind in types)

    def _source(self, depth: int, ctes: list[Any]) -> tuple[str, list[tuple[str, str]]]:
        if depth and self.chance(5):
            body, types = self._select(depth - 1, outer=[], ctes=ctes, named=True)
            return f"({body})", [(f"k{n}", kind) for n, kind in enumerate(types)]
        if ctes and self.chance(2):
            return ctes[0]
        table = self.pick(*self.world.tables)
        columns = [(column.name, column.type) for column in table.columns]
        if table is self.world.tables[0] and self.chance(4):
            if self.chance():
                return quoted(f"w_{table.name}"), [("k", columns[0][1])]
            return quoted(f"v_{table.name}"), columns
        return quoted(table.name), columns

    def _from(self, depth: int, ctes: list[Any], outer: Scope) -> tuple[str, Scope]:
        source, columns = self._source(depth, ctes)
        alias = self.name()
        text, scope = f"FROM {source} AS {alias}", [(alias, columns)]
        if self.chance(2):
            other, others = self._source(depth, ctes)
            second = self.name()
            shared = {name for name, _ in columns} & {name for name, _ in others}
            joined = [*scope, (second, others)]
            match self.pick("on", "left", "cross", "using", "natural", "lateral"):
                case "using" if "id" in shared:
                    text += f' JOIN {other} AS {second} USING ("id")'
                case "natural" if shared == {"id"}:
                    text += f" NATURAL JOIN {other} AS {second}"
                case "lateral" if depth:
                    body, types = self._select(0, outer=scope, ctes=ctes, named=True)
                    text += f" CROSS JOIN LATERAL ({body}) AS {second}"
                    joined = [*scope, (second, [(f"k{n}", kind) for n, kind in enumerate(types)])]
                case "cross":
                    text += f" CROSS JOIN {other} AS {second}"
                case kind:
                    word = "LEFT JOIN" if kind == "left" else "JOIN"
                    text += f" {word} {other} AS {second} ON {self.condition(joined, 0)}"
            scope = joined
        return text, scope

    def _select(self, depth: int, outer: Scope, ctes: list[Any], *, named: bool = False) -> tuple[str, list[str]]:
        source, scope = self._from(depth, ctes, outer)
        seen = scope + outer
        where = f" WHERE {self.condition(seen, depth)}" if self.chance(2) else ""
        if not named and self.chance(8):
            alias = scope[0][0]
            whole = self.pick(f"{alias}.*", "*", alias, f"count({alias})", f"{self._json()}({alias})")
            return f"SELECT {whole} {source}{where}", ["int"]
        if self.chance(3):
            return self._grouped(source, where, seen, named=named)
        kinds = [self.pick("int", "num", "text", "date", "float") for _ in range(self.draw(st.integers(1, 3)))]
        items = [self.value(kind, seen, depth) for kind in kinds]
        if self.chance(6):
            window = self.pick("row_number()", "rank()", "count(*)", f"max({self.value(kinds[0], seen, 0)})")
            items.append(f"{window} OVER (ORDER BY {self.value(self.pick('int', 'text'), seen, 0)})")
            kinds.append(kinds[0] if "max" in window else "int")
        if named:
            items = [f"{item} AS k{n}" for n, item in enumerate(items)]
        return f"SELECT {self.pick('', '', 'DISTINCT ')}{', '.join(items)} {source}{where}", kinds

    def _grouped(self, source: str, where: str, scope: Scope, *, named: bool) -> tuple[str, list[str]]:
        key_kind, kind = self.pick("int", "text", "date"), self.pick("int", "num", "text", "date")
        key, value = self.value(key_kind, scope, 0), self.value(kind, scope, 0)
        aggregates = {
            f"count({value})": "int",
            f"count(DISTINCT {value})": "int",
            f"min({value})": kind,
            f"max({value})": kind,
            f"count(*) FILTER (WHERE {self.condition(scope, 0)})": "int",
        }
        if kind in {"int", "num"}:
            aggregates |= {f"sum({value})": "num", f"avg({value})": "float"}
        if kind == "text":
            aggregates[f"string_agg({value}, ',' ORDER BY {value})"] = "text"
        aggregate = self.pick(*aggregates)
        items = [key, aggregate]
        if named:
            items = [f"{item} AS k{n}" for n, item in enumerate(items)]
        having = f" HAVING {self.pick('count(*) > 1', f'max({value}) IS NOT NULL')}" if self.chance() else ""
        return f"SELECT {', '.join(items)} {source}{where} GROUP BY {key}{having}", [key_kind, aggregates[aggregate]]

    def _json(self) -> str:
        return "row_to_json" if self.dialect == "postgres" else "to_json"

    def column(self, kind: str, scope: Scope) -> str | None:
        fitting = [f"{alias}.{quoted(name)}" for alias, columns in scope for name, its in columns if its == kind]
        return self.pick(*fitting) if fitting else None

    def literal(self, kind: str) -> str:
        match kind:
            case "int":
                return str(self.pick(0, 1, 3, 1000))
            case "num":
                return f"CAST({self.pick('1.5', '1000', '-3')} AS DECIMAL(12,2))"
            case "float":
                return f"CAST({self.pick('0.5', '1e3')} AS DOUBLE PRECISION)"
            case "date":
                return f"DATE '{self.pick('1970-01-01', '2001-09-09')}'"
            case _:
                return self.pick("'Rome'", "'x'", "'A%'", "''", "'12'")

    def value(self, kind: str, scope: Scope, depth: int) -> str:
        plain = self.column(kind, scope) or self.literal(kind)
        if not depth or self.chance(2):
            return plain
        inner = self.value(kind, scope, depth - 1)
        if self.chance(5):
            return f"CASE WHEN {self.condition(scope, depth - 1)} THEN {inner} ELSE {plain} END"
        if self.chance(6):
            return f"coalesce({inner}, {plain})"
        if self.chance(6):
            body, _ = self._one(kind, scope)
            return f"({body})"
        return self._made(kind, inner, plain, scope, depth)

    def _one(self, kind: str, outer: Scope) -> tuple[str, str]:
        """A scalar sub-query of one row, correlated or not."""
        source, scope = self._from(0, [], outer)
        seen = scope + outer
        value = self.value(kind, seen, 0)
        return f"SELECT {self.pick('max', 'min')}({value}) {source} WHERE {self.condition(seen, 0)}", kind

    def _made(self, kind: str, inner: str, plain: str, scope: Scope, depth: int) -> str:
        text = self.value("text", scope, 0)
        match kind:
            case "int":
                return self.pick(
                    f"({inner} + {plain})",
                    f"length({text})",
                    f"CAST({text} AS INTEGER)",
                    f"(10 / {inner})",
                    f"CAST(extract(year FROM {self.value('date', scope, 0)}) AS INTEGER)",
                )
            case "num":
                return self.pick(f"({inner} * 2)", f"abs({inner})", f"round({inner}, 1)", f"({inner} - {plain})")
            case "float":
                return self.pick(f"sqrt(abs({inner}))", f"({inner} / 3)", f"exp({inner} / 1000)")
            case "date":
                return self.pick(f"({inner} + 1)", f"greatest({inner}, {plain})")
            case _:
                return self.pick(
                    f"upper({inner})",
                    f"substr({inner}, 1, 3)",
                    f"({inner} || {plain})",
                    f"CAST({self.value(self.pick('int', 'date', 'num'), scope, depth - 1)} AS TEXT)",
                    f"replace({inner}, 'o', {plain})",
                )

    def condition(self, scope: Scope, depth: int) -> str:  # noqa: PLR0911 - one for each production
        kind = self.pick("int", "num", "text", "date", "float")
        left = self.value(kind, scope, min(depth, 1))
        match self.pick("compare", "null", "between", "in", "like", "exists", "and", "any"):
            case "null":
                return f"{left} IS {self.pick('', 'NOT ')}NULL"
            case "between":
                return f"{left} BETWEEN {self.literal(kind)} AND {self.value(kind, scope, 0)}"
            case "in" if depth:
                source, inner = self._from(0, [], scope)
                return f"{left} {self.pick('IN', 'NOT IN')} (SELECT {self.value(kind, inner + scope, 0)} {source})"
            case "like":
                return f"{self.value('text', scope, 0)} {self.pick('LIKE', 'ILIKE', 'NOT LIKE')} {self.literal('text')}"
            case "exists" if depth:
                source, inner = self._from(0, [], scope)
                return f"EXISTS (SELECT 1 {source} WHERE {self.condition(inner + scope, 0)})"
            case "and" if depth:
                word = self.pick("AND", "OR")
                return f"({self.condition(scope, depth - 1)} {word} NOT {self.condition(scope, depth - 1)})"
            case _:
                word = self.pick("=", "<>", "<", ">=", "IS DISTINCT FROM")
                return f"{left} {word} {self.value(kind, scope, 0)}"


@st.composite
def queries(draw: Any, world: World, dialect: str) -> str:
    """SQL text over the world's tables."""
    return Grower(draw, world, dialect).query()
