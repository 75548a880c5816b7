"""docs/router/*.md: what they tell people to type works, every setting is there, and links lead somewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from router.cli.site import Settings
from tests.support.routers import free_port

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs/router").glob("*.md"))
WRITTEN = [*PAGES, ROOT / "docs/api.md", *sorted((ROOT / "docs/adr").glob("001[45]-*.md"))]
SERVE = (ROOT / "docs/router/serve.md").read_text()
UNITS = {"GiB": 2**30}


def rows() -> dict[str, str]:
    """Setting -> its default, as the page has it."""
    table = SERVE.partition("\n## Settings\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.MULTILINE))


def test_every_setting_has_a_row_with_its_default() -> None:
    assert list(rows()) == [one.name for one in fields(Settings)]
    plain = Settings(domain="meridyen.local", hosts=("localhost", "127.0.0.1"))
    for name, written in rows().items():
        value = getattr(plain, name)
        if isinstance(value, int | float):
            number, _, unit = written.partition(" ")
            assert float(number) * UNITS.get(unit, 1) == value, name
        elif value and isinstance(value, str | tuple):
            assert re.findall(r"`(.*?)`", written) == ([value] if isinstance(value, str) else list(value)), name
        else:
            assert written == "none", name


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", page.read_text()):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), target
        if anchor:
            titles = {_slug(title) for title in re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)}
            assert anchor[1:] in titles, (target, anchor)


def _slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_openapi_document_is_linked_and_is_one() -> None:
    assert json.loads((ROOT / "docs/schema/router-openapi.json").read_text())["openapi"].startswith("3.")


def blocks(page: str) -> str:
    return "\n".join(
        re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/router" / page).read_text(), re.DOTALL | re.MULTILINE)
    )


@pytest.mark.full
@pytest.mark.skipif(shutil.which("curl") is None, reason="the page asks with curl, which is not installed here")
def test_what_serve_and_operate_tell_people_to_type_works(tmp_path: Path) -> None:
    """One after the other, in one folder; only the port is another, for it may be taken."""
    script = blocks("serve.md") + blocks("operate.md")
    assert script.count("router ") > 8
    script = "set -eu\ntrap 'kill %1; wait' EXIT\n" + script.replace("8443", str(free_port()))
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert '"status":"ok"' in ran.stdout
    for name in ("enroll.token", "submit.token", "planner.pem"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "router-backup.db").stat().st_size > 10_000
    assert "planner" in ran.stdout  # the token's note, in the list
    assert len(re.findall(r"^CN=", ran.stdout, re.MULTILINE)) == 2  # both CAs count
