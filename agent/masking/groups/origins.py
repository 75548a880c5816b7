"""The FROM of a SELECT -> its origins; and what may stand there when rows of people are among them."""

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from agent.dialects.base import words
from agent.masking.groups.shapes import Origin, own, refused

_PLAIN_JOINS: Final = frozenset({"", "INNER", "CROSS", "OUTER"})
_ROWS: Final = frozenset({"with_", "expressions", "from_", "joins", "where", "order"})
"""What a SELECT may have that hands on rows of people."""
_GROUPS: Final = _ROWS | {"group", "having", "distinct", "qualify", "windows", "limit", "offset"}
_CHANGING: Final = words(
    """random rand rand32 rand64 randn rand_canonical randcanonical randconstant randstr randomstring randuniform
    randnormal randbernoulli randbinomial randexponential uniform normal zipf seq1 seq2 seq4 seq8 uuid uuid_string
    uuidv4 uuidv7 gen_random_uuid generate_uuid generateuuidv4 generateuuidv7 newid newsequentialid sys_guid
    clock_timestamp timeofday sysdate systimestamp now64 nowinblock randomblob uuid_generate_v4 crypt_gen_random
    monotonically_increasing_id rownumberinallblocks rownumberinblock runningaccumulate
    runningdifference neighbor random_normal arrayrandomsample"""
)
"""Functions and words that may give another value each time that one statement computes them."""
_SHOWN: Final = {"limit": "LIMIT", "distinct": "DISTINCT", "qualify": "QUALIFY", "sample": "A sample"}


def from_items(select: exp.Select) -> Iterator[exp.Expression]:
    """What rows come from, in its order."""
    first = select.args.get("from_")
    if first is not None:
        yield first.this
    for join in select.args.get("joins") or ():
        yield join.this
    yield from select.args.get("laterals") or ()


def check_clauses(select: exp.Select, origins: tuple[Origin, ...], *, grouped: bool) -> None:
    """Refuse what would mix, cut or multiply rows of people in ways that a count of them does not see."""
    allowed = _GROUPS if grouped else _ROWS
    for key, value in select.args.items():
        if value and key not in allowed:
            shown = _SHOWN.get(key, key.strip("_").upper())
            raise refused(f"{shown} is not allowed on rows of people before they are grouped.")
    for join in select.args.get("joins") or ():
        _check_join(join)
    names = [origin.alias.name.lower() for origin in origins]
    if len(set(names)) != len(names) or not all(names):
        raise refused("A relation has no name here, or that of another.", "Give each an alias with AS.")
    for origin in origins:
        if origin.shape.outputs is None:
            raise refused("Rows of people are joined with something that is no table.", "Join tables and sub-queries.")
        if origin.shape.free:
            raise refused("A sub-query in FROM reads columns of its neighbour, over rows of people.", "Use a join.")
    for item in from_items(select):
        if any(item.args.get(key) for key in ("joins", "pivots", "sample")):
            raise refused("Brackets around joins, PIVOT and samples are not allowed on rows of people.")


def check_lasting(select: exp.Select) -> None:
    """Refuse what is not the same when the rows are counted and when they are added up."""
    for node in own(select):
        if isinstance(node, (exp.Anonymous, exp.Column)):
            name = node.name.lower()
        else:
            name = str(node.sql_name()).lower() if isinstance(node, exp.Func) else ""
        if name == "rownum" if isinstance(node, exp.Column) else name in _CHANGING:
            raise refused(f"{name} gives other values each time: rows cannot be counted by it.", "Remove it.")


def _check_join(join: exp.Join) -> None:
    kind = str(join.args.get("kind") or "").upper()
    side = str(join.args.get("side") or "").upper()
    if join.args.get("method") or kind not in _PLAIN_JOINS or side not in {"", "LEFT", "RIGHT", "FULL"}:
        raise refused("This kind of join is not allowed on rows of people.", "Use JOIN … ON or JOIN … USING.")
