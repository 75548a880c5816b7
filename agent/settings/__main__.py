"""Renew the generated documentation of the settings: `python -m agent.settings [ROOT]`."""

import sys
from pathlib import Path

from agent.settings.reference import files


def main(root: Path) -> None:
    """Write every generated file below the root of a checkout."""
    for path, text in files(root).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
