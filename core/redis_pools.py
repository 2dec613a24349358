"""Connections to Redis with deadlines, to a fixed server or to one that is looked up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from redis.asyncio.connection import AbstractConnection

    from core.redis_url import Node

REDIS_DOWN = (RedisError, OSError, TimeoutError, RuntimeError)
"""What a Redis call raises when Redis is away, in trouble or silent.

RuntimeError is uvloop's word for a connection that was reset between two writes.
"""
SILENCE_S = 1.0
"""After a connection on which Redis said nothing, callers are spared the wait for so long."""
MAX_CONNECTIONS = 256
"""Above any number of concurrent commands that one process sends."""


class Pool(ConnectionPool):
    """Connects side by side, and not at all for a moment after Redis was silent.

    redis-py connects under one lock: with Redis in a black hole, the tenth caller waited for ten
    deadlines. There is nothing in it that two tasks could disturb.
    """

    _silent_until_s = 0.0

    async def get_connection(
        self, command_name: object = None, *keys: object, **options: object
    ) -> AbstractConnection:
        """A connection that works. Raises what REDIS_DOWN names."""
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


class _Finding(Connection):
    """Asks where the server is each time it connects."""

    def __init__(self, *, find: Callable[[], Awaitable[Node]], **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]  # **kwargs
        self._find = find

    async def connect(self) -> None:
        """Ask, then connect."""
        if not self.is_connected:
            self.host, self.port = await self._find()
            await super().connect()

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """As redis-py's, and leaves a server that is a replica by now."""
        try:
            return cast("Any", await super().read_response(*args, **options))
        except ReadOnlyError as error:
            # What was looked for is elsewhere by now: connect anew, ask anew.
            await self.disconnect()
            raise RedisConnectionError("this server is no longer the primary") from error


class _FindingWithTls(_Finding, SSLConnection):
    pass


class FindingPool(Pool):
    """A pool for a server that moves: `find` says where it is now."""

    def __init__(self, url: str, find: Callable[[], Awaitable[Node]], **options: Any) -> None:
        of_url = cast("dict[str, Any]", parse_url(url))
        has_tls = of_url.pop("connection_class", None) is SSLConnection
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  # **kwargs
            connection_class=_FindingWithTls if has_tls else _Finding,
            find=self._found,
            **{**options, **of_url},
        )
        self._find = find
        self._node: Node | None = None

    async def _found(self) -> Node:
        node = await self._find()
        if node != self._node:
            self._node = node
            # Idle connections to a server that went silent would cost a deadline each.
            await self.disconnect(inuse_connections=False)
        return node
