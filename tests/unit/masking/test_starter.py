"""Names, types and shares of a sample -> a policy to start from; and which names are taken for what."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.core.catalog import Catalog, Column, Relation
from agent.masking.coverage import BENEATH, advice, covered
from agent.masking.pii.names import topic_of
from agent.masking.policy import Policy
from agent.masking.starter import lines, policy_text

SPOKEN = {
    "an e-mail address": ["email", "billingEMail", "E-Mail", "courriel", "correo_electronico"],
    "a telephone number": ["phone_number", "Telefonnummer", "tel", "móvil", "gsm"],
    "a date of birth": ["dob", "birthDate", "Geburtsdatum", "data_di_nascita", "fecha_nacimiento", "doğum_tarihi"],
    "a national identity number": [
        "ssn",
        "codice_fiscale",
        "codiceFiscale",
        "bsn",
        "TCKimlikNo",
        "steuer_id",
        "NIR",
        "dni",
    ],
    "a card number": ["card_number", "creditCard", "pan", "Kreditkarte"],
    "a bank account": ["iban", "account_no", "Kontonummer"],
    "a person's name": ["first_name", "lastName", "Nachname", "prénom", "apellidos", "cognome", "soyadı"],
    "an address": ["street", "Straße", "plz", "zip_code", "postal_code"],
    "pay or wealth": ["salary", "Gehalt", "annual_income"],
    "health, belief or origin": ["diagnosis", "Religion", "gender", "Geschlecht"],
    "a secret": ["password", "api_key", "Passwort"],
    "free text": ["notes", "comment", "Bemerkung"],
}
SILENT = [
    "id",
    "customer_id",
    "amount",
    "status",
    "created_at",
    "order_date",
    "product",
    "quantity",
    "country",
    "price",
]


@pytest.mark.parametrize(("topic", "name"), [(topic, name) for topic, names in SPOKEN.items() for name in names])
def test_names_speak_in_many_languages(topic: str, name: str) -> None:
    found = topic_of(name)
    assert found is not None
    assert found.name == topic


@pytest.mark.parametrize("name", SILENT)
def test_plain_names_say_nothing(name: str) -> None:
    assert topic_of(name) is None


def table(*columns: tuple[str, str], name: str = "people") -> Catalog:
    relation = Relation("main", name, tuple(Column(*column) for column in columns), primary_key=("id",))
    return Catalog("shop", "duckdb", "main", (relation,))


def rule_of(column: tuple[str, str], seen: dict | None) -> object:
    facts = {"main.people": {column[0]: seen}} if seen is not None else {}
    ((_, (line,)),) = lines(table(column), facts)
    return line.rule


@pytest.mark.parametrize(
    ("column", "seen", "rule"),
    [
        (("email", "VARCHAR"), None, "email"),
        (("email", "VARCHAR"), {"kinds": {"email": "most", "us_ssn": "few"}}, "redact"),
        (("email", "INTEGER"), None, "redact"),
        (("dob", "DATE"), None, "year"),
        (("dob", "VARCHAR"), None, "redact"),
        (("salary", "DECIMAL(12,2)"), None, {"bucket": 10000}),
        (("kontakt", "VARCHAR"), {"kinds": {"phone": "most"}, "distinct": "all"}, {"partial": {"keep_last": 4}}),
        (("kontakt", "VARCHAR"), {"kinds": {"phone": "some"}, "distinct": "all"}, "redact"),
        (("memo", "VARCHAR"), {"kinds": {"email": "few"}, "distinct": "many"}, "redact"),
        (("ref", "BIGINT"), {"kinds": {"card": "most"}, "distinct": "many"}, "redact"),
        (("state", "VARCHAR"), {"kinds": {}, "distinct": "few"}, "keep"),
        (("title", "VARCHAR"), {"kinds": {}, "distinct": "many"}, None),
        (("title", "VARCHAR"), None, None),
        (("n", "BIGINT"), None, None),
        (("id", "BIGINT"), None, "keep"),
        (("n", "BIGINT"), {"kinds": {}, "distinct": "many"}, "keep"),
        (("at", "TIMESTAMP"), None, "keep"),
        (("a.b", "INTEGER"), {"kinds": {}, "distinct": "many"}, None),
    ],
)
def test_name_type_and_sample_decide(column: tuple[str, str], seen: dict | None, rule: object) -> None:
    assert rule_of(column, seen) == rule


@given(
    st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4, unique_by=str.casefold),
    st.text(min_size=1, max_size=8),
)
def test_whatever_the_names_the_text_is_a_policy_that_redacts_by_default(names: list[str], relation: str) -> None:
    catalog = table(*((name, "VARCHAR") for name in names), name=relation)
    text = policy_text(catalog, list(lines(catalog, {})), rows=0)
    policy = Policy.model_validate(yaml.safe_load(text))
    assert policy.default == "redact"
    assert policy.release.pii_net.action == "mask"
    assert all(one.rule != "keep" for one in covered(policy, catalog))


def test_a_view_gets_no_lines_and_is_masked_beneath() -> None:
    view = Relation("main", "v", (Column("email", "VARCHAR"),), kind="view", definition="SELECT 'x' AS email")
    catalog = Catalog("shop", "duckdb", "main", (view,))
    assert list(lines(catalog, {})) == []
    (one,) = covered(Policy(version=1, default="redact"), catalog)
    assert (one.rule, one.line) == (BENEATH, None)


def test_sensitive_names_that_are_shown_are_named() -> None:
    rules = [{"match": "*.*.*.email", "rule": "email"}, {"match": "*.*.*.*", "rule": "keep"}]
    policy = Policy.model_validate({"version": 1, "default": "redact", "rules": rules})
    catalog = table(("id", "INTEGER"), ("email", "VARCHAR"), ("Geburtsdatum", "DATE"))
    (found,) = advice("shop", covered(policy, catalog))
    assert found.line == 1
    assert "shop.main.people.Geburtsdatum" in found.text
    assert "year" in found.fix


WHOLE = """\
# A starter for the policy of one source, made from names, types and a sample of at most 100 rows of each table.
# Nothing was sent anywhere. It is a guess: review every line before anything relies on it. What the sample does not
# show may still be there; a name can say nothing of what a column holds. Then: agent policy lint FILE
version: 1
default: redact
tables:
  allow: ["shop.*.*"]
rules:
  # main.people
  - {match: "shop.main.people.id", rule: keep}  # type INTEGER; nothing suspicious in name or sample
  - {match: "shop.main.people.email", rule: email}  # name: an e-mail address; most of the sample: email
  - {match: "shop.main.people.kontakt", rule: redact}  # most of the sample: phone; few of the sample: email
  - {match: "shop.main.people.memo", rule: {partial: {keep_last: 4}}}  # most of the sample: phone
  # "shop.main.people.a?b" is left to the default: the name cannot be written in a pattern for this column alone
  - {match: "shop.main.people.state", rule: keep}  # few different values in the sample; nothing suspicious in name or sample
  # "shop.main.people.title" is left to the default: text of many values: decide
  # "shop.main.people.size" is left to the default: number, not sampled: decide
  # "shop.main.people.other" is left to the default: not sampled: decide
release: {pii_net: mask}
"""


def test_the_policy_gives_its_reasons() -> None:
    names = ["id", "email", "kontakt", "memo", "a.b", "state", "title", "size", "other"]
    types = {"id": "INTEGER", "size": "BIGINT"}
    seen: dict[str, dict] = {
        "id": {"kinds": {}, "distinct": "all"},
        "email": {"kinds": {"email": "most"}, "distinct": "all"},
        "kontakt": {"kinds": {"email": "few", "phone": "most"}, "distinct": "all"},
        "memo": {"kinds": {"phone": "most"}, "distinct": "all"},
        "state": {"kinds": {}, "distinct": "one"},
        "title": {"kinds": {}, "distinct": "many"},
    }
    catalog = table(*((name, types.get(name, "VARCHAR")) for name in names))
    found = list(lines(catalog, {"main.people": seen}))
    assert policy_text(catalog, found, rows=100) == WHOLE
    assert "made from names and types alone.\n" in policy_text(catalog, found, rows=0)


def test_a_policy_without_a_line_has_an_empty_list() -> None:
    catalog = table(("title", "VARCHAR"))
    text = policy_text(catalog, list(lines(catalog, {})), rows=0)
    assert "not sampled: decide\n  []\nrelease:" in text


def test_strange_names_stay_on_their_line() -> None:
    catalog = table(("x\n- y", "VARCHAR"), name="a\nb")
    text = policy_text(catalog, list(lines(catalog, {})), rows=0)
    assert "  # main.a?b\n" in text
    assert '"shop.main.a\\nb.x\\n- y" is left' in text
