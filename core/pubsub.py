"""One Redis pub/sub connection for a whole process, which comes back by itself.

redis-py opens it (TLS, passwords, sockets of a file system are its business); then hiredis reads it
straight from the transport, without redis-py's own loop around every message. When a lost
connection is back, the owner is told: messages were missed and it must read the truth again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any, cast

import hiredis

from core.log import get_logger
from core.redis import REDIS_DOWN, connection_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis.asyncio.connection import Connection, ConnectionPool

    from core.settings import Settings

PING_AFTER_S = 5.0
"""A silent connection is asked after this; a second silence of that length means it is dead."""
MIN_PAUSE_S, MAX_PAUSE_S = 0.05, 2.0
BUSY_AFTER_S, BUSY_SHARE = 0.0001, 0.1
"""Who takes longer than this to hand on what was read, and this share of the time for it,"""
BREATH_S = 0.002
"""reads again after this: each read has its price (a wake-up, a system call, a write to each
follower), and nobody sees two milliseconds."""
CONFIRM_TIMEOUT_S = 1.0

_log = get_logger(__name__)


class _Link(asyncio.Protocol):
    """An open connection: replies go to `on_reply`, the end of one read to `on_batch`."""

    def __init__(
        self,
        transport: asyncio.Transport,
        on_reply: Callable[[list[Any]], None],
        on_batch: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._on_reply = on_reply
        self._on_batch = on_batch
        self._replies = hiredis.Reader()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._handed_on_s = 0.0
        self.is_silent = False

    def data_received(self, data: bytes) -> None:
        self.is_silent = False
        began_s = time.perf_counter()
        try:
            self._replies.feed(data)
            while (reply := self._replies.gets()) is not False:
                self._on_reply(reply)
        except hiredis.ProtocolError:
            self._transport.abort()
        self._on_batch()
        self._take_breath(began_s, time.perf_counter())

    def _take_breath(self, began_s: float, ended_s: float) -> None:
        """Let messages gather while there are many of them."""
        least_s = max(BUSY_AFTER_S, BUSY_SHARE * (ended_s - self._handed_on_s))
        self._handed_on_s = ended_s
        if ended_s - began_s > least_s and not self._transport.is_closing():
            self._transport.pause_reading()
            self._loop.call_later(BREATH_S, self._resume)

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self._ended.done():
            self._ended.set_result(None)

    def send(self, *words: str) -> None:
        """Send a command."""
        if not self._transport.is_closing():
            self._transport.write(cast("Any", hiredis).pack_command(words))

    async def stay(self) -> None:
        """Return when it is lost. Raises TimeoutError when Redis is silent for too long."""
        while not self._ended.done():
            self.is_silent = True
            await asyncio.wait([self._ended], timeout=PING_AFTER_S)
            if self.is_silent and not self._ended.done():
                self.send("PING")
                await asyncio.wait([self._ended], timeout=PING_AFTER_S)
                if self.is_silent and not self._ended.done():
                    raise TimeoutError("Redis does not answer a ping")


class Subscriber:
    """Subscribes to channels and hands messages to a callback.

    Args:
        settings: where Redis is.
        on_message: called with channel and data, on the event loop; must not block.
        on_connected: called after each (re)connect, once all channels are subscribed again.
        on_batch: called after all messages of one read from the network.
    """

    def __init__(
        self,
        settings: Settings,
        on_message: Callable[[bytes, bytes], None],
        on_connected: Callable[[], None] = lambda: None,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._on_message = on_message
        self._on_connected = on_connected
        self._on_batch = on_batch
        self._wanted: set[str] = set()
        self._confirmed: set[str] = set()
        self._waiters: dict[str, asyncio.Event] = {}
        self._link: _Link | None = None
        self._announced = False

    @property
    def connected(self) -> bool:
        """Whether messages arrive right now."""
        return self._announced

    async def subscribe(self, channels: Iterable[str]) -> None:
        """Listen to channels; returns when Redis has confirmed them, or does not answer.

        Without an answer the channels stay wanted: `on_connected` is called when they hold.
        """
        asked = list(channels)
        new = [channel for channel in asked if channel not in self._wanted]
        self._wanted.update(new)
        self._send("SUBSCRIBE", new)
        if self.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                    for channel in asked:
                        await self._confirmation(channel)

    def unsubscribe(self, channels: Iterable[str]) -> None:
        """Stop listening to channels."""
        old = [channel for channel in channels if channel in self._wanted]
        self._wanted.difference_update(old)
        self._confirmed.difference_update(old)
        self._send("UNSUBSCRIBE", old)

    async def run(self) -> None:
        """Connect, read and reconnect until cancelled."""
        pause_s = MIN_PAUSE_S
        while True:
            try:
                await self._session()
            except REDIS_DOWN as error:
                if self._announced or pause_s == MIN_PAUSE_S:
                    _log.warning("redis pub/sub lost, reconnecting", error=type(error).__name__)
                if self._announced:
                    pause_s = MIN_PAUSE_S
                self._announced = False
                # Jitter: all processes lost Redis at the same moment.
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311
                pause_s = min(pause_s * 2, MAX_PAUSE_S)

    async def _session(self) -> None:
        connection = cast("Connection", self._pool().make_connection())
        try:
            await connection.connect()
            transport = _transport_of(connection)
            link = _Link(transport, self._handle, self._on_batch)
            transport.set_protocol(link)
            self._link = link
            self._confirmed.clear()
            self._send("SUBSCRIBE", list(self._wanted))
            if not self._wanted:
                self._announce()
            await link.stay()
            raise ConnectionResetError("Redis closed the connection")
        finally:
            self._link = None
            self._announced = False
            self._release_waiters()
            await connection.disconnect(nowait=True)

    def _pool(self) -> ConnectionPool:
        return connection_pool(self._settings)

    def _release_waiters(self) -> None:
        for waiter in self._waiters.values():
            waiter.set()
        self._waiters.clear()

    def _handle(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):
            _log.error("redis refused a pub/sub command", error=str(reply))
        elif reply[0] == b"message":
            self._on_message(reply[1], reply[2])
        elif reply[0] == b"subscribe":
            self._confirm(reply[1].decode())

    def _confirm(self, channel: str) -> None:
        self._confirmed.add(channel)
        if waiter := self._waiters.pop(channel, None):
            waiter.set()
        self._announce_when_complete()

    def _announce_when_complete(self) -> None:
        if not self._announced and self._confirmed >= self._wanted:
            self._announce()

    def _announce(self) -> None:
        self._announced = True
        self._on_connected()

    async def _confirmation(self, channel: str) -> None:
        if channel not in self._confirmed:
            await self._waiters.setdefault(channel, asyncio.Event()).wait()

    def _send(self, command: str, channels: list[str]) -> None:
        # A lost connection is noticed by `stay`; then everything is subscribed to again.
        if channels and self._link is not None:
            self._link.send(command, *channels)


def _transport_of(connection: Connection) -> asyncio.Transport:
    """What redis-py has connected; it offers no other way to read without its streams."""
    writer = connection._writer  # pyright: ignore[reportPrivateUsage]
    assert writer is not None
    return cast("asyncio.Transport", writer.transport)
