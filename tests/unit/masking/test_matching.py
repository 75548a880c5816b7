"""Which column a line of the policy names: globs, regular expressions, types, tags, partitions, kinds of relations."""

import time

import pytest
from pydantic import ValidationError

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.masking.matching import family
from agent.masking.patterns import check_regex, comment_tags
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare
from agent.masking.visible import beneath_views, visible

COLUMNS = (
    Column("id", "INTEGER"),
    Column("Email", "VARCHAR(80)", comment="how to reach them #PII"),
    Column("salary", "NUMERIC(12, 2)", comment="[secret] yearly"),
    Column("note", "TEXT", comment="#pii2 is not a tag of theirs, nor mail@pii"),
)


def policy(*rules, **more):
    return Policy.model_validate({"version": 1, "default": "keep", "rules": list(rules), **more})


def decided(found, relation=None, catalog=None):
    relation = relation or Relation("public", "Staff", COLUMNS)
    catalog = catalog or Catalog("hr", "duckdb", "public", (relation,))
    lines = found.lines_of(catalog, relation)
    rules = {column.name: found.decide(column, lines, ()) for column in relation.columns}
    return {name for name, rule in rules.items() if rule is None or rule.rule != "keep"}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ({"match": "hr.*.staff.email"}, {"Email"}),
        ({"match": "*.*.*.*a*"}, {"Email", "salary"}),
        ({"match": "*.*.*.[es]*"}, {"Email", "salary"}),
        ({"match": "crm.*.*.*"}, set()),
        ({"match": {"regex": r"hr\.public\.staff\.(email|note)"}}, {"Email", "note"}),
        ({"match": {"regex": r"HR\..*\.e?mail"}}, {"Email"}),
        ({"match": {"regex": "mail"}}, set()),
        ({"match": {"regex": r".*mail"}}, {"Email"}),
        ({"type": "numeric*"}, {"salary"}),
        ({"type": "numeric(12, 2)"}, {"salary"}),
        ({"type": "varchar(??)"}, {"Email"}),
        ({"type": "*"}, {"id", "Email", "salary", "note"}),
        ({"match": "*.*.*.*", "type": "text"}, {"note"}),
        ({"match": "*.*.*.id", "type": "text"}, set()),
    ],
    ids=lambda value: str(value if isinstance(value, dict) else sorted(value)).replace("\\", ""),
)
def test_conditions(line, named):
    assert decided(policy({**line, "rule": "redact"})) == named


TAGS = {"pii": ["*.*.*.note", {"regex": r"hr\..*\.id"}]}


def test_tags_name_columns_by_patterns_and_by_comments():
    tagged = {"tag": "pii", "rule": "redact"}
    assert decided(policy(tagged, tags=TAGS)) == {"id", "note"}
    assert decided(policy(tagged, tags=TAGS, tags_from_comments=True)) == {"id", "note", "Email"}
    assert decided(policy({"tag": "secret", "rule": "redact"}, tags_from_comments=True)) == {"salary"}
    assert decided(policy({**tagged, "match": "*.*.*.i*"}, tags=TAGS, tags_from_comments=True)) == {"id"}


def test_a_comment_never_opens_a_column():
    opened = {"tag": "pii", "rule": "keep"}
    rest = {"match": "*.*.*.*", "rule": "redact"}
    assert "Email" in decided(policy(opened, rest, tags_from_comments=True))
    assert "note" not in decided(policy(opened, rest, tags=TAGS, tags_from_comments=True))


def test_comments_with_tags():
    assert comment_tags("a #Pii [GDPR-9] (see #1, a[0]) mail#x") == {"pii", "gdpr-9", "x"}


@pytest.mark.parametrize(
    "text",
    ["(a+)+", "(a|a)*b", "(?=a)", "(a)\\1", "a**", "a+?b+?c+?d+?e+?f", "[a-z", "(a", "a)", "^a$", ".*.*.*.*.*x", "a{99}", "(?i)a",
     "x" * 201, "\\x41", "a{1,99}", "(a*)*", "(a?){16}(b*)*"],
)  # fmt: skip
def test_regular_expressions_that_could_be_slow_are_refused(text):
    with pytest.raises(ValueError):
        check_regex(text)


def test_what_is_admitted_is_quick():
    worst = ".*a.*a.*a.*b"
    check_regex(worst)
    found = policy({"match": {"regex": worst}, "rule": "redact"})
    column = Column("a" * 120, "")
    began = time.process_time()
    assert decided(found, Relation("", "", (column,))) == set()
    assert time.process_time() - began < 4


@pytest.mark.parametrize(
    "rule",
    [{"rule": "redact"}, {"match": "a.b.c", "rule": "redact"}, {"tag": "nope", "rule": "redact"}, {"type": "", "rule": "redact"}],
    ids=str,
)  # fmt: skip
def test_a_line_must_say_what_it_is_for(rule):
    with pytest.raises(ValidationError):
        policy(rule)


PARENT = Relation("public", "events", (Column("who", "TEXT"), Column("what", "TEXT")))
CHILD = Relation("parts", "events_2024", PARENT.columns, parents=(("public", "events"),))
GRANDCHILD = Relation("parts", "events_2024_01", PARENT.columns, parents=(("parts", "events_2024"),))
PARTS = Catalog("hr", "duckdb", "public", (PARENT, CHILD, GRANDCHILD))


@pytest.mark.parametrize("relation", [PARENT, CHILD, GRANDCHILD], ids=lambda relation: relation.name)
def test_rules_of_a_parent_hold_for_its_partitions(relation):
    found = policy(
        {"match": "*.*.events_2024_01.who", "rule": "keep"}, {"match": "hr.public.events.who", "rule": "redact"}
    )
    assert decided(found, relation, PARTS) == {"who"}
    assert policy(tables={"deny": ["hr.public.events"]}).hides(PARTS, relation)
    counted = policy(subjects={"hr.public.events": "who"}, min_group_size=3)
    assert counted.subjects_of(PARTS, relation) == (("hr.public.events", "who"),)


def test_of_a_parents_rule_and_its_own_the_masking_one_holds():
    found = policy({"match": "hr.public.events.*", "rule": "keep"}, {"match": "*.parts.*.who", "rule": "redact"})
    assert decided(found, GRANDCHILD, PARTS) == {"who"}


def test_parents_that_are_their_own_children_end():
    loop = Relation("a", "x", PARENT.columns, parents=(("a", "y"),))
    other = Relation("a", "y", PARENT.columns, parents=(("a", "x"),))
    assert decided(
        policy({"match": "*.*.y.who", "rule": "redact"}), loop, Catalog("s", "duckdb", "a", (loop, other))
    ) == {"who"}


def test_every_parent_is_asked_once_however_many_ways_lead_to_it():
    root, other = Relation("a", "root", PARENT.columns), Relation("a", "other", PARENT.columns)
    left = Relation("a", "left", PARENT.columns, parents=(("a", "root"),))
    right = Relation("a", "right", PARENT.columns, parents=(("a", "root"), ("a", "other")))
    child = Relation("a", "child", PARENT.columns, parents=(("a", "left"), ("a", "right")))
    known = Catalog("S", "duckdb", "a", (child, left, right, root, other))
    assert family(known, child) == (
        ("s", "a", "other"), ("s", "a", "root"), ("s", "a", "right"), ("s", "a", "left"), ("s", "a", "child"),
    )  # fmt: skip
    assert family(known, root) == (("s", "a", "root"),)
    twice = Relation("A", "Child", PARENT.columns, parents=(("a", "Root"), ("A", "root")))
    assert family(known, twice) == (("s", "a", "root"), ("s", "a", "child"))
    assert decided(policy({"match": "*.*.other.who", "rule": "redact"}), child, known) == {"who"}


@pytest.mark.parametrize("kind", ["materialized", "foreign"])
def test_rows_of_their_own_are_readable_only_by_name(kind):
    relation = Relation("public", "totals", COLUMNS, kind)
    view = Relation("public", "v", (Column("id", "INTEGER"),), "view", "SELECT id FROM totals")
    catalog = Catalog("hr", "duckdb", "public", (relation, view))
    for globs, shown in (
        (["*.*.*"], False),
        (["hr.public.*"], False),
        (["hr.public.total?"], False),
        (["*.*.*", "hr.*.Totals"], True),
        (["hr.public.totals"], True),
    ):
        found = policy(tables={"allow": globs})
        assert ("totals" in [one.name for one in visible(catalog, found).relations]) is shown
        assert ("totals" in [one.name for one in beneath_views(catalog, found).relations]) is shown
    task = SqlTask(source=SourceName("hr"), statement="SELECT id FROM totals", parameters={})
    missing = SqlTask(source=SourceName("hr"), statement="SELECT id FROM totalx", parameters={})
    said = []
    for one in (task, missing):
        with pytest.raises(Refuse) as caught:
            prepare(one, catalog, policy(), roles=(), token_key=None, tenant="t")
        said.append((caught.value.code, caught.value.message.replace("totalx", "totals"), caught.value.hint))
    assert said[0] == said[1]


def test_a_type_alone_names_no_column_of_a_view():
    view = Relation("public", "v", (Column("id", "TEXT"),), "view", "SELECT 1")
    assert decided(policy({"type": "text", "rule": "redact"}), view) == set()
    assert decided(policy({"match": "*.*.v.*", "type": "text", "rule": "redact"}), view) == {"id"}


def test_a_policy_survives_its_own_json():
    found = policy({"match": {"regex": r".*\.e?mail"}, "type": "var*", "tag": "pii", "rule": "redact"}, tags=TAGS)
    again = Policy.model_validate_json(found.model_dump_json())
    assert again == found
    assert again.rules[0].match == r"/.*\.e?mail/"


@pytest.mark.parametrize(
    "text",
    ["", "a", "(a)?b", "(a)?(b)?c", "a?b{2,3}c{16}", "(?:a|b)c", "((a)b)", "[^a-z]+x", "a*b+c{1,}d*", "x" * 200, r"\d\.\w", "a|b", "a*b*c*d{2,}",
     "a{16}", "a{0,16}", "((((a))))", "a?b?c?d?e?f?", "a{3}b{3}c{3}d{3}e{3}"],
)  # fmt: skip
def test_regular_expressions_that_are_plain_are_admitted(text):
    check_regex(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x" * 201, "at most 200 characters"),
        ("ab^", "at character 3"),
        ("(a))", "at character 4"),
        ("a*b*c*d*e*", "at most 4 of"),
        ("a{1,}b*c+d*e+", "at most 4 of"),
        ("(a", "open bracket"),
        ("a{17}", "at most 16 times"),
        ("a{1,17}", "at most 16 times"),
        ("[z-a]", "not valid"),
        ("a|^", "at character 3"),
        ("(a)?^", "at character 5"),
        ("(a)^", "at character 4"),
        ("a+^", "at character 3"),
        ("a{2}^", "at character 5"),
        (")", "at character 1"),
        ("a*b*c*d{2,}e+", "at most 4 of"),
    ],
)
def test_a_regular_expression_is_refused_with_the_reason(text, part):
    with pytest.raises(ValueError, match=part):
        check_regex(text)
