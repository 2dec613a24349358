"""Redis clients with deadlines. Redis only makes things fast: every caller lives without it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from core.settings import Settings

REDIS_DOWN = (RedisError, OSError, TimeoutError)
"""What a Redis call raises when Redis is away, in trouble or silent."""


def connection_pool(settings: Settings) -> ConnectionPool:
    """A pool for commands: every round trip has a deadline, nothing is retried behind our back."""
    return ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # untyped **kwargs
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
