"""The outbound link on bad days: a real Router, a real agent over mTLS, and processes that are killed.

In every case: no result is lost, none counts twice, no job that may not run twice did, and status names the trouble.
The agent's whole process tree runs under a rule of the kernel by which nothing may listen.
"""

import os
import signal

import pytest

from agent.service.wiring import STEPS
from tests.support.frozen import freeze
from tests.support.links import DEADLINE_SECONDS, HUNG, SLOW, LinkSite

pytestmark = pytest.mark.timeout(600)  # a busy machine: nothing here measures time
FEW = ("committed",)


@pytest.mark.parametrize(
    "step", [step if step in FEW else pytest.param(step, marks=pytest.mark.full) for step in STEPS]
)
def test_an_agent_killed_at_any_step_loses_no_job_and_doubles_no_result(link: LinkSite, step: str) -> None:
    once, again = link.submit(), link.submit(idempotent=True, attempts=3)
    with link.service(die=step) as process:
        assert process.wait(DEADLINE_SECONDS) == -signal.SIGKILL, link.log()
    with link.service() as process:
        link.wait(link.settled, process)
        link.end(process)
    codes = link.check()
    assert codes[again] == "ok"
    assert codes[once] in ({"ok"} if STEPS.index(step) < STEPS.index("claimed") else {"ok", "job.interrupted"})


@pytest.mark.full
def test_a_router_killed_under_running_jobs_is_found_again_and_gets_every_result_once(link: LinkSite) -> None:
    with link.service() as process:
        jobs = [link.submit(SLOW), link.submit(SLOW, idempotent=True, attempts=3)]
        held = freeze(link, len(jobs))  # both were accepted, and the agent knows
        link.kill_router()
        for worker in held:
            os.kill(worker, signal.SIGCONT)
        link.wait(lambda: link.status().get("spool", {}).get("results") == len(jobs), process)
        link.wait(lambda: "delivery fails" in link.health() or "cannot be reached" in link.health(), process)
        link.start_router()
        link.wait(link.settled, process)
        assert link.status()["pid"] == process.pid
        link.end(process)
    assert set(link.check().values()) == {"ok"}


@pytest.mark.full
def test_a_cancelled_job_ends_soon_and_the_next_one_runs(link: LinkSite) -> None:
    with link.service() as process:
        hung = link.submit(HUNG)
        link.wait(lambda: link.states()[hung] == "running", process)
        link.wait(lambda: link.status().get("jobs", {}).get("phases") == {"running": 1}, process)
        link.wait(lambda: link.rows("SELECT phase FROM jobs WHERE id = ?", hung) == [("running",)], process)
        link.call("POST", f"/jobs/{hung}/cancel")
        fine = link.submit()
        link.wait(link.settled, process)
        link.end(process)
    assert link.check() == {hung: "job.cancelled", fine: "ok"}
    assert link.states()[hung] == "cancelled"
