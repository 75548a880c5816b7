"""The least and greatest number of a column's type."""

import pytest
from sqlglot import exp

from agent.masking.bounds import bounds


@pytest.mark.parametrize(
    ("type_text", "low", "high"),
    [
        ("SMALLINT", "-32768", "32767"),
        ("INT", "-2147483648", "2147483647"),
        ("BIGINT", "-9223372036854775808", "9223372036854775807"),
        ("DECIMAL(12, 2)", "-999999999999e-2", "999999999999e-2"),
        ("DECIMAL(5)", "-99999e0", "99999e0"),
        ("DECIMAL", "-1e1000", "1e1000"),
        ("FLOAT", "-3e38", "3e38"),
        ("DOUBLE", "-1e308", "1e308"),
        ("MONEY", "-9e16", "9e16"),
        ("TEXT", "-1e1000", "1e1000"),
    ],
)
def test_each_type_has_its_own(type_text, low, high):
    dialect = "postgres" if type_text == "MONEY" else None
    found = bounds(exp.DataType.build(type_text, dialect=dialect))
    assert found == (low, high)
    if low != "-1e1000":
        assert float(low) < 0 < float(high)


def test_an_unknown_type_has_the_widest():
    assert bounds(None) == ("-1e1000", "1e1000")
