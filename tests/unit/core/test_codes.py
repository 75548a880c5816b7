"""The published codes are of one shape and tell what to do."""

import re

from agent.core.codes import CODES


def test_names_are_family_and_word() -> None:
    odd = [name for name in CODES if not re.fullmatch(r"ok|[a-z]+\.[a-z_]+", name)]
    assert odd == []


def test_texts_are_whole_sentences_without_places_for_values() -> None:
    texts = [text for code in CODES.values() for text in (code.meaning, code.remedy)]
    assert [text for text in texts if not text.endswith(".") or "{" in text or "%" in text] == []


def test_an_outcome_and_its_state_agree() -> None:
    pairs = {(code.outcome, code.state) for code in CODES.values()}
    assert pairs == {
        ("completed", "succeeded"),
        ("rejected", "rejected"),
        ("refused", "refused"),
        ("failed", "failed"),
        ("failed", "timed_out"),
        ("failed", "dead"),
    }
