"""The commands of docs/operate/install-docker.md."""

import re

from tests.support.engine import ROOT

PAGE = (ROOT / "docs/operate/install-docker.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def block(words: str) -> str:
    """The one block that has these words."""
    (found,) = [block for block in BLOCKS if words in block]
    return str(found)
