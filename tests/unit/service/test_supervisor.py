"""The whole service over real ports: from a file in the inbox to a sealed result in the outbox, and to the end."""

import os
import signal
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agent.core.errors import ConfigError
from agent.service import status, statusclient
from agent.service.lock import StateBusyError
from agent.service.wiring import STEPS

pytestmark = pytest.mark.anyio


async def test_a_job_goes_in_and_its_sealed_result_comes_out(bench: Any) -> None:
    steps: list[str] = []
    bench.step = steps.append
    async with bench.running():
        job_id = bench.submit()
        opened = await bench.done(job_id)
    assert (opened.outcome.outcome, opened.outcome.code) == ("refused", "task.source")
    assert steps == list(STEPS)
    assert bench.events(job_id) == ["job.started", "job.ended"]
    assert [record["event"] for record in bench.records()][::3] == ["service.started", "service.stopped"]
    assert bench.held("state/spool") == []
    assert bench.held("drop/processing") == []
    assert bench.worker.closed


async def test_the_audit_says_who_asked_and_how_it_ended_and_holds_no_value(bench: Any) -> None:
    async with bench.running():
        job_id = bench.submit(requested_by={"user": "ada", "purpose": "weekly report"})
        await bench.done(job_id)
    started, ended = (record for record in bench.records() if record.get("job") == job_id)
    assert started["user"] == "ada"
    assert started["purpose"] == "weekly report"
    assert started["kid"] == bench.submitter.kid
    assert started["source"] == "shop"
    assert (ended["outcome"], ended["code"], ended["attempt"]) == ("refused", "task.source", 1)
    assert ended["statement"] == "select ?"
    assert len(ended["result_sha256"]) == 64
    everything = b"".join(path.read_bytes() for path in bench.state.rglob("*") if path.is_file())
    assert b"canary-4711" not in everything


async def test_the_manifest_carries_the_head_of_the_audit_chain(bench: Any) -> None:
    async with bench.running():
        job_id = bench.submit()
        await bench.done(job_id)
    from agent.wire.container import read_mres
    from agent.wire.signing import verify_manifest

    key = bench.agent_key.public()
    with bench.result_file(job_id).open("rb") as stream:
        manifest = verify_manifest(read_mres(stream)[0], {key.kid: key})
    (ended,) = (record for record in bench.records() if record["event"] == "job.ended")
    assert (manifest.audit_head.seq, manifest.audit_head.hash) == (ended["seq"], ended["hash"])
    assert manifest.result_id == ended["result"]


async def test_the_worker_gets_its_order_and_nothing_of_others(bench: Any) -> None:
    bench.trust_by(lambda store: bench.with_submitter(store, type(bench.submitter).generate()))
    async with bench.running():
        await bench.done(bench.submit(limits={"rows": 7, "memory_mb": 999_999}))
    (order,) = bench.worker.orders
    assert list(bench.trust_file.read_text().split(bench.submitter.kid)) != [], "the site trusts two keys"
    assert order.trust.count('"kty"') == 2, "the signer and its recipient"
    assert order.limits.rows == 7
    assert order.limits.memory_mb == bench.limits.memory_mb, "the site clamps"
    assert set(order.sources.values()) == {None}
    assert order.isolation == "stand-in"


async def test_a_second_service_on_the_same_state_is_refused(bench: Any) -> None:
    async with bench.running():
        with pytest.raises(StateBusyError, match=str(os.getpid())):
            await bench.supervisor().run()


async def test_many_jobs_run_at_most_two_at_once(bench: Any, refuse: Any) -> None:
    running = most = 0
    both = anyio.Event()

    async def count(order: Any, parts: int) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            both.set()
        await both.wait()
        ended = await refuse(order, parts)
        running -= 1
        return ended

    bench.worker.behaviour = count
    async with bench.running():
        ids = [bench.submit() for _ in range(12)]
        for job_id in ids:
            await bench.done(job_id)
    assert most == 2
    assert [bench.events(job_id) for job_id in ids] == [["job.started", "job.ended"]] * 12


async def test_status_by_socket_and_by_file_say_the_same(bench: Any) -> None:
    async with bench.running():
        job_id = bench.submit()
        await bench.done(job_id)
        live = await anyio.to_thread.run_sync(statusclient.ask, bench.state)
    assert live["state"] == "online"
    assert live["health"] == []
    assert live["taking_jobs"]
    assert live["audit"]["chain_ok"]
    assert (live["isolation"]["tier"], live["isolation"]["why_not_higher"]) == ("stand-in", None)
    assert live["isolation"]["python"]["state"] == "off"
    assert live["jobs"]["python"] == {"running": 0, "slots": 2}
    last = bench.status()
    assert last["state"] == "stopped"
    assert last.keys() == live.keys()
    assert (bench.state / "status.json").stat().st_mode & 0o777 == 0o640
    assert not (bench.state / "status.sock").exists()


def test_status_json_is_for_owner_and_group_whatever_the_umask(bench: Any) -> None:
    for umask in (0o077, 0o000):
        previous = os.umask(umask)
        try:
            status.write(bench.state, b"{}")
        finally:
            os.umask(previous)
        assert (bench.state / "status.json").stat().st_mode & 0o777 == 0o640


async def test_sigterm_drains_and_returns_zero(bench: Any) -> None:
    codes: list[int] = []
    supervisor = bench.supervisor()

    async def run() -> None:
        codes.append(await supervisor.run())

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await bench.done(bench.submit())
            os.kill(os.getpid(), signal.SIGTERM)
    assert codes == [0]


async def test_sighup_takes_a_good_configuration_and_keeps_the_last_good_one(bench: Any, until: Any) -> None:
    answers: list[Any] = [ConfigError("policy", "rules.3 has no such rule.", "See policy.md."), "ef" * 32]

    def reload() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, ConfigError):
            raise answer
        return bench.site(policy_sha256=answer)

    bench.reload = reload
    async with bench.running() as supervisor:
        await bench.done(bench.submit())
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "reload" in supervisor._board.findings)
        assert "rules.3 has no such rule" in supervisor._board.findings["reload"].line()
        await bench.done(bench.submit())
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "reload" not in supervisor._board.findings)
        await bench.done(bench.submit())
    assert [order.policy_sha256[:2] for order in bench.worker.orders] == ["ab", "ab", "ef"]
