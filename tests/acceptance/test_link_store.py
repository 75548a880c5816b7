"""The Router's PostgreSQL is ended and started again under a real Router and a real agent that work.

No result is lost, none counts twice, no job that may not run twice did, and status names the trouble.
"""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import postgres as pg
from tests.support.links import SLOW, WIDE, link_site
from tests.support.links_on_postgres import PostgresLinkSite, Restarted

pytestmark = [pytest.mark.timeout(600), pytest.mark.full]  # a busy machine: nothing here measures time


@pytest.fixture
def database() -> Iterator[Restarted]:
    with pg.running() as server, closing(Restarted(server)) as made:
        yield made


def test_a_database_that_is_restarted_under_load_costs_no_job_and_no_result(
    link_template: Path, tmp_path: Path, database: Restarted
) -> None:
    address = database.database()
    with link_site(link_template, tmp_path / "site", lambda root: PostgresLinkSite(root, address=address)) as link:
        link.widen()
        with link.service() as process:
            for how in (signal.SIGINT, signal.SIGQUIT):
                jobs = [link.submit(SLOW), link.submit(SLOW, idempotent=True, attempts=3), link.submit(WIDE)]
                more = [link.submit() for _ in range(6)]
                link.wait(lambda jobs=jobs: "running" in {link.states()[job] for job in jobs}, process)  # type: ignore[misc]
                database.end(how)
                link.wait(lambda: "store does not answer" in link.health(), process)
                database.start()
                more += [link.submit() for _ in range(3)]
                link.wait(link.settled, process)
                assert link.router is not None
                assert link.router.poll() is None, "the Router outlives its database"
            link.wait(lambda: "store does not answer" not in link.health(), process)
            link.end(process)
        assert set(link.check().values()) == {"ok"}
        assert link.rows("SELECT state, count(*) FROM results GROUP BY state") == [("held", len(link.jobs))]
