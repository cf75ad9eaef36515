"""What the guarded client takes from bad servers: faults, bombs and endless replies end, and soon."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib

import pytest

from app.adapters.addresses import AddressGuard
from app.adapters.http_client import GuardedHttp
from app.ports import HttpRequest
from tests.adapters.sending import LOCAL, refused, send
from tests.stub_http import Reply, Stub, packed

UNREADABLE = ("http_connection", "the reply cannot be read", True)
TOO_LARGE = ("too_large", "the reply is larger than 1048576 bytes", False)


# ---- bad servers


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 two hundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nplain",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 99)[:-9],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nplain",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n\xff\xff\xff\xff",
    ],
)
async def test_a_garbled_reply_is_a_connection_fault_that_may_be_tried_again(server: Stub, raw: bytes) -> None:
    server.replies = [Reply(raw=raw)]
    assert await refused(server.url) == UNREADABLE


async def test_a_connection_that_is_cut_is_a_fault_that_may_be_tried_again(server: Stub) -> None:
    server.replies = [Reply(body=b"x" * 100, cut=50)]
    assert await refused(server.url) == UNREADABLE
    assert await refused("http://127.0.0.1:1/") == ("http_connection", "the request failed: ConnectError", True)


async def test_more_than_the_length_says_is_not_read(server: Stub) -> None:
    server.replies = [Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef")]
    assert (await send(server.url)).body == b"abc"


@pytest.mark.parametrize(
    ("size", "fits"), [(1024 * 1024, True), (1024 * 1024 + 1, False)], ids=["exactly", "one byte more"]
)
@pytest.mark.parametrize("coding", ["", "gzip", "deflate", "raw deflate"])
async def test_a_reply_has_a_mebibyte_after_decompression(server: Stub, coding: str, size: int, fits: bool) -> None:
    body = b"x" * size
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    raw = deflate.compress(body) + deflate.flush()
    made = {"": body, "gzip": gzip.compress(body), "deflate": zlib.compress(body), "raw deflate": raw}[coding]
    named = [("Content-Encoding", coding.split(" ")[-1])] if coding else []
    server.replies = [Reply(body=made, headers=named)]
    if fits:
        assert (await send(server.url)).body == body
    else:
        assert await refused(server.url) == TOO_LARGE


async def test_a_bomb_is_not_unpacked(server: Stub) -> None:
    bomb = gzip.compress(b"\0" * 100_000_000, 6)
    server.replies = [Reply(body=bomb, headers=[("Content-Encoding", "gzip")])]
    tracemalloc.start()
    try:
        assert await refused(server.url) == TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 16_000_000, "its first packet alone would be more"
    finally:
        tracemalloc.stop()
    server.replies = [packed(b"\0" * 1_000_000, "gzip, gzip, gzip", times=3)]
    assert await refused(server.url) == UNREADABLE


async def test_a_packed_body_that_never_yields_anything_ends(server: Stub) -> None:
    nothing = zlib.compressobj(wbits=31)
    empty = b"".join(nothing.compress(b"") + nothing.flush(zlib.Z_FULL_FLUSH) for _ in range(250_000))
    server.replies = [Reply(body=empty, headers=[("Content-Encoding", "gzip")], hang=True)]
    assert await refused(server.url) == TOO_LARGE


async def test_of_a_refusal_only_its_beginning_is_read(server: Stub) -> None:
    server.replies = [Reply(500, b"x" * 3_000_000, hang=True)]
    assert (await send(server.url, cut_errors_at=4096)).body == b"x" * 4096
    assert await refused(server.url) == TOO_LARGE


@pytest.mark.parametrize(
    "reply", [Reply(hang=True), Reply(body=b"x" * 1000, drip_seconds=0.01), Reply(raw=b"HTTP/1.1 200", hang=True)]
)
async def test_a_slow_server_is_left_when_the_caller_cancels(server: Stub, reply: Reply) -> None:
    server.replies = [reply]
    request = HttpRequest(method="GET", url=server.url)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await GuardedHttp(AddressGuard(LOCAL)).send(request)
    async with asyncio.timeout(1):
        await server.closed.wait()
