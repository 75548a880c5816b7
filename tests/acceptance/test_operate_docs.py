"""What docs/operate tells people to type works as it stands there.

A fenced block that begins with ```sh is run here, page by page: all blocks of a page in one shell, in the folder of a fresh
site, whose service runs where the page says `<!-- a service runs -->`. ```sh NAME is run elsewhere: see ELSEWHERE.
"""

import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.acceptance.conftest import environment, make_site

DOCS = Path(__file__).parents[2] / "docs/operate"
PAGES = ("configure", "rotate", "proxies", "sizing", "support", "troubleshooting")
ELSEWHERE: dict[str, str] = {}
"""What a block can be marked with -> the test that runs it. None of these pages needs one so far."""
BLOCK = re.compile(r"^```sh *(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FULFILLED = {"drain --wait 60": "drain --wait 5"}


def text_of(page: str) -> str:
    return (DOCS / f"{page}.md").read_text()


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work(page: str, tmp_path: Path) -> None:
    text = text_of(page)
    script = "".join(block for mark, block in BLOCK.findall(text) if not mark)
    assert script, "there is none"
    for written, quicker in FULFILLED.items():
        script = script.replace(written, quicker)
    site = make_site(tmp_path / "site")
    site.cli("exec", site.query("SELECT 1 AS one"), "--source", "shop")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with site.running() if "<!-- a service runs -->" in text else nullcontext():
        done = subprocess.run(
            ["bash", "-euc", script], cwd=site.folder, env=environment() | {"PATH": path}, capture_output=True, text=True,
            check=False, timeout=240,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_run_by_nobody(page: str) -> None:
    marks = {mark for mark, _ in BLOCK.findall(text_of(page)) if mark}
    assert marks <= set(ELSEWHERE)
    opened = re.findall(r"^```(.*)$", text_of(page), re.MULTILINE)[::2]
    assert {kind.split(" ")[0] for kind in opened} <= {"sh", "yaml"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = set(re.findall(r"\]\((?!https?:)([^)#]+)", text_of(page)))
    assert {link for link in links if not (DOCS / link).exists()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_exists(page: str) -> None:
    from agent.cli.program import app

    top = {command.name for command in app.registered_commands} | {group.name for group in app.registered_groups}
    named = set(re.findall(r"`agent ([a-z-]+)", text_of(page)))
    assert named <= top
