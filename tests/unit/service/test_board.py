"""Findings and phrases -> the one word for the agent."""

import inspect
from pathlib import Path

import pytest

from agent.core.codes import CODES
from agent.core.job import Me
from agent.service import health
from agent.service.board import Board, State
from agent.service.health import Health

BLOCKING = Health("No room.", "make some.", blocks=True)
NOTE = Health("Nobody is trusted.", "add somebody.", note=True)
PLAIN = Health("Something is slow.", "make it fast.")


def online() -> Board:
    return Board(state=State.ONLINE)


@pytest.mark.parametrize(
    ("finding", "word"),
    [(None, State.ONLINE), (NOTE, State.ONLINE), (PLAIN, State.DEGRADED), (BLOCKING, State.DEGRADED)],
)
def test_findings_make_the_word(finding: Health | None, word: State) -> None:
    board = online()
    board.find("x", finding)
    assert board.word() is word
    board.find("x", None)
    assert board.word() is State.ONLINE


def test_without_its_carrier_the_agent_is_offline() -> None:
    board = online()
    board.contact.failing = True
    board.find("x", PLAIN)
    assert board.word() is State.OFFLINE


def test_an_agent_that_its_router_never_answered_is_not_online_and_its_findings_are_not_hidden() -> None:
    board = online()
    board.met = False
    assert board.word() is State.STARTING
    board.find("x", BLOCKING)
    assert board.word() is State.DEGRADED
    board.contact.failing = True
    assert board.word() is State.OFFLINE


@pytest.mark.parametrize("state", [State.STARTING, State.DRAINING, State.STOPPED])
def test_findings_do_not_hide_a_start_or_an_end(state: State) -> None:
    board = Board(state=state)
    board.find("x", BLOCKING)
    assert board.word() is state


def test_blocked_names_the_first_blocking_finding() -> None:
    board = online()
    board.find("a", NOTE)
    assert board.blocked() is None
    board.find("b", BLOCKING)
    assert board.blocked() is BLOCKING
    assert board.blocked(but="b") is None


def test_replace_takes_down_what_is_over() -> None:
    board = online()
    board.replace("transport.", {"0": PLAIN, "1": NOTE})
    board.find("other", PLAIN)
    board.replace("transport.", {"0": NOTE})
    assert dict(board.findings) == {"other": PLAIN, "transport.0": NOTE}


def samples() -> list[Health]:
    given = {
        "int": 3,
        "float": 90.0,
        "str": "Folder /x is read-only",
        "Path": Path("/var/lib/agent"),
        "Sequence": ["transport"],
        "Code": CODES["envelope.audience"],
        "Me": Me(tenant="acme", agent="plant-7", pool="p"),
    }
    made = []
    for _, maker in inspect.getmembers(health, inspect.isfunction):
        if maker.__module__ != health.__name__ or maker.__name__.startswith("_"):
            continue
        kinds = [parameter.annotation.__name__ for parameter in inspect.signature(maker).parameters.values()]
        made.append(maker(*[given[kind] for kind in kinds]))
    return made


@pytest.mark.parametrize("finding", samples(), ids=lambda finding: finding.sentence[:40])
def test_every_sentence_ends_and_every_fix_says_what_to_do(finding: Health) -> None:
    assert (
        finding.sentence[0].isupper() or finding.sentence[0].isdigit() or finding.sentence == "Folder /x is read-only"
    )
    if finding.fix:
        assert finding.sentence.endswith(".")
        assert finding.fix.endswith(".")
        assert finding.line() == f"{finding.sentence} Fix: {finding.fix}"
    else:
        assert finding.line() == finding.sentence
