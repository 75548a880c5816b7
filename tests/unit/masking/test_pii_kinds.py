"""Each kind of the second net: numbers from public test ranges, and what only looks like one."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.masking.pii.kind import luhn
from agent.masking.pii.kinds import KINDS, USUAL
from agent.masking.pii.text import hits, without

HITS = [
    ("email", "mail Ann.B+c@mail.example.co.uk, please", "Ann.B+c@mail.example.co.uk"),
    ("email", "josé@münchen.de", "josé@münchen.de"),
    ("card", "4111 1111 1111 1111 12/26", "4111 1111 1111 1111"),
    ("card", "4111\u00a01111\u00a01111\u00a01111", "4111\u00a01111\u00a01111\u00a01111"),
    ("card", "5500005555555559", "5500005555555559"),
    ("card", "amex 3782-822463-10005.", "3782-822463-10005"),
    ("card", "6011000990139424", "6011000990139424"),
    ("card", "3530111333300000", "3530111333300000"),
    ("card", "2223003122003222", "2223003122003222"),
    ("iban", "to DE89 3704 0044 0532 0130 00 today", "DE89 3704 0044 0532 0130 00"),
    ("iban", "gb29nwbk60161331926819", "gb29nwbk60161331926819"),
    ("iban", "MT84MALT011000012345MTLCAST001S", "MT84MALT011000012345MTLCAST001S"),
    ("iban", "NO9386011117947", "NO9386011117947"),
    ("us_ssn", "219-09-1234", "219-09-1234"),
    ("us_ssn", "900-70-1234", "900-70-1234"),
    ("us_ssn", "ssn: 219091234", "219091234"),
    ("us_ssn", "the ssn is 219-09-1234 as told", "219-09-1234"),
    ("us_ssn", "ssn 219091234 and 7", "219091234"),
    ("phone", "+49 30 123456", "+49 30 123456"),
    ("phone", "call +1 (415) 555-2671 now", "+1 (415) 555-2671"),
    ("phone", "0049 30/123456", "0049 30/123456"),
    ("phone", "tel 00493012345678", "00493012345678"),
    ("ip", "from 203.0.113.9 at", "203.0.113.9"),
    ("ip", "2001:db8::1", "2001:db8::1"),
    ("gb_nino", "AB 12 34 56 C", "AB 12 34 56 C"),
    ("it_codice_fiscale", "RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    ("de_steuer_id", "86 095 742 719", "86 095 742 719"),
    ("de_steuer_id", "65929970489", "65929970489"),
    ("fr_nir", "2 55 08 14 168 025 38", "2 55 08 14 168 025 38"),
    ("es_dni", "12.345.678-Z", "12.345.678-Z"),
    ("es_dni", "X1234567L", "X1234567L"),
    ("nl_bsn", "bsn 111222333", "111222333"),
    ("tr_tckn", "10000000146", "10000000146"),
    ("mrz", "L898902C36UTO7408122F1204159ZE184226B<<<<<10", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"),
    ("mrz", "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"),
    ("mrz", "I<UTOD231458907<<<<<<<<<<<<<<<", "I<UTOD231458907<<<<<<<<<<<<<<<"),
    ("mrz", "7408122F1204159UTO<<<<<<<<<<<6", "7408122F1204159UTO<<<<<<<<<<<6"),
    ("secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"),
    ("secret", "key=AKIAIOSFODNN7EXAMPLE;", "AKIAIOSFODNN7EXAMPLE"),
    ("secret", "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n", "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n"),
    ("secret", "postgres://u:pw@db.example.com/x", "postgres://u:pw@"),
]
MISSES = [
    ("email", "***@example.org"),
    ("email", "***b@example.org"),
    ("email", "icon@2x.png"),
    ("email", "a@b"),
    ("card", "4111 1111 1111 1112"),
    ("card", "1234567890123452"),
    ("card", "************1111"),
    ("card", "tok_41111111111111111111111111111111"),
    ("iban", "DE89370400440532013001"),
    ("iban", "DE8937040044053201300"),
    ("iban", "DE893704004405320130000"),
    ("us_ssn", "666-12-1234"),
    ("us_ssn", "000-12-1234"),
    ("us_ssn", "219-00-1234"),
    ("us_ssn", "219-09-0000"),
    ("us_ssn", "900-49-1234"),
    ("us_ssn", "219091234"),
    ("us_ssn", "219-09-1234-5"),
    ("phone", "0012345678901"),
    ("phone", "2024-01-01T12:00:00+0200"),
    ("phone", "+12345"),
    ("phone", "+999 123 456 789"),
    ("phone", "1+234567890"),
    ("ip", "12:30:45"),
    ("ip", "1.2.3.4.5"),
    ("ip", "127.0.0.1"),
    ("ip", "256.1.1.1"),
    ("gb_nino", "QQ123456C"),
    ("gb_nino", "AB123456E"),
    ("it_codice_fiscale", "RSSMRA85T10A562X"),
    ("de_steuer_id", "12345678901"),
    ("de_steuer_id", "06095742719"),
    ("fr_nir", "255081416802539"),
    ("es_dni", "12345678A"),
    ("nl_bsn", "111222333"),
    ("nl_bsn", "bsn 111222334"),
    ("tr_tckn", "10000000147"),
    ("mrz", "L898902C36UTO7408123F1204159ZE184226B<<<<<10"),
    ("mrz", "SOME<HTML<<LIKE<TEXT"),
    ("secret", "eyJub3Rqc29u.eyJub3Rqc29u.abc"),
    ("secret", "postgres://u:***@db.example.com/x"),
    ("secret", "-----BEGIN PUBLIC KEY-----"),
]


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    HITS,
    ids=[f"{kind} {text[:20]!a}".translate(str.maketrans(":\\", "..")) for kind, text, _ in HITS],
)
def test_a_hit_is_found_to_its_ends(kind: str, text: str, found: str) -> None:
    assert [text[hit.start : hit.end] for hit in hits(text, [KINDS[kind]])] == [found]


@pytest.mark.parametrize(("kind", "text"), MISSES)
def test_what_only_looks_like_one_is_left_alone(kind: str, text: str) -> None:
    assert hits(text, [KINDS[kind]]) == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_kind_has_gates_a_validator_and_a_line_for_the_manual(kind: object) -> None:
    own = [(text, found) for name, text, found in HITS if name == kind.name]
    assert own
    assert any(name == kind.name for name, _ in MISSES)
    assert kind.about
    for text, _ in own:
        for gate in (kind.first, kind.gate):
            assert pc.match_substring_regex(pa.array([text]), pattern=gate).to_pylist() == [True]
    assert (kind.number is None) == (not kind.bounds)


@given(st.text(alphabet="0123456789 .-+@<abcdefABCDEFxyzXYZ_:/()*TLP\u00a0", max_size=60), st.data())
@settings(max_examples=200)
def test_the_gates_let_through_whatever_is_found(noise: str, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([noise, *(noise + f" {text} " + noise for _, text, _ in HITS)]))
    for kind in KINDS.values():
        for named in (False, True):
            if any(True for _ in kind.spans(text, named)):
                gate = f"{kind.gate}|{kind.named_gate}" if named and kind.named_gate else kind.gate
                for one in (kind.first, gate):
                    assert pc.match_substring_regex(pa.array([text]), pattern=one).to_pylist() == [True], kind.name


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(HITS))
@settings(max_examples=200)
def test_what_was_masked_holds_nothing_more(before: str, after: str, hit: tuple[str, str, str]) -> None:
    text = f"{before} {hit[1]} {after}"
    usual = [KINDS[kind] for kind in KINDS]
    found = hits(text, usual)
    masked = without(text, found)
    assert hit[2] not in masked or not any(one.kind == hit[0] for one in found)
    assert all(text[one.start : one.end] not in masked or len(text[one.start : one.end]) < 4 for one in found)
    assert hits(masked, usual) == []


@given(st.integers(0, 10**15 - 1))
def test_luhn_takes_one_check_digit_in_ten(number: int) -> None:
    assert sum(luhn(f"{number}{digit}") for digit in range(10)) == 1


def test_random_clean_text_is_hardly_ever_hit() -> None:
    """Words, order numbers, sums, dates, keys: at most 2 in 10,000 texts by accident."""
    import random

    rng = random.Random(7)
    makers = [
        lambda: " ".join(rng.choices(["red", "box", "Berlin", "paid", "late", "A4"], k=4)),
        lambda: f"ORD-{rng.randint(10**5, 10**7)}",
        lambda: f"{rng.randint(1, 10**6) / 100:.2f} EUR",
        lambda: (
            f"20{rng.randint(10, 30)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} 12:{rng.randint(0, 59):02d}:00+02:00"
        ),
        lambda: f"tok_{rng.getrandbits(128):032x}",
        lambda: "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}".format(*(rng.getrandbits(n) for n in (32, 16, 12, 12, 48))),
        lambda: f"{rng.getrandbits(160):040x}",
        lambda: str(rng.randint(10**8, 10**9)),
        lambda: f"SKU {rng.randint(100, 999)}-{rng.randint(1000, 9999)}",
    ]
    usual = [KINDS[kind] for kind in USUAL]
    texts = [make() for make in makers for _ in range(2000)]
    assert sum(bool(hits(text, usual)) for text in texts) <= len(texts) * 2 // 10_000
