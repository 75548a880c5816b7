"""What is printed cannot steer a terminal, and stays what it is to a program."""

import json

import pytest

from agent.cli.render import dump, put_json

STEERING = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), 0x2066, 0x2069]))


def test_json_holds_no_control_and_reads_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    value = {f"name {STEERING}": [f"é {STEERING} 漢", 1.5, None]}
    put_json(value)
    for text in (dump(value), capsys.readouterr().out.removesuffix("\n")):
        assert json.loads(text) == value
        assert text.isprintable()
        assert "é" in text
