"""The second net over JSON and texts: everything that a program gives back beside rows."""

from typing import Any

import pytest

from agent.core.errors import Refuse
from agent.masking.pii.config import PiiNet
from agent.masking.pii.values import ValueNet, _unused

MAIL, CARD, SSN = "ada@example.org", 4111111111111111, "219-09-1234"


def net(action: str = "mask", **more: Any) -> ValueNet:
    return ValueNet(PiiNet.model_validate({"action": action, **more}))


def test_every_text_at_every_depth_is_looked_at() -> None:
    looking = net()
    value = {"a": [{"b": f"to {MAIL}"}, [MAIL, 1, None, True]], MAIL: "x", "n": 1.5}
    assert looking.value("result", value) == {
        "a": [{"b": "to [email]"}, ["[email]", 1, None, True]],
        "[email]": "x",
        "n": 1.5,
    }
    assert dict(looking.found) == {"result: email": 3}


def test_whole_numbers_that_are_card_numbers_become_null() -> None:
    assert net().value("result", [CARD, float(CARD), CARD + 1, 7]) == [None, None, CARD + 1, 7]
    assert net(numbers=False).value("result", [CARD]) == [CARD]


def test_the_name_beside_a_value_makes_weaker_forms_count() -> None:
    assert net().value("result", {"ssn": "219091234", "order": "219091234"}) == {
        "ssn": "[us_ssn]",
        "order": "219091234",
    }
    assert net().value("result", {"ssn": ["219091234"]}) == {"ssn": ["[us_ssn]"]}


def test_members_that_are_masked_alike_are_all_kept() -> None:
    given = {"a@example.org": 1, "b@example.org": 2, "[email] (2)": 3}
    assert sorted(net().value("result", given).values()) == [1, 2, 3]


def test_many_members_are_masked_alike_in_one_pass() -> None:
    class Counting(dict[str, int]):
        looks = 0

        def __contains__(self, name: object) -> bool:
            self.looks += 1
            return super().__contains__(name)

    made, numbers = Counting({"[email] (3)": -1}), dict[str, int]()
    for number in range(1000):
        made[_unused("[email]", made, numbers)] = number
    assert list(made.values()) == [-1, *range(1000)]
    assert list(made)[:4] == ["[email] (3)", "[email]", "[email] (2)", "[email] (4)"]
    assert made.looks < 3000, "each name is not looked for from the first number on"


def test_a_text_is_looked_at_whole() -> None:
    looking = net()
    key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"
    assert looking.text("stdout", f"mail {MAIL}\n{key}\ndone\n") == "mail [email]\n[secret]\ndone\n"
    assert dict(looking.found) == {"stdout: email": 1, "stdout: secret": 1}
    assert looking.text("stdout", "") == ""


@pytest.mark.parametrize("value", [MAIL, {"a": MAIL}, {MAIL: 1}, [[CARD]]])
def test_refuse_refuses_and_names_no_value(value: Any) -> None:
    with pytest.raises(Refuse) as caught:
        net("refuse").value("result", value)
    assert caught.value.code == "policy.pii"
    assert MAIL not in caught.value.message


def test_actions() -> None:
    reported = net("report")
    assert reported.value("result", {"a": MAIL, "c": CARD}) == {"a": MAIL, "c": CARD}
    assert dict(reported.found) == {"result: email": 1, "result: card": 1}
    assert net("drop_row").value("result", [MAIL]) == ["[email]"], "there is no row to leave out"
    off = net("off")
    assert (off.value("result", MAIL), off.text("stdout", MAIL), dict(off.found)) == (MAIL, MAIL, {})
