"""`python -m agent.wire.schemas DIR`: write the published JSON Schemas into a folder."""

import json
import sys
from pathlib import Path

from agent.wire.models import jsonschemas


def write(folder: Path) -> None:
    """Write every schema into `folder`, replacing what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in jsonschemas().items():
        (folder / name).write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
