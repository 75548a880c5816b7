"""Some rows of a table, unmasked: for the survey, which lets out nothing but shares of them.

Made as every statement is: built as a tree, admitted, rewritten, proven; under a policy that keeps all.
"""

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from agent.core.catalog import Catalog, Relation
from agent.core.job import SourceName, SqlTask
from agent.core.plan import MaskedPlan
from agent.dialects import DIALECTS
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

_EVERYTHING: Final = Policy(version=1, default="keep")


def sample(relation: Relation, columns: Sequence[str], rows: int, catalog: Catalog) -> MaskedPlan:
    """The first `rows` rows of some columns. Only `agent.worker.survey` may run it. Raises Refuse(sql.*)."""
    table = exp.Table(
        this=exp.to_identifier(relation.name, quoted=True), db=exp.to_identifier(relation.schema, quoted=True)
    )
    wanted = [exp.column(exp.to_identifier(name, quoted=True)) for name in columns]
    select = exp.Select(expressions=wanted).from_(table).limit(rows)
    statement = select.sql(dialect=DIALECTS[catalog.dialect].engine)
    task = SqlTask(source=SourceName(catalog.source), statement=statement, parameters={})
    return prepare(task, catalog, _EVERYTHING, roles=(), token_key=None, tenant="")
