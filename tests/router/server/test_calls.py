"""Every call as it is meant, over real TLS."""

import asyncio
import time
from importlib.metadata import version

import httpx
import pytest

from router.ca.authority import new_key
from tests.router.server.site import MRES, Agent, Site, addressed, csr_of, envelope, result_of, submitted


def held(site: Site, tenant: str) -> tuple[httpx.Client, Agent, dict]:
    """A submitter, an agent, and a job of the one that the other runs."""
    caller, agent = site.submitter(tenant), site.agent(tenant=tenant)
    submitted(caller, tenant)
    job = agent.offered()
    assert agent.accept(job).json() == {"attempt": 1}
    return caller, agent, job


def test_a_job_goes_round(site: Site) -> None:
    caller, agent, job = held(site, "round")
    path = f"/jobs/{job['job']}"
    assert caller.get(path).json()["state"] == "running"
    event = {"lease": job["lease"], "fence": job["fence"], "phase": "running", "rows": "<10"}
    assert agent.http.post(path + "/events", json=event).status_code == 204
    seen = caller.get(path).json()
    assert (seen["phase"], seen["rows"]) == ("running", "<10")
    beat = agent.http.post("/heartbeat", json={"session": agent.session, "leases": [job["lease"]]})
    assert beat.json() == {"leases": {job["lease"]: "ok"}}
    assert caller.get(path + "/result").json()["code"] == "result.missing"
    result = result_of(job)
    landed = agent.http.post(addressed(job, result.id), content=result.mres, headers=MRES)
    assert landed.json() == {"state": "failed", "result": result.id}
    again = agent.http.post(addressed(job, result.id), content=result.mres, headers=MRES)
    assert again.json() == landed.json()
    ended = caller.get(path + "?wait=5").json()
    assert (ended["state"], ended["code"], ended["ended"], ended["result"]) == ("failed", "source.error", True, True)
    assert caller.get(path + "/result").content == result.mres
    assert caller.delete(path + "/result").status_code == 204
    assert caller.delete(path + "/result").status_code == 204
    assert caller.get(path + "/result").json()["code"] == "result.missing"


def test_submitting_again_is_the_same_job_and_another_envelope_is_not(site: Site) -> None:
    caller = site.submitter("again")
    job, signed = envelope("again")
    first = caller.post("/jobs", content=signed)
    assert caller.post("/jobs", content=signed).json() == first.json()
    other = envelope("again", id=job, priority=5)[1]
    assert caller.post("/jobs", content=other).json()["code"] == "job.conflict"


def test_lists_and_cancelling(site: Site) -> None:
    caller, agent = site.submitter("lists"), site.agent(tenant="lists")
    jobs = [submitted(caller, "lists") for _ in range(3)]
    page = caller.get("/jobs?limit=2").json()
    assert [one["id"] for one in page["jobs"]] == sorted(jobs, reverse=True)[:2]
    rest = caller.get(f"/jobs?limit=2&before={page['next']}").json()
    assert [one["id"] for one in rest["jobs"]] == sorted(jobs)[:1]
    (pool,) = caller.get("/pools").json()
    assert (pool["audience"], pool["queued"], pool["agents"]) == ("pool:default", 3, 1)
    (one,) = caller.get("/agents").json()
    assert (one["name"], one["online"], one["slots"]) == (agent.name, True, {"sql": 4, "python": 2})
    assert caller.post(f"/jobs/{jobs[0]}/cancel").json()["state"] == "cancelled"
    assert caller.post(f"/jobs/{jobs[0]}/cancel").json()["code"] == "job.ended"
    assert len(caller.get("/jobs?state=cancelled").json()["jobs"]) == 1


@pytest.mark.parametrize("call", ["lease", "orders"])
def test_an_order_reaches_the_agent_on_either_call(site: Site, call: str) -> None:
    caller, agent, job = held(site, f"orders-{call}")
    assert agent.http.get(f"/sessions/{agent.session}/orders").status_code == 204
    assert caller.post(f"/jobs/{job['job']}/cancel").json()["cancelling"] is True
    told = {"orders": [{"order": "cancel", "lease": job["lease"]}]}
    orders = f"/sessions/{agent.session}/orders?wait=5"
    assert (agent.lease(5) if call == "lease" else agent.http.get(orders)).json() == told
    beat = agent.http.post("/heartbeat", json={"session": agent.session, "leases": [job["lease"]]})
    assert beat.json() == {"leases": {job["lease"]: "cancel"}}


def test_offers_go_back_and_rejections_end(site: Site) -> None:
    caller, agent = site.submitter("back"), site.agent(tenant="back")
    submitted(caller, "back")
    job = agent.offered()
    assert agent.http.post("/hand-back", json={"leases": [job["lease"]]}).status_code == 204
    again = agent.offered()
    assert (again["job"], again["attempt"], again["fence"]) == (job["job"], 1, job["fence"] + 1)
    said = {"lease": again["lease"], "fence": again["fence"], "code": "envelope.untrusted"}
    assert agent.http.post(f"/jobs/{job['job']}/reject", json=said).json()["state"] == "refused"
    assert caller.get(f"/jobs/{job['job']}").json()["code"] == "envelope.untrusted"


def test_sessions_are_taken_over_drained_and_closed(site: Site) -> None:
    agent = site.agent(tenant="sessions")
    stranger = agent.open()
    assert (stranger.status_code, stranger.json()["code"]) == (409, "session.held")
    assert int(stranger.headers["retry-after"]) == 60
    before = agent.session
    instance = site.hub.store.session(before).instance  # type: ignore[union-attr]
    assert agent.open(previous=instance).status_code == 201
    assert agent.session != before
    gone = agent.http.post("/heartbeat", json={"session": before, "leases": []})
    assert (gone.status_code, gone.json()["code"]) == (409, "session.unknown")
    submitted(site.submitter("sessions"), "sessions")
    assert agent.http.post(f"/sessions/{agent.session}/drain").status_code == 204
    assert agent.lease().status_code == 204
    assert agent.http.delete(f"/sessions/{agent.session}").status_code == 204
    assert agent.http.delete(f"/sessions/{agent.session}").status_code == 204


def test_a_renewed_certificate_and_the_one_before_both_count(site: Site) -> None:
    agent, key = site.agent(tenant="renew"), new_key()
    answer = agent.http.post("/renew", json={"csr": csr_of(key)})
    assert answer.status_code == 201
    said = answer.json()
    assert (said["tenant"], said["agent"], said["pool"]) == ("renew", agent.name, "default")
    fresh = site.http(site.pair(key, said["certificate"]))
    for client in (fresh, agent.http):
        assert client.post("/heartbeat", json={"session": agent.session, "leases": []}).json() == {"leases": {}}


def test_names_are_what_jobs_may_name(site: Site) -> None:
    """Upper case, dots and underlines, at full length: an agent that is enrolled gets what is addressed to it."""
    tenant, name = "Acme_Ltd.EU", "N" * 127
    agent, caller = site.agent(name, tenant, "Pool_1"), site.submitter(tenant)
    for audience in (f"agent:{name}", "pool:Pool_1"):
        job = submitted(caller, tenant, audience)
        assert agent.offered()["job"] == job
    assert site.submitter(tenant.lower()).get("/jobs").json()["jobs"] == []


def test_a_poll_gets_a_job_at_once_and_waiters_see_its_end(site: Site) -> None:
    caller, agent = site.submitter("wait"), site.agent(tenant="wait")

    async def both() -> tuple[httpx.Response, float]:
        poll = asyncio.create_task(asyncio.to_thread(agent.lease, 20))
        await asyncio.sleep(0.3)
        begun = time.monotonic()
        await asyncio.to_thread(submitted, caller, "wait")
        return await poll, time.monotonic() - begun

    found, took = asyncio.run(both())
    assert len(found.json()["jobs"]) == 1
    assert took < 10  # of the 20 s that it would have waited


def test_eight_pollers_vanish_and_eight_jobs_reach_a_live_agent(site: Site) -> None:
    caller, agent = site.submitter("vanish"), site.agent(tenant="vanish")
    for _ in range(8):
        body = {"session": agent.session, "free": {"sql": 1}}
        gone = site.http(agent.pair)
        with pytest.raises(httpx.ReadTimeout):
            gone.post("/lease?wait=30", json=body, timeout=httpx.Timeout(10, read=0.15))
        gone.close()
    jobs = {submitted(caller, "vanish") for _ in range(8)}
    found = set()
    for _ in range(8):
        found |= {one["job"] for one in agent.lease(15, free=8).json()["jobs"]} if len(found) < 8 else set()
    assert found == jobs


def test_a_result_in_parts_goes_on_where_it_was_cut(site: Site) -> None:
    caller, agent, job = held(site, "parts")
    result = result_of(job)
    (part,) = result.parts
    place = addressed(job, result.id, "/parts")
    assert agent.http.get(place).json() == {"parts": {}}
    assert agent.http.head(place).status_code == 200
    missing = agent.http.post(addressed(job, result.id), content=result.manifest)
    assert (missing.status_code, missing.json()["code"]) == (400, "result.part")
    wrong = addressed(job, result.id, "/parts/0")
    assert agent.http.put(wrong, content=part[:-1] + b"?").status_code == 204
    still = agent.http.post(addressed(job, result.id), content=result.manifest)
    assert still.json()["code"] == "result.part"
    put = agent.http.put(wrong, content=part)
    assert agent.http.get(place).json() == {"parts": {"0": put.headers["etag"].strip('"')}}
    assert caller.get(f"/jobs/{job['job']}").json()["state"] == "uploading"
    assert agent.http.post(addressed(job, result.id), content=result.manifest).json()["state"] == "failed"
    fetched = caller.get(f"/jobs/{job['job']}/result")
    assert fetched.content == result.mres
    assert int(fetched.headers["content-length"]) == len(result.mres)
    caller.delete(f"/jobs/{job['job']}/result")
    assert not (site.files.parts / result.id).exists()


def test_another_result_under_the_same_lease_is_a_conflict(site: Site) -> None:
    _, agent, job = held(site, "conflict")
    first, second = result_of(job), result_of(job)
    assert agent.http.post(addressed(job, first.id), content=first.mres, headers=MRES).status_code == 200
    other = agent.http.post(addressed(job, second.id), content=second.mres, headers=MRES)
    assert (other.status_code, other.json()["code"]) == (409, "result.conflict")


def test_a_whole_result_whose_parts_are_not_its_manifests(site: Site) -> None:
    _, agent, job = held(site, "whole")
    result = result_of(job)
    for bad in (result.mres[:-1], result.mres + b"x", result.mres[:-1] + b"?"):
        answer = agent.http.post(addressed(job, result.id), content=bad, headers=MRES)
        assert (answer.status_code, answer.json()["code"]) == (400, "result.part")


def test_health_needs_nobody(site: Site) -> None:
    with site.http() as client:
        assert client.get("/health").json() == {"status": "ok", "version": version("meridyen-router")}
