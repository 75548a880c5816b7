"""Where in the submitted text a node's own word stands.

The parser counts bytes and lines that end with a newline; people count characters. Within an f-string it also counts
wrongly at times: there, and wherever the word is not at its place, the statement's lines are searched for it.
"""

import ast
import re
import unicodedata
from functools import cached_property

_WORD = re.compile(r"\w+")


class Places:
    """Lines of one text, and the words in them."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _lines(self) -> list[str]:
        return self._text.split("\n")

    def of(self, node: ast.AST, name: str = "", near: ast.AST | None = None) -> tuple[int | None, int | None]:
        """Line and column, from 1, of `name` in what `node` spans; of the node itself where it has none.

        `near` is the statement that the node stands in: it is searched when the node's own place is wrong.
        """
        word = name.partition(".")[0]
        for one in (node, near):
            start = self._start(one)
            if start is None or one is None:
                continue
            if not name:
                return start
            found = self._word(word, start, one, last=isinstance(node, ast.Attribute) and one is node)
            if found is not None:
                return found
        return self._start(near) or self._start(node) or (None, None)

    def _start(self, node: ast.AST | None) -> tuple[int, int] | None:
        line, offset = getattr(node, "lineno", None), getattr(node, "col_offset", None)
        if line is None or offset is None or not 0 < line <= len(self._lines):
            return None
        return line, self._column(line, offset)

    def _column(self, line: int, offset: int) -> int:
        text = self._lines[line - 1]
        if text.isascii():
            return offset + 1
        return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace")) + 1

    def _word(self, word: str, start: tuple[int, int], node: ast.AST, *, last: bool) -> tuple[int, int] | None:
        """The first place of the word from `start` to the node's end; for an attribute the last."""
        first, column = start
        end = getattr(node, "end_lineno", None) or first
        end_offset = getattr(node, "end_col_offset", None)
        until = None if end_offset is None else self._column(end, end_offset) - 1
        found = None
        for line in range(end, first - 1, -1) if last else range(first, end + 1):
            for match in _WORD.finditer(self._lines[line - 1]):
                before = line == first and match.start() < column - 1
                beyond = line == end and until is not None and match.end() > until
                if not before and not beyond and unicodedata.normalize("NFKC", match[0]) == word:
                    found = line, match.start() + 1
                    if not last:
                        return found
            if found is not None:
                return found
        return None
