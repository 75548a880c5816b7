"""A statement -> its shape for the audit: literals become `?`, comments vanish."""

import re
from typing import Final

from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from agent.dialects import DIALECTS

_LITERALS: Final = {
    TokenType.STRING, TokenType.NUMBER, TokenType.HEX_STRING, TokenType.BIT_STRING, TokenType.BYTE_STRING,
    TokenType.RAW_STRING, TokenType.HEREDOC_STRING, TokenType.NATIONAL_STRING, TokenType.UNICODE_STRING,
}  # fmt: skip
_PLAIN: Final = re.compile(r"\w{1,64}")
_MOST: Final = 8_192


def plain_name(name: str) -> str:
    """A column's name for the audit; `?` for one that could hold more than a name."""
    return name if _PLAIN.fullmatch(name) else "?"


def normalised(sql: str, dialect: str) -> str:
    """The words of a statement without any value; an empty text when it cannot be split into words."""
    try:
        tokens = DIALECTS[dialect].tokens(sql[:65_536])
    except (SqlglotError, KeyError, ValueError, RecursionError):
        return ""
    words = []
    for token in tokens:
        if token.token_type in _LITERALS:
            words.append("?")
        elif token.token_type is TokenType.IDENTIFIER or not token.text.isascii():
            words.append(f'"{token.text}"' if _PLAIN.fullmatch(token.text) else '"?"')
        else:
            words.append(token.text)
    return " ".join(words)[:_MOST]
