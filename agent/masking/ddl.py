"""CREATE statements, or a catalog document -> `Catalog`, for checks without a database."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlglot import exp

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import ConfigError
from agent.dialects import DIALECTS, Dialect
from agent.masking.script import copied_of, parents_of, read


def catalog_of(ddl: str, *, dialect: str, source: str) -> Catalog:
    """The tables and views that a script creates; statements of other kinds are passed over.

    Raises ConfigError where the script does not parse or a view's columns cannot be told.
    """
    known = DIALECTS[dialect]
    if known.batch_end is not None:
        ddl = known.batch_end.sub(";", ddl)
    script = read(ddl, known)
    relations: list[Relation] = []
    databases: set[str] = set()
    for tree, said in script.creates:
        relations.append(script.settled(_relation(tree, known, relations), said))
        databases |= {_spelled(database, known) for database in [_target(tree).args.get("catalog")] if database}
    if len(databases) > 1:
        raise ConfigError("--catalog", "the script creates relations in several databases.", "Give one database's.")
    return Catalog(source, dialect, known.default_schema, tuple(relations), tuple(databases))


def _target(tree: exp.Create) -> exp.Expr:
    """The name of what is created."""
    name: exp.Expr = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    return name


def _relation(tree: exp.Create, dialect: Dialect, before: list[Relation]) -> Relation:
    target, table = tree.this, _target(tree)
    schema = _spelled(table.args.get("db"), dialect) or dialect.default_schema
    name = _spelled(table.this, dialect)
    definitions = list(target.expressions) if isinstance(target, exp.Schema) else []
    if str(tree.args["kind"]).upper() == "TABLE" and not isinstance(tree.expression, exp.Query):
        parents = tuple(_path(one, dialect) for one in parents_of(tree))
        sources = [_path(one, dialect) for one in copied_of(tree)]
        copied = [one for relation in before if (relation.schema, relation.name) in sources for one in relation.columns]
        written = [_column(one, dialect) for one in definitions if isinstance(one, exp.ColumnDef)]
        kept = {one.name: one for one in (*copied, *written)}
        return Relation(schema, name, tuple(kept.values()), parents=parents)
    if not isinstance(tree.expression, exp.Query):
        raise ConfigError("--catalog", f"the relation {name} has no columns.")
    listed = [one if isinstance(one, exp.Identifier) else one.this for one in definitions]
    names = [_spelled(one, dialect) for one in listed] or _names(tree.expression, before, name, dialect)
    columns = tuple(Column(one, "") for one in names)
    return Relation(schema, name, columns, "view", tree.expression.sql(dialect=dialect.engine))


def _path(table: exp.Table, dialect: Dialect) -> tuple[str, str]:
    return _spelled(table.args.get("db"), dialect) or dialect.default_schema, _spelled(table.this, dialect)


def _column(definition: exp.ColumnDef, dialect: Dialect) -> Column:
    kind = definition.args.get("kind")
    return Column(_spelled(definition.this, dialect), kind.sql(dialect=dialect.engine) if kind is not None else "")


def _spelled(name: exp.Expr | None, dialect: Dialect) -> str:
    """An identifier as the engine keeps it; empty where there is none."""
    if not isinstance(name, exp.Identifier):
        return name.name if name is not None else ""
    if dialect.case == "insensitive":
        return str(name.this)
    return dialect.fold(name.this, quoted=bool(name.args.get("quoted")))


def _names(query: exp.Query, before: list[Relation], view: str, dialect: Dialect) -> list[str]:
    names: list[str] = []
    for projection in query.selects:
        if isinstance(projection, exp.Star) or (isinstance(projection, exp.Column) and projection.is_star):
            names += _starred(query, projection, before, view)
        else:
            names.append(_spelled(_naming(projection), dialect))
    if not all(names):
        raise ConfigError("--catalog", f"a column of the view {view} has no name.", "Name it with AS.")
    return names


def _naming(projection: exp.Expr) -> exp.Expr | None:
    """The identifier that names an output column, None where nothing does."""
    return projection.args.get("alias") or (projection.this if isinstance(projection, exp.Column) else None)


def _starred(query: exp.Query, star: exp.Expression, before: list[Relation], view: str) -> list[str]:
    """The columns of the tables that the first SELECT reads."""
    select = next(query.find_all(exp.Select, bfs=False))
    first = select.args.get("from_")
    sources = [first.this] if first is not None else []
    sources += [join.this for join in select.args.get("joins") or ()]
    wanted = star.table if isinstance(star, exp.Column) else ""
    names: list[str] = []
    for source in sources:
        if wanted in {"", source.alias_or_name}:
            known = [r for r in before if isinstance(source, exp.Table) and r.name.lower() == source.name.lower()]
            if not known:
                raise ConfigError("--catalog", f"a * in the view {view} cannot be told.", "Name its columns.")
            names += [column.name for column in known[-1].columns]
    return names


def catalog_from_json(text: str, *, dialect: str, source: str) -> Catalog:
    """A catalog document: {"relations": [{"schema", "name", "kind", "columns": [{"name", "type"}], "definition"}]}.

    `default_schema` and `databases` are optional. Raises ConfigError.
    """
    try:
        document = _Document.model_validate_json(text)
    except ValidationError as error:
        where = ".".join(str(step) for step in error.errors(include_input=False)[0]["loc"])
        raise ConfigError("--catalog", f"is not a catalog document (at {where or 'the top'}).") from None
    relations = tuple(
        Relation(
            one.schema_ or DIALECTS[dialect].default_schema,
            one.name,
            tuple(Column(column.name, column.type) for column in one.columns),
            one.kind,
            one.definition,
        )
        for one in document.relations
    )
    default = document.default_schema or DIALECTS[dialect].default_schema
    return Catalog(source, dialect, default, relations, document.databases)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _ColumnDocument(_Model):
    name: str
    type: str = ""


class _RelationDocument(_Model):
    schema_: str = Field(default="", alias="schema")
    name: str
    kind: Literal["table", "view"] = "table"
    columns: tuple[_ColumnDocument, ...]
    definition: str | None = None


class _Document(_Model):
    default_schema: str = ""
    databases: tuple[str, ...] = ()
    relations: tuple[_RelationDocument, ...]
