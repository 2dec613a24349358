"""Stands between the product and Valkey, so that the network itself can fail."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

CHUNK_BYTES = 2**16
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Mode(Enum):
    """What happens to connections."""

    FORWARD = "forward"
    REFUSE = "nobody listens"
    RESET = "taken, then reset"
    BLACK_HOLE = "taken, and nothing ever answers"


class RedisProxy:
    """A TCP proxy in a thread of its own; `url` is what the product is given."""

    def __init__(self, upstream_url: str) -> None:
        self._upstream_path = unquote(urlsplit(upstream_url).path)
        self._mode = Mode.FORWARD
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._forwarding = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(lambda: self._apply(Mode.FORWARD))

    def switch(self, mode: Mode) -> None:
        """Change what happens; returns when it holds."""
        self._call(lambda: self._apply(mode))

    def close(self) -> None:
        """Cut everything and end the thread."""
        self.switch(Mode.REFUSE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, make: Callable[[], Coroutine[None, None, None]]) -> None:
        asyncio.run_coroutine_threadsafe(make(), self._loop).result(10)

    async def _apply(self, mode: Mode) -> None:
        self._mode = mode
        if mode is Mode.FORWARD:
            self._forwarding.set()
        else:
            self._forwarding.clear()
        if mode in (Mode.REFUSE, Mode.RESET):
            for writer in list(self._writers):
                _reset(writer)
        if mode is Mode.REFUSE:
            await self._stop_listening()
        elif self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._kept(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if self._mode is Mode.RESET:
                _reset(writer)
                return
            up_reader, up_writer = await asyncio.open_unix_connection(self._upstream_path)
            with self._kept(up_writer):
                await self._pump_both(reader, writer, up_reader, up_writer)

    async def _pump_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        ways = {
            asyncio.ensure_future(self._pump(reader, up_writer)),
            asyncio.ensure_future(self._pump(up_reader, writer)),
        }
        _, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in rest:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            # In a black hole the connection stays open, and what was sent is lost in it.
            if self._mode is Mode.BLACK_HOLE:
                await self._forwarding.wait()
                return
            writer.write(data)
            await writer.drain()

    @contextlib.contextmanager
    def _kept(self, writer: asyncio.StreamWriter) -> Generator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection.family == socket.AF_INET:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
