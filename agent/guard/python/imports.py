"""`Imports`: the modules that a program may import, and why not the others."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from agent.core.errors import Refuse
from agent.guard.python.modules import HINTS, PACKAGES, STANDARD, WITHOUT

DEFAULT: Final = "default"
"""The word by which a site's list names the whole default list."""

_MAX_SHOWN: Final = 64
_MAX_NAME: Final = 200
"""No module has a longer name; to compare one would take long."""


@dataclass(frozen=True, slots=True)
class Imports:
    """A name admits the module and all below it, less those that are kept back below a module of the default list."""

    modules: frozenset[str]

    @classmethod
    def default(cls) -> "Imports":
        """What a program may import when the site does not say."""
        return cls(STANDARD | PACKAGES)

    @classmethod
    def of(cls, names: Iterable[str]) -> "Imports":
        """Exactly these; `default` stands for the whole default list. Raises ValueError for what is no module name."""
        found: set[str] = set()
        for name in names:
            if not all(part.isidentifier() for part in name.split(".")):
                raise ValueError(f"not the name of a module: {name[:_MAX_SHOWN]!r}")
            found.update(cls.default().modules if name == DEFAULT else {name})
        return cls(frozenset(found))

    @property
    def names(self) -> tuple[str, ...]:
        """The modules, sorted."""
        return tuple(sorted(self.modules))

    def allows(self, module: str) -> bool:
        """Whether the module may be imported: the most specific name that speaks of it decides."""
        for name in _upwards(module):
            if name in self.modules:
                return True
            if name in WITHOUT:
                return False
        return False

    def refusal(self, module: str, names: Sequence[str] = ()) -> Refuse | None:
        """Why `import module`, or `from module import names`, is refused; None when it is not."""
        below = [f"{module}.{name}" for name in names]
        kept = [one for one in below if not self.allows(one)]
        if self.allows(module) or len(kept) < len(below):
            return refused(kept[0], self._instead(kept[0])) if kept else None
        wrong = next((one for one in below if one in HINTS), module)
        return refused(wrong, self._instead(wrong))

    def _instead(self, module: str) -> str:
        for name in _upwards(module):
            if name in HINTS:
                return HINTS[name]
        below = sorted(name for name in self.modules if name.startswith(f"{module}."))
        if below:
            return f"Import {below[0]}."
        top = module.partition(".")[0][:_MAX_SHOWN]
        close = get_close_matches(top, [n for n in self.names if not n.startswith("_")], n=1)
        if close:
            return f"Did you mean {close[0]}?"
        return "Write it with the modules that are there: docs/python/policy.md lists them."


def refused(module: str, hint: str) -> Refuse:
    """The refusal of a module."""
    return Refuse("python.import", f"The module {module[:_MAX_SHOWN]} is not allowed here.", hint)


def _upwards(module: str) -> Iterator[str]:
    """The module and those above it, the most specific first."""
    while module and len(module) <= _MAX_NAME:
        yield module
        module = module.rpartition(".")[0]
