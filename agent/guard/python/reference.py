"""The lists of docs/python/policy.md, from the code: `python -m agent.guard.python.reference [ROOT]` renews them."""

import re
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.guard.python.attributes import FACTS, METHODS
from agent.guard.python.guards import GONE, builtins_of
from agent.guard.python.modules import HINTS, PACKAGES, STANDARD, WITHOUT
from agent.guard.python.shadows import LESS, ONLY

PAGE: Final = "docs/python/policy.md"
_PART: Final = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def renewed(page: str) -> str:
    """The page with its generated parts as the code has them."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}\n{part[4]}", page)


def _names(names: Iterable[str]) -> str:
    return textwrap.fill(", ".join(f"`{name}`" for name in sorted(names)), 118)


def _modules() -> str:
    parts = [f"- Of `{name}` only {', '.join(f'`{one}`' for one in sorted(ONLY[name]))}." for name in sorted(ONLY)]
    parts += [f"- Of `{name}` all but {', '.join(f'`{one}`' for one in sorted(LESS[name]))}." for name in sorted(LESS)]
    parts.append(f"- Not among them: {', '.join(f'`{name}`' for name in sorted(WITHOUT))}.")
    bullets = "\n".join(textwrap.fill(part, 118, subsequent_indent="  ") for part in parts)
    standard, packages = _names(STANDARD), _names(PACKAGES)
    return f"Standard library:\n{standard}\n\nPackages, as far as they are installed:\n{packages}\n\n{bullets}"


def _instead() -> str:
    hints: dict[str, list[str]] = {}
    for name, hint in HINTS.items():
        hints.setdefault(hint, []).append(name)
    rows = [f"| {', '.join(f'`{name}`' for name in sorted(names))} | {hint} |" for hint, names in hints.items()]
    return "\n".join(["| instead of | |", "|---|---|", *rows])


def _builtins() -> str:
    there = {name for name in builtins_of(print) if not name.startswith("_")}
    gone = "\n".join(f"| `{name}` | {hint} |" for name, hint in sorted(GONE.items()))
    return f"{_names(there)}\n\n| not there | instead |\n|---|---|\n{gone}"


def _attributes() -> str:
    return f"Methods:\n{_names(METHODS)}\n\nFacts:\n{_names(FACTS)}"


PARTS: Final = {"modules": _modules, "instead": _instead, "builtins": _builtins, "attributes": _attributes}
"""Name of a generated part -> what makes it."""


if __name__ == "__main__":
    page = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / PAGE
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
