"""Runs a piece of code in a process of its own, so that what it gives up is gone for nobody else."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import sandboxes

PREAMBLE = """
import errno, json, os, signal, socket, sys
def attempt(call):
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
def say(value):
    sys.stdout.write(json.dumps(value))
    sys.stdout.flush()
"""


@pytest.fixture
def alone() -> Callable[..., Any]:
    """`alone(code, *arguments)` -> what the code passed to say()."""

    def run(code: str, *arguments: object) -> Any:
        command = [sys.executable, "-I", "-c", PREAMBLE + code, *(str(argument) for argument in arguments)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def sandbox() -> Iterator[sandboxes.Sandbox]:
    """A real sandbox server, in the best tier that this machine gives."""
    with sandboxes.started(preload=(*sandboxes.DEFAULT, "altair", "plotly.express")) as running:
        yield running
