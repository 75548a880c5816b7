"""Bad input to a running agent: each gets its own clear refusal, and nothing is lost."""

import json
import os
import subprocess
import time

import pytest

from agent.identity import keystore, profile
from agent.wire.ids import new_ulid
from agent.wire.keys import SigningKey
from agent.wire.models import JobModel
from agent.wire.signing import sign_job
from tests.support.silent import SILENT_AGENT

DAY = 86_400


@pytest.fixture(scope="module")
def service(site):
    with site.running():
        yield site


@pytest.fixture(scope="module")
def submitter(site):
    return profile.load(site.folder / "submitter")


def job(submitter, **changes):
    now = int(time.time())
    fields = {
        "id": new_ulid(time.time()),
        "tenant": "acme",
        "audience": "agent:plant-7",
        "issued": now,
        "not_before": now,
        "expires": now + DAY,
        "result_until": now + 2 * DAY,
        "requested_by": {"user": "ann"},
        "reply_to": {"kid": submitter.opening().public().kid},
        "task": {"kind": "sql", "source": "shop", "statement": "SELECT 1 AS one"},
    }
    return JobModel.model_validate({**fields, **changes})


def hand_in(site, name, data):
    draft = site.drop / "inbox" / "tmp" / name
    draft.write_bytes(data)
    draft.rename(site.inbox / name)


def rejected(site, stem, data=None):
    """The reason, once it is there; the bytes are kept beside it and no result was made."""
    site.wait_for(site.reason(stem))
    said = json.loads(site.reason(stem).read_bytes())
    if data is not None:
        kept = site.drop / "failed" / f"{stem}.mjob"
        site.wait_for(kept)
        assert kept.read_bytes() == data
    assert not site.result(stem).exists()
    assert said["message"]
    return said["code"]


def submit_raw(site, envelope, stem):
    hand_in(site, f"{stem}.mjob", envelope)
    return rejected(site, stem, envelope)


def test_unsigned(service, submitter):
    made = job(submitter)
    assert submit_raw(service, made.model_dump_json().encode(), made.id) == "envelope.malformed"


def test_wrong_key(service, submitter):
    made = job(submitter)
    assert submit_raw(service, sign_job(made, SigningKey.generate()), made.id) == "envelope.untrusted"


def test_expired_and_not_yet(service, submitter):
    now = int(time.time())
    late = job(submitter, issued=now - 2 * DAY, not_before=now - 2 * DAY, expires=now - DAY)
    assert submit_raw(service, sign_job(late, submitter.signing()), late.id) == "envelope.expired"
    early = job(submitter, not_before=now + DAY, expires=now + DAY)
    assert submit_raw(service, sign_job(early, submitter.signing()), early.id) == "envelope.not_yet"


def test_replayed(service, submitter):
    made = job(submitter)
    envelope = sign_job(made, submitter.signing())
    hand_in(service, f"{made.id}.mjob", envelope)
    service.wait_for(service.result(made.id))
    before = service.result(made.id).read_bytes()
    hand_in(service, f"{made.id}.mjob", envelope)
    service.wait_for(service.reason(made.id))
    assert json.loads(service.reason(made.id).read_bytes())["code"] == "envelope.replayed"
    assert service.result(made.id).read_bytes() == before


def test_an_altered_byte(service, submitter):
    made = job(submitter)
    envelope = bytearray(sign_job(made, submitter.signing()))
    place = envelope.index(b".") + 40
    envelope[place] = ord("A") if envelope[place] != ord("A") else ord("B")
    assert submit_raw(service, bytes(envelope), made.id) == "envelope.signature"


def _signed_payload(submitter, payload):
    """What a submitter's own broken program could sign."""
    from agent.wire import jws

    return jws.sign(payload, submitter.signing(), "meridyen-job+v1")


def test_an_unknown_field(service, submitter):
    made = job(submitter)
    payload = json.dumps({**made.model_dump(mode="json"), "sudo": True}).encode()
    assert submit_raw(service, _signed_payload(submitter, payload), made.id) == "envelope.field"


def test_invalid_utf8(service, submitter):
    made = job(submitter)
    payload = made.model_dump_json().encode().replace(b"ann", b"a\xffn")
    assert submit_raw(service, _signed_payload(submitter, payload), made.id) == "envelope.encoding"


def test_a_job_for_another_agent_or_tenant(service, submitter):
    other = job(submitter, audience="agent:plant-8")
    assert submit_raw(service, sign_job(other, submitter.signing()), other.id) == "envelope.audience"
    tenant = job(submitter, tenant="umbrella")
    assert submit_raw(service, sign_job(tenant, submitter.signing()), tenant.id) == "envelope.tenant"


def test_a_recipient_or_role_that_is_not_granted(service, submitter):
    stranger = job(submitter, reply_to={"kid": SigningKey.generate().public().kid})
    assert submit_raw(service, sign_job(stranger, submitter.signing()), stranger.id) == "envelope.reply_to"
    role = job(submitter, requested_by={"user": "ann", "roles": ["payroll-auditor"]})
    assert submit_raw(service, sign_job(role, submitter.signing()), role.id) == "envelope.role"


def test_a_gigabyte(service):
    """Moved aside unread: the file is sparse, reading it would take memory and time."""
    draft = service.drop / "inbox" / "tmp" / "huge.mjob"
    with draft.open("wb") as file:
        file.truncate(1 << 30)
    draft.rename(service.inbox / "huge.mjob")
    assert rejected(service, "huge") == "envelope.too_large"
    (kept,) = (service.drop / "failed").glob("huge*.mjob")
    assert kept.stat().st_size == 1 << 30
    kept.unlink()


def test_entries_that_are_no_plain_files(service, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("900-55-0001")
    (service.inbox / "link.mjob").symlink_to(secret)
    os.mkfifo(service.inbox / "pipe.mjob")
    linked = service.drop / "inbox" / "tmp" / "linked"
    linked.write_text("x")
    (service.inbox / "hard.mjob").hardlink_to(linked)
    (service.inbox / "folder.mjob").mkdir()
    (service.inbox / "notes.txt").write_text("mine")
    for stem in ("link", "pipe", "hard", "folder"):
        assert rejected(service, stem) == "file.kind"
    assert rejected(service, "notes") == "file.foreign"
    assert secret.read_text() == "900-55-0001"
    assert "900-55" not in service.reason("link").read_text()
    service.wait_for(service.drop / "failed" / "notes.txt")
    assert (service.drop / "failed" / "notes.txt").read_text() == "mine"


def test_halves_in_tmp_are_left_alone(service, submitter):
    half = service.drop / "inbox" / "tmp" / "half.mjob"
    half.write_bytes(b"eyJhbGci")
    done = service.json("submit", service.query("SELECT 1 AS one"), "--source", "shop", "--wait")
    assert done["rows"] == [[1]]
    assert half.read_bytes() == b"eyJhbGci"


def test_a_file_that_grows_is_waited_for(service, submitter):
    made = job(submitter)
    envelope = sign_job(made, submitter.signing())
    growing = service.inbox / f"{made.id}.mjob"
    with growing.open("wb") as file:
        for start in range(0, len(envelope), 200):
            file.write(envelope[start : start + 200])
            file.flush()
            time.sleep(0.05)
    service.wait_for(service.result(made.id))


def test_refusals_are_answered_sealed(service):
    done = service.cli("submit", service.query("DROP TABLE orders"), "--source", "shop", "--wait", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == "sql.root"
    done = service.cli("submit", service.query("SELECT 1"), "--source", "nope", "--wait", "--json")
    assert json.loads(done.stdout)["code"] == "task.source"


def test_a_revoked_key(service, tmp_path):
    """Counts for the next job, without a restart."""
    folder = tmp_path / "bob"
    subprocess.run(
        [*SILENT_AGENT, "keys", "new", str(folder), "--user", "bob", "--tenant", "acme",
         "--audience", "agent:plant-7", "--drop", str(service.drop)],
        check=True, capture_output=True,
    )  # fmt: skip
    public = folder / "signing.pub.jwk"
    add = ("trust", "add", "bob", "--key", str(public), "--opening-key", str(folder / "opening.pub.jwk"))
    assert service.cli(*add, "--source", "shop").returncode == 0
    bob = profile.load(folder)
    good = job(bob, requested_by={"user": "bob"})
    hand_in(service, f"{good.id}.mjob", sign_job(good, bob.signing()))
    service.wait_for(service.result(good.id))
    assert service.cli("trust", "revoke", keystore.load_verify(public).kid).returncode == 0
    late = job(bob, requested_by={"user": "bob"})
    assert submit_raw(service, sign_job(late, bob.signing()), late.id) == "envelope.revoked"


def test_the_operators_key_does_not_count_on_a_transport(service):
    from agent.identity import state

    identity = state.load(service.folder / "state")
    now = int(time.time())
    made = JobModel.model_validate(
        {
            "id": new_ulid(time.time()), "tenant": "acme", "audience": "agent:plant-7", "issued": now, "not_before": now,
            "expires": now + DAY, "result_until": now + DAY, "requested_by": {"user": "root"},
            "reply_to": {"kid": identity.operator_open.public().kid},
            "task": {"kind": "sql", "source": "shop", "statement": "SELECT 1"},
        }
    )  # fmt: skip
    assert submit_raw(service, sign_job(made, identity.operator), made.id) == "envelope.untrusted"


def test_status_tells_the_counts(service, submitter, until):
    before = service.json("status")["jobs"]
    good, bad = job(submitter), job(submitter)
    hand_in(service, f"{good.id}.mjob", sign_job(good, submitter.signing()))
    service.wait_for(service.result(good.id))
    assert submit_raw(service, sign_job(bad, SigningKey.generate()), bad.id) == "envelope.untrusted"

    def counted():
        found = service.json("status")
        now = found["jobs"]
        assert (found["state"], found["live"]) == ("online", True)
        return now["done_24h"] > before["done_24h"] and now["rejected_24h"] > before["rejected_24h"]

    until(counted)
