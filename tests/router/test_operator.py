"""Full access to a Router's database and its CA key: what that shows, and what it cannot do unnoticed.

A real Router, a real agent as a process, a real client; the operator changes the database file beside the running Router.
What it makes up is in test_operator_forges.py.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.wire.ids import new_ulid
from agent.wire.keys import SigningKey
from agent.wire.models import JobModel
from agent.wire.signing import job_digest
from router.client import ClientError, JobError, JobFailedError, ResultError
from tests.router.operators import World, decoded, operated, payload_of, resigned, unsigned
from tests.support.routers import POOL

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]
PAGE = (Path(__file__).parents[2] / "docs/threat-model.md").read_text()
SEEN = PAGE.partition("## The Router's operator")[2].partition("\n## ")[0]


def canary(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(6)}"


SHOWN = {
    "statement": canary("statement"),
    "parameters": canary("parameter"),
    "inline tables": canary("inline"),
    "programs": canary("code"),
    "variables": canary("variable"),
    "user": canary("user"),
    "purpose": canary("purpose"),
    "stream": canary("stream"),
    "labels": canary("label"),
}
"""What the page says that the operator sees."""
SEALED = {
    "value of a row": canary("value"),
    "value of a row of a program": canary("made"),
    "column": canary("column"),
    "relation behind a view": canary("relation"),
    "printed text": canary("printed"),
    "printed before an exception": canary("raised"),
    "hint of a refusal": canary("hinted"),
}
MANIFEST = {
    "job_id", "job_digest", "result_id", "attempt", "outcome", "code", "media_types", "parts", "policy_version",
    "policy_sha256", "isolation", "disclosure_sha256", "recipient", "sealed_key", "audit_head",
}  # fmt: skip
"""What stands unsealed in a manifest: a new member has to be told of in the page first."""


def source(database: sqlite3.Connection) -> None:
    relation, column, hinted = (SEALED[name] for name in ("relation behind a view", "column", "hint of a refusal"))
    database.execute(f"create table {relation} (id integer, {column} text)")
    database.execute(f"create table {hinted} (id integer)")
    database.executemany(f"insert into {relation} values (?, ?)", [(n, SEALED["value of a row"]) for n in range(3)])
    database.execute(f"create view people as select * from {relation}")
    database.execute("create table many (id integer primary key, word text)")
    database.executemany("insert into many values (?, ?)", [(n, secrets.token_hex(20_000)) for n in range(300)])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with operated(tmp_path_factory.mktemp("operator"), label=SHOWN["labels"], fill=source) as made:
        yield made


def parts_of(word: str) -> str:
    """An expression that gives the word, and does not hold it."""
    return f"{word[:9]!r} + {word[9:]!r}"


# --- what it sees


def test_it_sees_what_the_page_lists_and_nothing_of_a_result(world: World) -> None:
    with world.client() as client:
        select = f"select *, '{SHOWN['statement']}' as s, :p as p from people"
        rows = client.sql(select, source="shop", params={"p": SHOWN["parameters"]}, purpose=SHOWN["purpose"])
        assert SEALED["value of a row"] in str(rows.wait(60, keep=True).rows())
        assert SEALED["column"] in rows.wait().columns[1]
        assert SEALED["relation behind a view"] in str(rows.wait().disclosure)
        code = (
            f"# {SHOWN['programs']}\nprint({parts_of(SEALED['printed text'])})\n"
            f"result = df.assign(made={parts_of(SEALED['value of a row of a program'])})"
        )
        inputs, variables = {"df": [{"a": SHOWN["inline tables"]}]}, {"v": SHOWN["variables"]}
        made = client.python(code, inputs=inputs, variables=variables, source="shop").wait(120, keep=True)
        assert SEALED["printed text"] in made.stdout
        assert SEALED["value of a row of a program"] in str(made.rows())
        raising = (
            f"import sys\nprint({parts_of(SEALED['printed before an exception'])}, file=sys.stderr)\nresult = 1 / 0"
        )
        with pytest.raises(JobError) as raised:
            client.python(raising, inputs=inputs, source="shop").wait(120, keep=True)
        assert SEALED["printed before an exception"] in raised.value.stderr
        typo = SEALED["hint of a refusal"][:-1] + "x"
        with pytest.raises(JobError) as refused:
            client.sql(f"select 1 from {typo}", source="shop").wait(60, keep=True)
        assert SEALED["hint of a refusal"] in refused.value.hint + refused.value.message
    job = world.held(requested_by={"user": SHOWN["user"]}, stream=SHOWN["stream"])
    dump = world.operator.everything()
    assert {kind for kind, word in SHOWN.items() if word.encode() not in dump} == set()
    assert {
        kind for kind, word in SEALED.items() if word.encode() in dump or word.encode().hex().encode() in dump
    } == set()
    for kind in SHOWN:
        assert kind in SEEN, f"{kind} is not in the page"
    tokens = world.operator.sql("SELECT manifest FROM results WHERE manifest IS NOT NULL")
    assert {name for (token,) in tokens for name in payload_of(token)} == MANIFEST
    world.router.cancel(job)


def test_no_key_lies_with_the_router_but_its_own_two(world: World) -> None:
    files, dump = world.router.files, world.operator.everything()
    keys = [path for path in files.folder.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert sorted(keys) == sorted([files.ca_key, files.key])
    for path in keys:  # neither signs jobs or results, nor opens any: those are Ed25519 and X25519
        assert isinstance(load_pem_private_key(path.read_bytes(), None), ec.EllipticCurvePrivateKey)
    for key in (world.submitter.signing, world.submitter.opening, world.result_key):
        private = key.to_jwk()["d"].encode()
        assert private not in dump
        assert decoded(private) not in dump


# --- what it changes

TASK = {
    "kind": "python",
    "code": "result = a",
    "inputs": {
        "a": {
            "kind": "sql",
            "source": "shop",
            "statement": "select id from people where id < :n",
            "parameters": {"n": 2},
        },
        "b": {"kind": "inline", "columns": [{"name": "x", "type": "int64"}], "rows": [[1]]},
    },
    "variables": {"v": 1},
    "charts": [],
}
CHANGES: dict[str, tuple[Any, ...]] = {
    "id": ("id", lambda _: new_ulid(time.time())),
    "tenant": ("tenant", "globex"),
    "audience: agent": ("audience", "agent:other"),
    "audience: pool": ("audience", f"pool:{POOL}"),
    "stream": ("stream", "other"),
    "seq": ("seq", 99),
    "issued": ("issued", lambda old: old - 60),
    "not_before": ("not_before", lambda old: old - 60),
    "expires": ("expires", lambda old: old + 60),
    "result_until": ("result_until", lambda old: old + 60),
    "requested_by: user": ("requested_by", "user", "root"),
    "requested_by: roles": ("requested_by", "roles", ["auditor"]),
    "requested_by: purpose": ("requested_by", "purpose", "none"),
    "reply_to": ("reply_to", "kid", "A" * 43),
    "idempotent": ("idempotent", True),
    "max_attempts": ("max_attempts", 2),
    "priority": ("priority", 100),
    "limits": ("limits", "rows", 1_000_000),
    "on_limit": ("on_limit", "truncate"),
    "task: code": ("task", "code", "result = 1"),
    "task: statement": ("task", "inputs", "a", "statement", "select * from people"),
    "task: parameters": ("task", "inputs", "a", "parameters", "n", 3),
    "task: source": ("task", "inputs", "a", "source", "other"),
    "task: inline table": ("task", "inputs", "b", "rows", [[2]]),
    "task: variables": ("task", "variables", "v", 2),
    "task: frames": ("task", "frames", "arrow"),
    "task: charts": ("task", "charts", ["png"]),
    "task": ("task", {"kind": "catalog", "source": "shop"}),
}


def changed(payload: dict[str, Any], *path: Any) -> dict[str, Any]:
    *places, last, value = path
    whole: dict[str, Any] = json.loads(json.dumps(payload))
    place: Any = whole
    for name in places:
        place = place[name]
    place[last] = value(place[last]) if callable(value) else value
    assert whole != payload
    return whole


def test_the_changes_are_of_every_field() -> None:
    assert {name.partition(":")[0] for name in CHANGES} == set(JobModel.model_fields)


def test_a_job_that_it_changed_is_refused(world: World) -> None:
    """Under the signature that stood there, signed anew in the submitter's name, and by a key of the operator's own."""
    own = SigningKey.generate()
    codes: dict[str, str] = {}
    for path in CHANGES.values():
        for how in ("left", "in their name", "own"):
            job = world.held(task=TASK, seq=1)
            payload = changed(payload_of(world.operator.envelope(job)), *path)
            envelopes = {
                "left": unsigned(world.operator.envelope(job), payload),
                "in their name": resigned(payload, own, world.submitter.signing.kid),
                "own": resigned(payload, own, own.kid),
            }
            world.operator.put_envelope(job, envelopes[how])
            codes[job] = "envelope.untrusted" if how == "own" else "envelope.signature"
    untouched = world.held(task={"kind": "sql", "source": "shop", "statement": "select 1 as one"})
    world.operator.release([*codes, untouched])
    assert world.ended([*codes, untouched]) == {
        **{job: ("refused", code) for job, code in codes.items()},
        untouched: ("succeeded", "ok"),
    }
    began = {record["job"] for record in world.audit("job.started")}
    assert untouched in began
    assert not began & set(codes)
    told = [record["code"] for record in world.audit("job.rejected") if record["ref"] in codes]
    assert sorted(told) == sorted(codes.values()), "each is in the agent's log"
    with world.client() as client, pytest.raises(JobFailedError, match="envelope"):
        client.job(next(iter(codes))).wait(30)


def test_a_genuine_job_is_refused_where_and_when_it_is_not_meant(world: World) -> None:
    """The operator's own columns say who gets what, and when: to the agent they say nothing."""
    now, operator = time.time(), world.operator
    other = {"tenant": "globex", "audience": f"pool:{POOL}"}
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "another tenant's": (other, "envelope.tenant"),
        "another pool's": ({"audience": "pool:other"}, "envelope.audience"),
        "another agent's": ({"audience": "agent:other"}, "envelope.audience"),
        "one that has expired": (
            {"issued": now - 9000, "not_before": now - 9000, "expires": now - 400},
            "envelope.expired",
        ),
        "one for later": (
            {"not_before": now + 3000, "expires": now + 9000, "result_until": now + 9000},
            "envelope.not_yet",
        ),
    }
    jobs = {}
    for changes, code in cases.values():
        bait = world.held()
        _, envelope = world.submitter.envelope(**{"not_before": now, **changes})
        operator.put_envelope(bait, envelope)
        jobs[bait] = ("refused", code)
    operator.release([*jobs])
    assert world.ended([*jobs]) == jobs
    began = {record["digest"] for record in world.audit("job.started")}
    assert not began & {job_digest(operator.envelope(job)) for job in jobs}


# --- what it repeats


def again(world: World, job: str) -> None:
    """Everything that the Router knew of a job's end, undone."""
    world.operator.sql("DELETE FROM results WHERE job_id = ?", job)
    undone = (
        "state = 'waiting', not_before = 0, attempt = 0, agent = NULL, result_id = NULL, code = NULL, outcome = NULL"
    )
    world.operator.sql(f"UPDATE jobs SET {undone}, max_attempts = 100, idempotent = 1 WHERE id = ?", job)


def test_a_job_that_it_hands_out_again_does_not_run_again(world: World) -> None:
    once, twice = world.held(), world.held(idempotent=True, max_attempts=2)
    world.operator.release([once, twice])
    assert set(world.ended([once, twice]).values()) == {("succeeded", "ok")}
    for _ in range(3):
        for job in (once, twice):
            again(world, job)
        found = world.ended([once, twice])
    assert found == dict.fromkeys((once, twice), ("refused", "envelope.replayed"))
    copy = world.held()  # the same envelope under another id of the Router's
    world.operator.put_envelope(copy, world.operator.envelope(once))
    world.operator.release([copy])
    assert world.ended([copy]) == {copy: ("refused", "envelope.replayed")}
    began = [record["job"] for record in world.audit("job.started")]
    assert (began.count(once), began.count(twice) <= 2) == (1, True)
    assert [one["code"] for one in world.audit("job.rejected") if one["ref"] == once] == ["envelope.replayed"] * 3


def test_an_older_result_or_another_jobs_is_not_taken_for_this_ones(world: World) -> None:
    """The same statement, asked twice: yesterday's answer is no answer today."""
    with world.client() as client:
        older, newer, other = (client.sql(f"select {n} as n", source="shop") for n in (1, 1, 2))
        for job in (older, newer, other):
            list(job.stream())
        real = world.operator.result(newer.id)
        for wrong in (older, other):
            manifest_, parts = world.operator.result(wrong.id)
            mixed = ((manifest_, parts), (manifest_, real[1]), (real[0], parts))
            for swapped in mixed:
                world.operator.put_result(newer.id, *swapped)
                for digest in (newer.digest, None):
                    with pytest.raises(ResultError):
                        client.job(newer.id, digest).wait(30, keep=True)
        world.operator.put_result(newer.id, *real)
        assert newer.wait(30).rows() == [{"n": 1}]


# --- what it withholds

Damage = Callable[[list[Path]], object]
DAMAGES: dict[str, Damage] = {
    "the last part is missing": lambda parts: parts[-1].unlink(),
    "the first part is missing": lambda parts: parts[0].unlink(),
    "a part is cut short": lambda parts: parts[0].write_bytes(parts[0].read_bytes()[:-1]),
    "a byte of a part": lambda parts: parts[0].write_bytes(b"\0" + parts[0].read_bytes()[1:]),
    "parts change places": lambda parts: swapped(*parts[:2]),
}


def swapped(first: Path, second: Path) -> None:
    contents = first.read_bytes(), second.read_bytes()
    for path, data in zip((second, first), contents, strict=True):
        path.write_bytes(data)


def test_a_large_result_of_which_something_is_missing_is_none(world: World) -> None:
    with world.client() as client:
        job = client.sql("select * from many", source="shop")
        list(job.stream())
        assert job.status().state == "succeeded", job.status()
        ((result,),) = world.operator.sql("SELECT result_id FROM results WHERE job_id = ?", job.id)
        parts = sorted(
            (world.router.files.parts / result).glob("[0-9]*"), key=lambda path: int(path.stem.partition(".")[0])
        )
        assert len(parts) > 1
        whole = {path: path.read_bytes() for path in parts}
        for damage in DAMAGES.values():
            damage(parts)
            with pytest.raises(ClientError):
                client.job(job.id, job.digest).wait(30, keep=True)
            for path, data in whole.items():
                path.write_bytes(data)
        assert job.wait(30).arrow().num_rows == 300


def test_what_it_says_of_an_end_without_a_result_is_never_a_result(world: World) -> None:
    with world.client() as client:
        for state in ("succeeded", "failed", "refused", "cancelled", "timed_out", "dead"):
            job = world.held()
            world.operator.sql("UPDATE jobs SET state = ? WHERE id = ?", state, job)
            with pytest.raises(JobError):
                client.job(job).wait(30)
