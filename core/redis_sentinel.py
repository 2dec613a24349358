"""Sentinels say where the primary is.

Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/. redis-py's own client of
sentinels keeps a connection to each; here they are asked when a connection to the primary is made,
which is once in the life of a process and once for each fail-over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from core.redis_pools import REDIS_DOWN
from core.redis_url import Node

if TYPE_CHECKING:
    from core.redis_url import RedisUrl


class Sentinels:
    """The sentinels of one URL."""

    def __init__(self, url: RedisUrl, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._nodes = list(url.nodes)

    async def primary(self) -> Node:
        """Where the primary is now. Raises redis' ConnectionError, which says whom it asked."""
        problems: list[str] = []
        for node in list(self._nodes):
            try:
                found = await self._ask(node)
            except REDIS_DOWN as error:
                problems.append(f"{node}: {error}")
                continue
            if found:
                # It answers, so it is asked first the next time.
                self._nodes.remove(node)
                self._nodes.insert(0, node)
                return Node(*found)
            problems.append(f"{node} knows no service {self._url.service!r}")
        raise RedisConnectionError(f"no sentinel says where the primary is ({'; '.join(problems)})")

    async def _ask(self, node: Node) -> tuple[str, int] | None:
        url = self._url.of_sentinel(node)
        sentinel: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  # **kwargs
            url, socket_timeout=self._timeout_s, socket_connect_timeout=self._timeout_s
        )
        async with sentinel:
            return await sentinel.sentinel_get_master_addr_by_name(self._url.service)
