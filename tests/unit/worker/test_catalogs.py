"""What one worker hands to the next: strict, canonical, of the same source only."""

import json
from dataclasses import fields, replace

import pytest

from agent.core.catalog import Catalog, Column, ForeignKey, Index, Relation
from agent.sandbox.answer import MAX_CATALOG_BYTES
from agent.worker.catalogs import decode, encode, version

COLUMN = Column("ä\n\"'", "mood", nullable=False, comment="c", labels=("sad", "ok"), nulls=0.25)
RELATION = Relation(
    "public",
    "t",
    (COLUMN, Column("b", "int")),
    "foreign",
    "SELECT 1",
    "why",
    ("b",),
    (ForeignKey(("b",), "public", "u", ("id",)),),
    (("public", "parent"),),
    12,
    (Index("i", ("b", "")),),
    ("b",),
)
CATALOG = Catalog("shop", "duckdb", "public", (RELATION,), ("db",), ("public", "x"), "lower")


def read(data: bytes) -> Catalog | None:
    return decode(data, source="shop", dialect="duckdb")


def test_every_field_survives() -> None:
    for value in (COLUMN, RELATION, CATALOG):  # a new field has to be filled above
        assert [one.name for one in fields(value) if getattr(value, one.name) == one.default] == []
    assert read(encode(CATALOG)) == CATALOG
    assert read(encode(Catalog("shop", "duckdb", "main", ()))) == Catalog("shop", "duckdb", "main", ())


def test_equal_catalogs_have_equal_bytes_and_others_another_version() -> None:
    assert encode(CATALOG) == encode(replace(CATALOG))
    assert version(encode(CATALOG)) != version(encode(replace(CATALOG, default_schema="other")))
    assert len(version(b"")) == 64


GOOD = encode(CATALOG)
BAD = {
    "trailing space": GOOD + b" ",
    "leading space": b" " + GOOD,
    "cut": GOOD[:-1],
    "a text for a number": GOOD.replace(b'"rows":12', b'"rows":"12"'),
    "an unknown member": GOOD.replace(b'"rows":12', b'"rows":12,"more":1'),
    "a member twice": GOOD.replace(b'"rows":12', b'"rows":12,"rows":13'),
    "an unknown kind": GOOD.replace(b'"foreign"', b'"remote"'),
    "another source": GOOD.replace(b'"source":"shop"', b'"source":"till"'),
    "another dialect": GOOD.replace(b'"dialect":"duckdb"', b'"dialect":"sqlite"'),
    "other white space": json.dumps(json.loads(GOOD), indent=1).encode(),
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "deep": b"{" * 100_000,
    "not text": b"\xff",
    "too large": b" " * (MAX_CATALOG_BYTES + 1),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_was_not_written_by_encode_is_dropped(data: bytes) -> None:
    assert data != GOOD
    assert read(data) is None


def test_what_cannot_be_handed_on_is_empty() -> None:
    assert encode(replace(CATALOG, default_schema="\ud800")) == b""
    wide = Relation("s", "t", tuple(Column("c" * 1000, "int") for _ in range(9000)))
    assert encode(replace(CATALOG, relations=(wide,))) == b""
