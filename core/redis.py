"""Redis clients with deadlines. Redis only makes things fast: every caller lives without it."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from redis.asyncio.connection import AbstractConnection

    from core.settings import Settings

REDIS_DOWN = (RedisError, OSError, TimeoutError, RuntimeError)
"""What a Redis call raises when Redis is away, in trouble or silent.

RuntimeError is uvloop's word for a connection that was reset between two writes.
"""
SILENCE_S = 1.0
"""After a connection on which Redis said nothing, callers are spared the wait for so long."""


class _Pool(ConnectionPool):
    """Connects side by side, and not at all for a moment after Redis was silent.

    redis-py connects under one lock: with Redis in a black hole, the tenth caller waited for ten
    deadlines. There is nothing in it that two tasks could disturb.
    """

    _silent_until_s = 0.0

    async def get_connection(
        self, command_name: object = None, *keys: object, **options: object
    ) -> AbstractConnection:
        del command_name, keys, options
        if time.monotonic() < self._silent_until_s:
            raise RedisConnectionError("Redis was silent a moment ago")
        connection: Any = self.get_available_connection()
        try:
            await self.ensure_connection(connection)
        except BaseException as error:
            if isinstance(error, RedisTimeoutError):
                self._silent_until_s = time.monotonic() + SILENCE_S
            await self.release(connection)
            raise
        return connection


def connection_pool(settings: Settings) -> ConnectionPool:
    """A pool for commands: every round trip has a deadline, nothing is retried behind our back."""
    return _Pool.from_url(  # pyright: ignore[reportUnknownMemberType]  # untyped **kwargs
        settings.redis_url,
        socket_timeout=settings.redis_timeout_s,
        socket_connect_timeout=settings.redis_timeout_s,
        # Above any number of concurrent commands that one process sends.
        max_connections=256,
    )


@contextlib.asynccontextmanager
async def open_redis(settings: Settings) -> AsyncGenerator[Redis, None]:
    """Open a client (lazily: the first command connects) and close it at the end."""
    pool = connection_pool(settings)
    client = Redis(connection_pool=pool)
    try:
        yield client
    finally:
        await client.aclose()
        await pool.disconnect()
