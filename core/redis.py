"""Redis clients with deadlines. Redis only makes things fast: every caller lives without it."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterParser

from core.redis_cluster import Cluster, Slots
from core.redis_pools import MAX_CONNECTIONS, REDIS_DOWN, FindingPool, Pool
from core.redis_sentinel import Sentinels
from core.redis_url import Layout, Node, RedisUrl, parse_redis_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from redis.asyncio.connection import ConnectionPool
    from redis.commands.core import AsyncScript

    from core.settings import Settings

__all__ = ["REDIS_DOWN", "connection_pool", "node_pool", "open_redis", "publishing_script"]


def connection_pool(settings: Settings) -> ConnectionPool:
    """A pool for commands: every round trip has a deadline, nothing is retried behind our back.

    Of the only server, or of the primary that sentinels know. In a Cluster: `node_pool`.
    """
    url = parse_redis_url(settings.redis_url)
    if url.layout is Layout.SENTINEL:
        find = Sentinels(url, timeout_s=settings.redis_timeout_s).primary
        return FindingPool(url.of(url.nodes[0]), find, **_options(settings))
    return node_pool(settings, url)


def node_pool(settings: Settings, url: RedisUrl, node: Node | None = None) -> ConnectionPool:
    """The same for a node of a Cluster; without `node`, for the only one."""
    options = _options(settings)
    if node is not None:
        options["parser_class"] = ClusterParser  # knows MOVED and its like
    return Pool.from_url(url.of(node), **options)  # pyright: ignore[reportUnknownMemberType]


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "socket_timeout": settings.redis_timeout_s,
        "socket_connect_timeout": settings.redis_timeout_s,
        "max_connections": MAX_CONNECTIONS,
    }


@contextlib.asynccontextmanager
async def open_redis(settings: Settings) -> AsyncGenerator[Redis, None]:
    """Open a client (lazily: the first command connects) and close it at the end."""
    url = parse_redis_url(settings.redis_url)
    if url.layout is Layout.CLUSTER:
        slots = Slots(url, timeout_s=settings.redis_timeout_s)
        client = Cluster(slots, functools.partial(node_pool, settings, url), url.nodes[0])
    else:
        client = Redis(connection_pool=connection_pool(settings))
    try:
        yield client
    finally:
        await client.aclose()
        await cast("ConnectionPool", client.connection_pool).disconnect()


def publishing_script(redis: Redis, script: str) -> AsyncScript:
    """Register a script that publishes: `{publish}` in it stands for the command.

    In a Cluster that is SPUBLISH; PUBLISH would go to all nodes.
    """
    command = "SPUBLISH" if isinstance(redis, Cluster) else "PUBLISH"
    return redis.register_script(script.replace("{publish}", command))
