"""What makes a number valid, worked out a second time: the kinds must agree with it on numbers made and broken by chance."""

import base64
import json
import random
from collections.abc import Callable, Iterator

import pytest

from agent.masking.pii.kinds import KINDS
from agent.masking.pii.kinds.card import CARD

RNG = random.Random(11)
Rule = Callable[[str], bool]


def found(kind: str, text: str, *, named: bool = False) -> list[str]:
    return [text[start:end] for start, end in KINDS[kind].spans(text, named)]


def numerals(length: int, count: int, start: str = "") -> Iterator[str]:
    for _ in range(count):
        yield start + "".join(RNG.choices("0123456789", k=length - len(start)))


def luhn(number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(number)):
        worth = int(digit) * (2 if place % 2 else 1)
        total += worth // 10 + worth % 10
    return total % 10 == 0


def bsn(number: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(number, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True))
    return number != "0" * 9 and total % 11 == 0


def tckn(number: str) -> bool:
    d = list(map(int, number))
    odd, even = d[0] + d[2] + d[4] + d[6] + d[8], d[1] + d[3] + d[5] + d[7]
    return d[0] > 0 and (odd * 7 - even) % 10 == d[9] and (odd + even + d[9]) % 10 == d[10]


def steuer_id(number: str) -> bool:
    ten = number[:10]
    often = [ten.count(digit) for digit in set(ten)]
    left = 10
    for digit in ten:
        left = ((int(digit) + left) % 10 or 10) * 2 % 11
    one_repeats = max(often) in (2, 3) and sum(n > 1 for n in often) == 1
    return number[0] != "0" and one_repeats and (11 - left if left > 1 else (11 - left) % 10) == int(number[10])


def ssn(number: str) -> bool:
    area, group, serial = number[:3], number[3:5], number[5:]
    if area[0] == "9":
        return "50" <= group <= "65" or "70" <= group <= "88" or "90" <= group <= "92" or "94" <= group <= "99"
    return area not in ("000", "666") and group != "00" and serial != "0000"


def nir(number: str) -> bool:
    month = int(number[3:5])
    known = 1 <= month <= 12 or 20 <= month <= 42 or 50 <= month <= 99
    return number[0] in "123478" and known and int(number[13:]) + int(number[:13]) % 97 == 97


MADE: dict[str, tuple[Rule, list[str], Callable[[str], str]]] = {
    "nl_bsn": (bsn, [*numerals(9, 150), *(f"{n:09d}" for n in range(0, 400, 3)), "000000000"], lambda n: f"bsn {n}"),
    "tr_tckn": (
        tckn,
        [f"{n}{t}{e}" for n in numerals(9, 6) for t in range(10) for e in range(10)],
        str,
    ),
    "de_steuer_id": (
        steuer_id,
        [n + str(c) for n in ("1234567899", "1123456780", "1112345678", "1122345678", "0123456788", "1111234567",
                              "9876543210", "5929970489", "4444423456", "8609574271") for c in range(10)],
        str,
    ),
    "us_ssn": (
        ssn,
        [f"{a}{g}{s}" for a in ("000", "001", "665", "666", "667", "899", "900", "999")
         for g in ("00", "01", "49", "50", "65", "66", "69", "70", "88", "89", "90", "92", "93", "94", "99")
         for s in ("0000", "0001")],
        lambda n: f"{n[:3]}-{n[3:5]}-{n[5:]}",
    ),
    "fr_nir": (
        nir,
        [n + f"{97 - int(n) % 97 + off:02d}" for n in
         [f"{sex}85{month:02d}75{rest}" for sex in "1234578" for month in (0, 1, 12, 13, 19, 20, 42, 43, 49, 50, 99)
          for rest in ("123456",)] for off in (0, 1)],
        str,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MADE)
def test_a_number_is_a_hit_exactly_where_it_is_valid(kind: str) -> None:
    rule, numbers, written = MADE[kind]
    valid = {number for number in numbers if rule(number)}
    assert len(valid) >= 4
    assert len(valid) < len(set(numbers))
    assert {number for number in numbers if found(kind, written(number))} == valid


@pytest.mark.parametrize("kind", MADE)
def test_a_whole_number_in_a_column_is_judged_alike(kind: str) -> None:
    rule, numbers, _ = MADE[kind]
    one, width = KINDS[kind], len(numbers[0])
    assert one.number is not None
    for number in numbers:
        if number[0] != "0" or (kind in {"nl_bsn", "us_ssn"} and number >= "001010001"):
            inside = any(low <= int(number) <= high for low, high in one.bounds)
            small = kind == "nl_bsn" and int(number) < 10**7  # far more often a key of a table
            assert (inside and one.number(int(number))) == (rule(number) and not small), number
    lowest, highest = one.bounds[0][0], one.bounds[-1][1]
    assert len(str(highest)) == width
    if kind in {"tr_tckn", "de_steuer_id"}:
        assert (lowest, highest) == (10 ** (width - 1), 10**width - 1)


ISSUED = {
    "Visa": (("4",), {13, 16, 19}), "Mastercard": (("51", "55", "2221", "2720"), {16}), "Amex": (("34", "37"), {15}),
    "Diners": (("300", "305", "3095", "36", "38", "39"), {14}), "JCB": (("3528", "3589"), {16, 17, 18, 19}),
    "Discover": (("6011", "644", "649", "65"), {16, 17, 18, 19}), "UnionPay": (("62",), {16, 17, 18, 19}),
    "RuPay": (("81", "82", "508", "60"), {16}), "Mir": (("2200", "2204"), {16, 17, 18, 19}), "Troy": (("9792",), {16}),
    "Maestro": (("5018", "6304", "6763"), set(range(12, 20))),
}  # fmt: skip
NOT_ISSUED = ("50", "56", "2220", "2721", "35", "3527", "3590", "33", "306", "3094", "2199", "2205", "80", "83", "9791")


def carded(start: str, length: int) -> str:
    body = start + "".join(RNG.choices("0123456789", k=length - len(start) - 1))
    return next(body + check for check in "0123456789" if luhn(body + check))


@pytest.mark.parametrize("scheme", ISSUED)
def test_a_card_has_the_lengths_of_its_scheme(scheme: str) -> None:
    starts, lengths = ISSUED[scheme]
    for start in starts:
        for length in range(11, 21):
            number = carded(start, length)
            assert (found("card", number) == [number]) == (length in lengths), number
            wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
            assert found("card", wrong) == []


def test_what_nobody_issues_is_no_card() -> None:
    for start in NOT_ISSUED:
        assert found("card", carded(start, 16)) == [], start


def test_the_bounds_of_cards_in_columns_of_numbers() -> None:
    def inside(value: int) -> bool:
        return any(low <= value <= high for low, high in CARD.bounds)

    assert list(CARD.bounds) == sorted(CARD.bounds)
    assert CARD.number is not None
    for starts, lengths in ISSUED.values():
        for start in starts:
            for length in range(12, 20):
                number = int(carded(start, length))
                if length in lengths:
                    assert CARD.number(number)
                assert inside(number) == (length in lengths & {14, 15, 16}), number
    for low, high in ((4 * 10**15, 5 * 10**15 - 1), (51 * 10**14, 56 * 10**14 - 1), (34 * 10**13, 35 * 10**13 - 1)):
        assert (low, high) in CARD.bounds
    assert not inside(4 * 10**15 - 1)
    assert not inside(10**15)


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("4111 1111 1111 1111 12", ["4111 1111 1111 1111"]),
        ("12 4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("4111-1111.1111\u20111111 5500 0055 5555 5559", ["4111-1111.1111\u20111111", "5500 0055 5555 5559"]),
        ("4111  1111 1111 1111", []),
        ("4111x1111 1111 1111", []),
        ("41111111111111111", []),
        ("4222222222222 4111111111111111", ["4222222222222", "4111111111111111"]),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", ["4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"]),
        ("*4111111111111111", []),
        ("_4111111111111111", []),
        ("a 4111111111111111z", ["4111111111111111"]),
    ],
)
def test_a_number_is_made_of_whole_groups(text: str, hits: list[str]) -> None:
    assert found("card", text) == hits


def ibanned(country: str, rest: str) -> str:
    worth = "".join(str(int(c, 36)) for c in rest + country + "00")
    return f"{country}{98 - int(worth) % 97:02d}{rest}"


@pytest.mark.parametrize("country", [("DE", 22), ("NO", 15), ("MT", 31), ("FR", 27), ("YE", 30), ("RU", 33)], ids=str)
def test_an_iban_has_the_length_of_its_country_and_right_check_digits(country: tuple[str, int]) -> None:
    name, length = country
    for rest in (numeral for numeral in numerals(length - 4, 20)):
        good = ibanned(name, rest)
        assert found("iban", good) == [good]
        assert found("iban", good.lower()) == [good.lower()]
        gapped = "\u00a0".join(good[place : place + 4] for place in range(0, length, 4))
        assert found("iban", f"{gapped}.") == [gapped]
        check = f"{(int(good[2:4]) + 1) % 100:02d}"
        for bad in (name + check + rest, good + "0", good[:-1], f"x{good}", good.replace(good[:4], good[:4] + "  ")):
            assert found("iban", bad) == [], bad
    assert found("iban", f"{ibanned('DE', 'ab' * 9)}") in ([], [ibanned("DE", "ab" * 9)])
    assert found("iban", f"{good}é") == [good]


def test_letters_of_an_iban_count_as_ten_and_more() -> None:
    for rest in ("NWBK60161331926819", "abcd60161331926819"):
        good = ibanned("GB", rest.upper())
        assert found("iban", good[:4] + rest) == [good[:4] + rest]
        assert found("iban", good[:4] + rest.upper().replace("A", "B").replace("N", "M")) == []


@pytest.mark.parametrize(("letters", "department"), [("2A", "19"), ("2B", "18"), ("2a", "19"), ("2b", "18")])
def test_corsica_counts_as_a_number(letters: str, department: str) -> None:
    for rest in ("004123", "123456", "222222"):
        key = 97 - int(f"18503{department}{rest}") % 97
        good = f"18503{letters}{rest}{key:02d}"
        assert found("fr_nir", good) == [good]
        assert found("fr_nir", f"18503{letters}{rest}{key % 97 + 1:02d}") == []


@pytest.mark.parametrize("first", ["", "X", "Y", "Z"])
def test_a_spanish_number_has_the_letter_of_its_remainder(first: str) -> None:
    letters = "TRWAGMYFPDXBNJZSQVHLCKE"
    for number in (1, 22, 23, 1234567, 9999999):
        plain = f"{first}{number:07d}" if first else f"{number:08d}"
        right = letters[int(f"{'XYZ'.index(first) if first else ''}{plain.lstrip('XYZ')}") % 23]
        assert [c for c in letters if found("es_dni", plain + c)] == [right]
        for written in (f"{plain}-{right}", f"{plain.lower()} {right.lower()}"):
            assert found("es_dni", written) == [written]
    assert found("es_dni", "00000000T") == []


def test_italys_check_character() -> None:
    odd = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14,
                                                  16, 10, 22, 25, 24, 23), strict=True))  # fmt: skip
    odd |= {str(n): odd["ABCDEFGHIJ"[n]] for n in range(10)}

    def worth(place: int, c: str) -> int:
        return odd[c] if place % 2 == 0 else int(c) if c.isdigit() else ord(c) - ord("A")

    for code in ("RSSMRA85T10A562", "BNCGNN70A41F205", "ZZZQQQ99S31Z999", "RSSMRAURTM0A562", "KWXYJH01D10L219"):
        right = chr(ord("A") + sum(worth(place, c) for place, c in enumerate(code)) % 26)
        assert [c for c in map(chr, range(65, 91)) if found("it_codice_fiscale", code + c)] == [right]
        assert found("it_codice_fiscale", (code + right).lower()) == [(code + right).lower()]


def checked(field: str) -> str:
    return str(sum("<ABCDEFGHIJKLMNOPQRSTUVWXYZ".find(c) * w if not c.isdigit() and c == "<" else
                   (int(c) if c.isdigit() else ord(c) - 55) * w
                   for c, w in zip(field, (7, 3, 1) * 10, strict=False)) % 10)  # fmt: skip


@pytest.mark.parametrize("width", [30, 36, 44])
def test_a_line_of_a_passport_has_right_check_digits(width: int) -> None:
    born, ends, number = "740812", "120415", "L898902C3"
    dates = f"{born}{checked(born)}F{ends}{checked(ends)}"
    line = f"{dates}UTO".ljust(width, "<") if width == 30 else f"{number}{checked(number)}UTO{dates}".ljust(width, "<")
    assert found("mrz", line) == [line]
    for place, c in enumerate(line):
        if c.isdigit() and place < (15 if width == 30 else 28):
            wrong = line[:place] + str((int(c) + 1) % 10) + line[place + 1 :]
            assert found("mrz", wrong) == [], place
    for other in (line + "<", line[:-1], f"{line[:20]}x{line[21:]}", f"A{line}"):
        assert found("mrz", other) == []


def test_the_number_of_an_identity_card_has_a_right_check_digit() -> None:
    for digit in range(10):
        line = f"I<UTOD23145890{digit}".ljust(30, "<")
        assert (found("mrz", line) == [line]) == (digit == int(checked("D23145890")))


@pytest.mark.parametrize(
    ("plain", "valid"),
    [
        ("4930123456", True), ("49301234", True), ("4930123", False), ("493012345678901", True),
        ("4930123456789012", False), ("14155552671", True), ("1415555267", False), ("141555526712", False),
        ("11155552671", False), ("14151552671", False), ("12152222671", True), ("210123456", False), ("211123456", True),
        ("44444444444", False), ("44444444445", True), ("2812345678", False), ("8312345678", False), ("999123456", False),
    ],
)  # fmt: skip
def test_a_telephone_number_has_a_calling_code_and_a_length(plain: str, valid: bool) -> None:
    assert (found("phone", f"+{plain}") == [f"+{plain}"]) == valid
    assert (found("phone", f"tel 00{plain}") == [f"00{plain}"]) == valid
    assert found("phone", f"00{plain}") == []
    assert (found("phone", f"00{plain}", named=True) == [f"00{plain}"]) == valid


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("203.0.113.9", True), ("0.0.0.0", False), ("127.0.0.1", False), ("127.9.0.1", False), ("1.2.3.256", False),
        ("v1.203.0.113.9", False), (":203.0.113.9", False), ("203.0.113.9.1", False), ("2001:db8::1", True), ("::1", False),
        ("::", False), ("1:2:3:4:5:6:7:8", True), ("1:2:3:4:5:6:7", False), ("12:30:45", False), ("fe80::1:2", True),
    ],
)  # fmt: skip
def test_an_address_of_the_network(text: str, hit: bool) -> None:
    assert bool(found("ip", text)) == hit


@pytest.mark.parametrize(
    ("fields", "hit"),
    [({"alg": "HS256"}, True), ({"typ": "JWT"}, True), ({"alg": "x", "typ": "y"}, True), ({"kid": "12345"}, False)],
)
def test_a_token_says_its_algorithm_or_its_type(fields: dict[str, str], hit: bool) -> None:
    for more in ("", "1", "12"):
        head = base64.urlsafe_b64encode(json.dumps({**fields, "n": more}, separators=(",", ":")).encode()).decode()
        token = f"{head.rstrip('=')}.eyJzdWIiOiIxIn0.c2ln"
        assert (found("secret", f"a {token} b") == [token]) == hit


def test_what_is_no_object_is_no_token() -> None:
    deep = base64.urlsafe_b64encode(b'{"' + b"a" * 9 + b'":' + b"[" * 3000).decode().rstrip("=")
    listed = base64.urlsafe_b64encode(b'{"alg":1}x').decode().rstrip("=")
    for head in (deep, listed, "eyJhbGciOiJIUzI1N"):
        assert found("secret", f"{head}.eyJzdWIiOiIxIn0.c2ln") == []


@pytest.mark.parametrize(
    ("address", "hit"),
    [
        ("a@b.de", True), ("a.b@c.de", True), ("a..b@c.de", False), (".a@b.de", False), ("a.@b.de", True),
        ("x@y.png", False), ("x@y.PNG", False), ("x@png.de", True), ("a" * 64 + "@b.de", True),
    ],
)  # fmt: skip
def test_an_address_of_mail(address: str, hit: bool) -> None:
    assert (found("email", f"<{address}>") == [address]) == hit
