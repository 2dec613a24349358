"""Connections that send too slowly, too much, or nothing at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.waiting import wait_until
from transport import http_protocol
from transport.http_protocol import HttpProtocol

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from tests.conftest import Api

WITHIN_S = 60
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transport.http_protocol.HEADERS_DEADLINE_S", 0.3)


@asynccontextmanager
async def connection(api: Api) -> AsyncGenerator[tuple[StreamReader, StreamWriter], None]:
    url = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        async with asyncio.timeout(WITHIN_S):
            yield reader, writer
    finally:
        writer.close()


async def answer(reader: StreamReader) -> tuple[str, bytes]:
    """Status line and body of one answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    size = head.split("content-length: ")[1].split("\r\n")[0]
    return head.split("\r\n")[0], await reader.readexactly(int(size))


@pytest.mark.usefixtures("impatient")
async def test_headers_that_never_come_or_never_end(api: Api) -> None:
    async with (
        connection(api) as (silent, _),
        connection(api) as (kept, kept_writer),
        connection(api) as (reader, writer),
    ):
        kept_writer.write(HEALTH + b"\r\n")
        assert await answer(kept) == ("http/1.1 200 ok", b'{"status":"ok"}')
        kept_writer.write(b"G")
        writer.write(HEALTH)

        async def is_closed() -> bool:
            """One more header, as slowloris sends them, until the connection is closed."""
            writer.write(b"x-slow: 1\r\n")
            return reader.at_eof() or writer.is_closing()

        for one in (silent, kept, reader):
            assert await answer(one) == ("http/1.1 408 request timeout", b"")
        await wait_until(is_closed, within_s=WITHIN_S)
        assert await silent.read() == await kept.read() == b""


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[HttpProtocol]:
    """Connections, once for each time that they are read late."""
    late: list[HttpProtocol] = []
    read_later = HttpProtocol._read_later  # pyright: ignore[reportPrivateUsage]

    def noted(protocol: HttpProtocol) -> None:
        late.append(protocol)
        read_later(protocol)

    monkeypatch.setattr(HttpProtocol, "_read_later", noted)
    monkeypatch.setattr(http_protocol, "LAZY_S", (0.01, 0.02))
    return late


async def was_read(api: Api) -> None:
    """Return when what was written before has been read, unless that is put off."""
    async with connection(api) as (other, other_writer):
        other_writer.write(HEALTH + b"\r\n")
        await answer(other)


async def test_headers_in_many_small_pieces_are_read_late_and_served(
    api: Api, late: list[HttpProtocol]
) -> None:
    async with connection(api) as (reader, writer):
        for pieces in range(1, 9):
            writer.write(b"GET /healthz HTTP/1.1\r\n" if pieces == 1 else b"x-slow: 1\r\n")
            if pieces >= http_protocol.FREE_PIECES:
                # Each further one is read by itself, and late.
                await wait_until(_has(late, pieces - http_protocol.FREE_PIECES + 1))
            else:
                await was_read(api)
        writer.write(b"host: x\r\n\r\n")
        assert await answer(reader) == ("http/1.1 200 ok", b'{"status":"ok"}')


async def test_large_headers_are_read_as_they_come(api: Api, late: list[HttpProtocol]) -> None:
    async with connection(api) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        for _ in range(30):
            writer.write(b"x-large: " + b"x" * http_protocol.SMALL_BYTES + b"\r\n")
            await was_read(api)
        writer.write(b"host: x\r\n\r\n")
        assert await answer(reader) == ("http/1.1 200 ok", b'{"status":"ok"}')
    assert not late


def _has(late: list[HttpProtocol], count: int) -> Callable[[], Awaitable[bool]]:
    async def has() -> bool:
        return len(late) >= count

    return has


@pytest.mark.usefixtures("impatient")
async def test_whoever_is_served_is_not_cut_off(api: Api) -> None:
    async with connection(api) as (reader, writer):
        body = b'{"query": "{ __typename }"}'
        writer.write(
            b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            + f"content-length: {len(body)}\r\n\r\n".encode()
        )
        async with connection(api) as (later, _):
            # A connection that opened later has been given up.
            assert (await later.read()).startswith(b"HTTP/1.1 408 ")
        writer.write(body)
        assert await answer(reader) == ("http/1.1 200 ok", b'{"data":{"__typename":"Query"}}')
    async with api.client().socket() as socket, connection(api) as (later, _):
        assert (await later.read()).startswith(b"HTTP/1.1 408 ")
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


async def test_bodies_that_never_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transport.parameters.READ_DEADLINE_S", 0.3)
    monkeypatch.setattr("transport.files.READ_DEADLINE_S", 0.3)
    token = api.client().token
    for path in ("/graphql", "/uploads"):
        async with connection(api) as (reader, writer):
            writer.write(
                f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                f"authorization: Bearer {token}\r\ncontent-length: 100\r\n\r\n{{".encode()
            )
            status, body = await answer(reader)
            assert status == "http/1.1 408 request timeout"
            assert b'"TIMEOUT"' in body


async def test_headers_in_pieces_two_at_once_and_without_end(api: Api) -> None:
    async with connection(api) as (reader, writer):
        request = HEALTH + b"x-some: header\r\n\r\n"
        for at in range(len(request)):
            writer.write(request[at : at + 1])
            await writer.drain()
        assert (await answer(reader))[0] == "http/1.1 200 ok"
        writer.write(request * 2)
        assert (await answer(reader))[0] == "http/1.1 200 ok"
        assert (await answer(reader))[0] == "http/1.1 200 ok"
    async with connection(api) as (reader, writer):
        writer.write(HEALTH + b"x-large: ")
        for _ in range(20):
            writer.write(b"x" * 8192)
        assert (await answer(reader))[0] == "http/1.1 431 request header fields too large"
