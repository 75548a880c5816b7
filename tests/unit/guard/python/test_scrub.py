"""An error leaves with what the submitter knows, and without values."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.problem import ProgramError
from agent.guard.python import Imports, admit, namespace, rescrubbed, scrubbed

DEFAULT = Imports.default()
SECRET = "Smith, John 4111-1111 hunter2@example.org"
KNOWN = ("df", "amount", "Order ID", "region")


def error_of(code: str, **values: object) -> ProgramError:
    """Of a program that finds a value as `secret`."""
    admitted = admit(code, DEFAULT)
    found = namespace(admitted, DEFAULT, {"secret": SECRET, **values})
    try:
        exec(admitted.code, found)
    except BaseException as error:  # noqa: BLE001 - that of the program
        scrub = scrubbed(error, code, KNOWN)
        assert rescrubbed(scrub, code, KNOWN) == scrub
        return scrub
    raise AssertionError("it did not fail")


@pytest.mark.parametrize(
    ("code", "kind", "message", "line"),
    [
        ("x = 1\n1/0", "ZeroDivisionError", "division by zero", 2),
        ("df2", "NameError", "name 'df2' is not defined. Did you mean 'df'?", 1),
        ("print(amout)", "NameError", "name 'amout' is not defined. Did you mean 'amount'?", 1),
        ("{}['amount']", "KeyError", "'amount'", 1),
        ("{}['Order ID']", "KeyError", "'Order ID'", 1),
        ("{}['nope at all']", "KeyError", "'nope at all'", 1),
        ("{}['orderid']", "KeyError", "'orderid'", 1),
        ("{}['amounts']", "KeyError", "'amounts'. Did you mean 'amount'?", 1),
        ("{}[5]", "KeyError", "?", 1),
        ("''.amount_", "AttributeError", "'str' object has no attribute 'amount_'. Did you mean 'amount'?", 1),
        ("'a' + 1", "TypeError", 'can only concatenate str (not "int") to str', 1),
        ("def f(x): pass\nf()", "TypeError", "f() missing ? required positional argument: 'x'", 2),
        ("[1][4]", "IndexError", "list index out of range", 1),
        ("def f(): return f()\nf()", "RecursionError", "maximum recursion depth exceeded", 1),
        ("raise MemoryError", "MemoryError", "The program needed more memory than it may have.", 1),
        ("exit(secret)", "SystemExit", "The program ended itself.", 1),
        ("raise KeyboardInterrupt(secret)", "KeyboardInterrupt", "The program was interrupted.", 1),
        ("assert False", "AssertionError", "", 1),
        ("assert False, 'amount must be positive'", "AssertionError", "amount must be positive", 1),
        ("import json\njson.loads('x')", "JSONDecodeError", "Expecting value: line ? column ? (char ?)", 2),
        ("import ast\nast.literal_eval('1 +')", "SyntaxError", "invalid syntax (<unknown>, line ?)", 2),
        ("class Mine(ValueError): pass\nraise Mine('my own words')", "Mine", "my own words", 2),
        ("def f():\n    1/0\ndef g():\n    f()\n\ng()", "ZeroDivisionError", "division by zero", 2),
        ("import statistics\n\nstatistics.mean([])", "StatisticsError", "mean requires at least one data point", 3),
        ("import importlib\nimportlib.import_module('so' + 'cket')", "ModuleNotFoundError",
         "The module ? is not allowed here. No network here: name the data as an input.", 2),
    ],
)  # fmt: skip
def test_what_is_told(code: str, kind: str, message: str, line: int) -> None:
    assert error_of(code) == ProgramError(kind, message, line)


@pytest.mark.parametrize(
    "code",
    [
        "raise ValueError(secret)",
        "raise ValueError(f'value {secret!r} in {secret}')",
        "raise KeyError(secret)",
        "raise KeyError(('a', secret))",
        "{}[secret]",
        "int(secret)",
        "import json; json.loads(secret)",
        "assert not secret, secret",
        "raise ValueError('x') from KeyError(secret)",
        "raise ExceptionGroup(secret, [ValueError(secret)])",
        "raise type(secret, (ValueError,), {})(1)",
        "raise type(secret, (ValueError,), {'__module__': 'pandas.errors'})(1)",
        "e = ValueError(1); e.add_note(secret); raise e",
        "getattr(1, secret)",
        "globals()[secret]",
        "import decimal; decimal.Decimal(secret)",
        "open(secret)",
        "raise OSError(5, secret, secret)",
        "raise UnicodeDecodeError(secret, b'x', 0, 1, secret)",
        "import importlib; importlib.import_module(secret)",
        "raise ImportError(secret, name=secret, path=secret)",
        "raise NameError(secret, name=secret)",
        "raise AttributeError(secret, name=secret, obj=secret)",
        "raise SyntaxError(secret, (secret, 1, 1, secret))",
        "raise StopIteration(secret)",
        "raise ValueError(' '.join('|'.join(secret)))",
        "raise ValueError(secret.encode())",
        "raise ValueError([ord(c) for c in secret])",
        "raise ValueError(secret.upper())",
        "raise ValueError('`' + secret + '`')",
        "raise ValueError('\\'' + secret)",
        "raise ValueError(secret.replace(' ', '_'))",
        "class X(Exception):\n    def __str__(self): return secret\nraise X",
        "class X(Exception):\n    def __repr__(self): return secret\nraise X from X()",
        "class X(KeyError):\n    args = (secret,)\nraise X",
        "class M(type):\n    __name__ = property(lambda c: secret)\nclass X(Exception, metaclass=M): pass\nraise X(1)",
        "class X(Exception):\n    @property\n    def __cause__(self): return ValueError(secret)\nraise X(1)",
    ],
)
def test_no_value_is_told(code: str) -> None:
    found = error_of(code)
    told = f"{found.type} {found.message}".lower()
    for part in ("smith", "john", "4111", "1111", "hunter", "example.org", "115, 109"):
        assert part not in told, found


@pytest.mark.parametrize(
    "code",
    [
        "class X(Exception):\n    def __str__(self): raise SystemExit\nraise X",
        "class X(Exception):\n    def __str__(self): return 5\nraise X",
        "class X(Exception):\n    def __str__(self): return str(self)\nraise X",
        "class X(Exception):\n    def __str__(self): return 'word ' * 10**6\nraise X",
        "class X(Exception):\n    @property\n    def args(self): raise MemoryError\nraise X(1)",
        "class X(Exception):\n    def __getattribute__(self, n): raise MemoryError\nraise X(1)",
        "class X(Exception):\n    __traceback__ = property(lambda s: 1/0)\n    __cause__ = 5\nraise X(1)",
        "class S(str):\n    def __str__(self): return secret\n    __getitem__ = __format__ = __str__\nraise KeyError(S('a'))",
        "L = type('L', (type,), {'__mro__': property(lambda c: 1/0)})\nclass X(Exception, metaclass=L): pass\nraise X",
        "e = ValueError(1)\ne.__cause__ = e\nraise e",
        "def f(n):\n    try:\n        raise ValueError(n)\n    except ValueError as e:\n        raise KeyError from e\nf(1)",
        "raise BaseExceptionGroup('g', [BaseExceptionGroup('h', [KeyboardInterrupt()])])",
        "class G(ExceptionGroup):\n    exceptions = 3\nraise G('g', [ValueError('x')])",
    ],
)
def test_hostile_exceptions_are_told_of_all_the_same(code: str) -> None:
    found = error_of(code)
    assert found.type
    assert len(found.message) <= 500
    assert found.line is not None
    assert "Smith" not in found.message


def test_the_line_is_that_of_the_cause_when_the_error_has_none() -> None:
    code = (
        "import concurrent.futures as c\ndef f():\n    1/0\nwith c.ThreadPoolExecutor() as p:\n    p.submit(f).result()"
    )
    assert error_of(code).line == 3
    outside = ValueError("no frame of the program")
    assert scrubbed(outside, code, ()).line is None


def test_a_frame_says_which_columns_there_are_by_the_names_that_are_known() -> None:
    import pandas as pd

    df = pd.DataFrame({"amount": [1.5], "region": ["Smith"]})
    assert error_of("df['amuont'].sum()", df=df).message == "'amuont'. Did you mean 'amount'?"
    assert error_of("df.astype(int)", df=df).message == "invalid literal for int() with base ?: '?'"
    assert error_of("df['x'] = [1, 2]", df=df).message == "Length of values (?) does not match length of index (?)"


@given(st.text(max_size=200), st.sampled_from(["x = 1", "print('Ann')", ""]))
def test_what_was_scrubbed_stays_and_no_digit_is_left(text: str, code: str) -> None:
    once = rescrubbed(ProgramError("ValueError", text, 1), code, ())
    assert rescrubbed(once, code, ()) == once
    assert not any(one.isdigit() for one in once.message)
    assert once.message.isprintable()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (ProgramError("Smith", "", 1), ProgramError("Exception", "", 1)),
        (ProgramError("", "", 0), ProgramError("Exception", "", None)),
        (ProgramError("KeyError", "Smith paid 5", 99), ProgramError("KeyError", "?", None)),
        (ProgramError("Mine", "'amount' of Smith", -1), ProgramError("Mine", "'amount' of ?", None)),
        (ProgramError("ValueError", "a" * 10**6, None), ProgramError("ValueError", "?", None)),
        (ProgramError("ValueError", "\x1b[31m\u202e column", 2), ProgramError("ValueError", "? column", 2)),
    ],
)
def test_what_an_untrusted_process_says_is_scrubbed_again(said: ProgramError, expected: ProgramError) -> None:
    assert rescrubbed(said, "class Mine(Exception): pass\nraise Mine", KNOWN) == expected


VALUES: Mapping[str, str] = {
    "a name": "Maria",
    "a city": "Vienna",
    "an address": "10.0.0.1",
    "a mail": "ann@example.org",
    "a number": "42",
    "an amount": "1,250.00",
    "a date": "2024-05-17",
    "a diagnosis": "diabetes",
    "a wide text": "東京",
    "a token": "sk_live_abc",
    "a hex": "deadbeef",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("form", ["{}", "value {} is wrong", "'{}'", '"{}"', "x={}", "({}, {})", "{}'s", "not{}"])
def test_values_of_all_kinds_go(value: str, form: str) -> None:
    message = form.replace("{}", value)
    told = rescrubbed(ProgramError("ValueError", message, 1), "result = f(x)", ()).message
    assert value not in told
    assert not any(
        word in told for word in value.replace("@", " ").replace(".", " ").replace(",", " ").split() if len(word) > 3
    )
