"""A load balancer for tests: connections take turns, and pass over who does not listen."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

CHUNK_BYTES = 65_536


class Balancer:
    """Where it listens, and which port got each connection so far."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.url = ""
        self.taken: list[int] = []
        self._count = len(ports)
        self._turns = itertools.cycle(ports)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways, until one side ends it."""
        for _ in range(self._count):
            port = next(self._turns)
            with contextlib.suppress(OSError):
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
                self.taken.append(port)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(_copy(reader, inner_writer))
                        tasks.create_task(_copy(inner_reader, writer))
                finally:
                    inner_writer.close()
                break
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def balancing(*ports: int) -> AsyncGenerator[Balancer, None]:
    """A balancer in front of these ports of this machine."""
    balancer = Balancer(ports)
    server = await asyncio.start_server(balancer.pass_on, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    balancer.url = f"http://{host}:{port}"
    try:
        yield balancer
    finally:
        server.close()
