"""One abusive client: `python -m tests.bench.attacker KIND PORT TOKEN JOB_ID`, until it is ended.

Each kind does its worst in a closed loop: the next request follows the answer, on a few sockets.
Prints "ready" when it has begun; ends by itself after a minute.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import uvloop

from tests.bench.documents import FOLLOW

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ADDRESS = "127.0.0.2"
"""Of the attacker; the others are at 127.0.0.1."""
CONNECTIONS = 4
SLOW_CONNECTIONS = 200
MOST_S = 60.0
OPERATIONS = 100
"""Per socket: what a socket may have at once."""
SOCKETS = 10


class Attacker:
    """Who attacks whom."""

    def __init__(self, port: int, token: str, job_id: str) -> None:
        self._port = port
        self._token = token
        self._job_id = job_id

    async def posts(self, body: bytes) -> None:
        """The same request again and again."""
        await asyncio.gather(*(self._post_forever(body) for _ in range(CONNECTIONS)))

    async def slow_headers(self) -> None:
        """Connections whose headers never end."""
        await asyncio.gather(*(self._dribble() for _ in range(SLOW_CONNECTIONS)))

    async def never_reads(self) -> None:
        """A socket with a hundred operations that reads nothing any more."""
        _, writer = await self._socket()
        await self._subscribe(writer)
        await asyncio.sleep(MOST_S)

    async def subscriptions(self) -> None:
        """A thousand subscriptions, read as they come; whoever is cut off comes back."""
        await asyncio.gather(*(self._follow_forever() for _ in range(SOCKETS)))

    async def _post_forever(self, body: bytes) -> None:
        head = (
            "POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {self._token}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        while True:
            try:
                reader, writer = await self._connection()
                while True:
                    writer.write(head.encode() + body)
                    await writer.drain()
                    await _read_answer(reader)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                await asyncio.sleep(0.001)

    async def _dribble(self) -> None:
        while True:
            try:
                _, writer = await self._connection()
                writer.write(b"GET /graphql HTTP/1.1\r\nx-slow: ")
                while True:
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(0.2)
            except OSError:
                await asyncio.sleep(0.001)

    async def _follow_forever(self) -> None:
        while True:
            try:
                reader, writer = await self._socket()
                await self._subscribe(writer)
                while await reader.read(1 << 16):
                    pass
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.001)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=(ADDRESS, 0))

    async def _socket(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self._connection()
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            (
                f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
            ).encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        payload = {"authorization": f"Bearer {self._token}"}
        writer.write(_frame({"type": "connection_init", "payload": payload}))
        await reader.read(1000)
        return reader, writer

    async def _subscribe(self, writer: asyncio.StreamWriter) -> None:
        payload = {"query": FOLLOW, "variables": {"ids": [self._job_id]}}
        for number in range(OPERATIONS):
            writer.write(_frame({"id": str(number), "type": "subscribe", "payload": payload}))
        await writer.drain()


def _frame(message: dict[str, Any]) -> bytes:
    """A masked text frame; the mask is zero."""
    data = msgspec.json.encode(message)
    size = (
        bytes([0x80 | len(data)])
        if len(data) < 126
        else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
    )
    return b"\x81" + size + b"\0\0\0\0" + data


async def _read_answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, length = head.partition(b"content-length:")
    await reader.readexactly(int(length.partition(b"\r\n")[0]))
    if b"connection: close" in head:
        raise ValueError("the server closes")


def _body(query: str, variables: object = None) -> bytes:
    return msgspec.json.encode({"query": query, "variables": variables})


def fragment_bomb() -> bytes:
    """Thirty fragments, each of which spreads the next one twice."""
    bomb = "".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }} " for n in range(30))
    return _body(f"query {{ ...F0 }} {bomb} fragment F30 on Query {{ __typename }}")


def aliases() -> bytes:
    """Ten thousand times the same field."""
    return _body(f"{{ {' '.join(f'a{n}: __typename' for n in range(10_000))} }}")


def brackets() -> bytes:
    """A hundred thousand lists in each other."""
    return b'{"query":"{ __typename }","variables":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"


ATTACKS: dict[str, Callable[[Attacker], Awaitable[None]]] = {
    "fragment bomb": lambda attacker: attacker.posts(fragment_bomb()),
    "10,000 aliases": lambda attacker: attacker.posts(aliases()),
    "12 MB body": lambda attacker: attacker.posts(_body("{ __typename }" + " " * 12_000_000)),
    "100,000 nested brackets": lambda attacker: attacker.posts(brackets()),
    "slow headers": lambda attacker: attacker.slow_headers(),
    "a socket that never reads": lambda attacker: attacker.never_reads(),
    "1,000 subscriptions": lambda attacker: attacker.subscriptions(),
}


async def main() -> None:
    kind, port, token, job_id = sys.argv[1:]
    # It shares a core with those who measure, and runs while they do not: what it does to the
    # server is what is wanted, and with nice alone it keeps that core for a slice of ms.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    attack = asyncio.ensure_future(ATTACKS[kind](Attacker(int(port), token, job_id)))
    await asyncio.sleep(0.5)
    print("ready", flush=True)
    async with asyncio.timeout(MOST_S):
        await attack


if __name__ == "__main__":
    uvloop.run(main())
