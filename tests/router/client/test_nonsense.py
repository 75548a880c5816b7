"""A Router that answers nonsense, and links that are cut: typed errors, in bounded time and memory."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.client import Client, ClientError, ResultError, RouterError, RouterUnavailableError
from tests.router.client.conftest import World

JOB = "01HF7YAT00TESTVECTR0000001"
STATE = {
    "state": "succeeded", "phase": None, "rows": None, "attempt": 1, "ended": True, "code": "ok", "agent": "a",
    "changed": 1.0, "result": True,
}  # fmt: skip


def said(body: bytes | dict[str, Any] | list[Any], status: str = "200 OK", *headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", f"content-length: {len(data)}", *headers, "connection: close", "", ""]
    return "\r\n".join(head).encode() + data


def sealed(data: bytes) -> bytes:
    return said(data, "200 OK", "content-type: application/vnd.meridyen.mres")


class Liar:
    """Speaks TLS with the Router's own certificate. `script`: what it answers, one after the other, the last for ever."""

    def __init__(self, world: World) -> None:
        self.script: list[bytes] = []
        self.asked: list[str] = []
        self.loop = asyncio.new_event_loop()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(world.files.certificate, world.files.key)
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        serving = asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=context)
        self.server = asyncio.run_coroutine_threadsafe(serving, self.loop).result(20)
        self.url = f"https://localhost:{self.server.sockets[0].getsockname()[1]}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.split(b" HTTP")[0].decode())
            answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            writer.write(answer)
            if answer.endswith(b"ENDLESS"):
                for _ in range(256):  # a connection that was cut may take them all without a word
                    writer.write(b" " * 2**20)
                    await writer.drain()
                    await asyncio.sleep(0)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (OSError, EOFError, ssl.SSLError):
            writer.close()

    def close(self) -> None:
        async def end() -> None:
            self.server.close()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            if rest:
                await asyncio.wait(rest, timeout=10)  # one that hangs in TLS goes with the loop

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(60)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def liar(world: World) -> Iterator[Liar]:
    made = Liar(world)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def lied(world: World, liar: Liar) -> Iterator[Client]:
    with world.client(url=liar.url) as client:
        yield client


NONSENSE = {
    "a page": said(b"<html>welcome</html>"),
    "nothing": said(b""),
    "a list": said([]),
    "a word": said(b'"ok"'),
    "half of it": said({"state": "running"}),
    "other types": said({**STATE, "ended": "no"}),
    "deep": said(b"[" * 100_000),
    "not UTF-8": said(b'{"state": "\xff"}'),
    "elsewhere": said(b"", "302 Found", "location: https://elsewhere.example/"),
    "an error page": said(b"<html>sorry</html>", "500 Internal Server Error"),
    "an error of other types": said({"code": 5, "message": []}, "400 Bad Request"),
    "squeezed": said(b"\x1f\x8bnot", "200 OK", "content-encoding: gzip"),
    "a switch": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
    "not HTTP": b"220 mail.example ESMTP\r\n",
    "silence": b" ",
    "cut short": said(STATE)[:-20],
    "endless": b"HTTP/1.1 200 OK\r\n\r\nENDLESS",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_an_error_of_the_router(liar: Liar, lied: Client, name: str):
    liar.script = [NONSENSE[name]]
    with pytest.raises(RouterUnavailableError) as raised:
        lied.job(JOB).status()
    assert raised.value.code in {"router.foreign", "router.unreachable"}
    with pytest.raises(RouterUnavailableError):  # nothing is taken for sent that a Router did not take
        lied.sql("select 1", source="shop")
    assert raised.value.hint


def test_what_is_busy_is_asked_again_and_what_refuses_is_not(liar: Liar, lied: Client):
    busy = {"code": "quota.jobs", "message": "Too many.", "hint": "Later."}
    liar.script = [said(busy, "429 Too Many Requests", "retry-after: 0"), said(busy, "503 Unavailable"), said(STATE)]
    assert lied.job(JOB).status().state == "succeeded"
    assert len(liar.asked) == 3
    liar.script = [said(busy, "429 Too Many Requests", "retry-after: 999999")]
    with pytest.raises(RouterError) as raised:
        lied.job(JOB).status()
    assert (raised.value.code, raised.value.status, raised.value.retry_after) == ("quota.jobs", 429, 999999)
    assert len(liar.asked) == 4  # nobody knocks before the time that they were told
    liar.script = [said(busy, "429 Too Many Requests", "retry-after: 1"), said(STATE)]
    begun = time.monotonic()
    assert lied.job(JOB).status().state == "succeeded"
    assert time.monotonic() - begun >= 1
    liar.asked.clear()
    liar.script = [said({"code": "auth.scope", "message": "No."}, "403 Forbidden")]
    with pytest.raises(RouterError):
        lied.job(JOB).cancel()
    assert liar.asked == [f"POST /v1/jobs/{JOB}/cancel"]


def test_a_second_address_helps_where_the_first_is_no_router(world: World, liar: Liar):
    liar.script = [NONSENSE["a page"]]
    with world.client(url=[liar.url, world.url]) as client:
        assert client.sql("select 1", source="shop").wait(30).rows()


def test_a_download_that_is_cut_begins_anew(world: World, liar: Liar, lied: Client, client: Client, tmp_path: Path):
    job = client.sql("select number 5", source="shop")
    whole = sealed(job.download(tmp_path / "whole").read_bytes())
    liar.script = [said(STATE), whole[:-100], whole, said({"code": "x", "message": "y"}, "500 No")]
    result = lied.job(job.id, job.digest).wait(30)  # that it could not be deleted is no reason to lose it
    assert result.rows() == [{"n": 5}]
    assert [line.split()[0] for line in liar.asked[:3]] == ["GET"] * 3


def test_a_result_that_never_ends(liar: Liar, world: World):
    liar.script = [said(STATE), b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.meridyen.mres\r\n\r\nENDLESS"]
    with world.client(url=liar.url, max_result_bytes=5 * 2**20) as client, pytest.raises(ResultError) as raised:
        client.job(JOB).wait(60)
    assert raised.value.code == "result.size"


@pytest.mark.parametrize("body", [b"", b"MERIDYN1", b"MERIDYN1\xff\xff\xff\xff", b"<html>", b"\0" * 1000])
def test_a_result_that_is_none(liar: Liar, lied: Client, body: bytes):
    liar.script = [said(STATE), sealed(body)]
    with pytest.raises(ResultError):
        lied.job(JOB).wait(30)
    liar.script = [said(STATE), said(body)]
    with pytest.raises(RouterUnavailableError):
        lied.job(JOB).wait(30)


def test_an_end_that_nobody_knows(liar: Liar, lied: Client):
    liar.script = [said({**STATE, "state": "evaporated", "code": None, "result": False})]
    with pytest.raises(ClientError) as raised:
        lied.job(JOB).wait(30)
    assert raised.value.code == "job.ended"
