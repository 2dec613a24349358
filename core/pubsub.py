"""One Redis pub/sub connection for a whole process, which comes back by itself.

redis-py's PubSub re-subscribes silently after a lost connection; here the owner is told, because
messages were missed then and it must read the truth again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any, cast

from core.log import get_logger
from core.redis import REDIS_DOWN, connection_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis.asyncio.connection import Connection

    from core.settings import Settings

PING_AFTER_S = 5.0
"""A silent connection is asked after this; a second silence of that length means it is dead."""
MIN_PAUSE_S, MAX_PAUSE_S = 0.05, 2.0
CONFIRM_TIMEOUT_S = 1.0

_log = get_logger(__name__)


class Subscriber:
    """Subscribes to channels and hands messages to a callback.

    Args:
        settings: where Redis is.
        on_message: called with channel and data, on the event loop; must not block.
        on_connected: called after each (re)connect, once all channels are subscribed again.
    """

    def __init__(
        self,
        settings: Settings,
        on_message: Callable[[str, bytes], None],
        on_connected: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._on_message = on_message
        self._on_connected = on_connected
        self._wanted: set[str] = set()
        self._confirmed: set[str] = set()
        self._waiters: dict[str, asyncio.Event] = {}
        self._connection: Connection | None = None
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
        await self._send("SUBSCRIBE", new)
        if self.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                    for channel in asked:
                        await self._confirmation(channel)

    async def unsubscribe(self, channels: Iterable[str]) -> None:
        """Stop listening to channels."""
        old = [channel for channel in channels if channel in self._wanted]
        self._wanted.difference_update(old)
        self._confirmed.difference_update(old)
        await self._send("UNSUBSCRIBE", old)

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
        pool = connection_pool(self._settings)
        connection = cast("Connection", pool.make_connection())
        try:
            await connection.connect()
            self._connection = connection
            self._confirmed.clear()
            await self._send("SUBSCRIBE", list(self._wanted))
            if not self._wanted:
                self._announce()
            await self._read(connection)
        finally:
            self._connection = None
            self._announced = False
            for waiter in self._waiters.values():
                waiter.set()
            self._waiters.clear()
            await connection.disconnect(nowait=True)

    async def _read(self, connection: Connection) -> None:
        silent = False
        while True:
            response = cast("Any", await connection.read_response(timeout=PING_AFTER_S))
            if response is not None:
                silent = False
                self._handle(response)
            elif silent:
                raise TimeoutError("Redis does not answer a ping")
            else:
                silent = True
                await connection.send_command("PING", check_health=False)

    def _handle(self, response: list[Any]) -> None:
        kind = response[0]
        if kind == b"message":
            self._on_message(response[1].decode(), response[2])
        elif kind == b"subscribe":
            self._confirm(response[1].decode())

    def _confirm(self, channel: str) -> None:
        self._confirmed.add(channel)
        if waiter := self._waiters.pop(channel, None):
            waiter.set()
        if not self._announced and self._confirmed >= self._wanted:
            self._announce()

    def _announce(self) -> None:
        self._announced = True
        self._on_connected()

    async def _confirmation(self, channel: str) -> None:
        if channel not in self._confirmed:
            await self._waiters.setdefault(channel, asyncio.Event()).wait()

    async def _send(self, command: str, channels: list[str]) -> None:
        if not channels or self._connection is None:
            return
        # A lost connection is noticed by the reader, which subscribes to everything again. When it
        # closes the connection under this command, redis-py trips over a writer that is None.
        with contextlib.suppress(*REDIS_DOWN, AttributeError):
            await self._connection.send_command(command, *channels, check_health=False)
