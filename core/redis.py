"""Redis clients with deadlines. Redis only makes things fast: every caller lives without it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from core.redis_pools import MAX_CONNECTIONS, REDIS_DOWN, FindingPool, Pool
from core.redis_sentinel import Sentinels
from core.redis_url import Layout, parse_redis_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from redis.asyncio.connection import ConnectionPool

    from core.settings import Settings

__all__ = ["REDIS_DOWN", "connection_pool", "open_redis"]


def connection_pool(settings: Settings) -> ConnectionPool:
    """A pool for commands: every round trip has a deadline, nothing is retried behind our back."""
    url = parse_redis_url(settings.redis_url)
    options = {
        "socket_timeout": settings.redis_timeout_s,
        "socket_connect_timeout": settings.redis_timeout_s,
        "max_connections": MAX_CONNECTIONS,
    }
    if url.layout is Layout.SENTINEL:
        sentinels = Sentinels(url, timeout_s=settings.redis_timeout_s)
        return FindingPool(url.of(), sentinels.primary, **options)
    return Pool.from_url(url.of(), **options)  # pyright: ignore[reportUnknownMemberType]  # **kwargs


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
