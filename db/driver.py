"""Connections of the driver's own, for what is asked with every request.

A statement through SQLAlchemy's pool costs some 300 µs of CPU, most of it for the checkout; through
asyncpg alone 40. So what is hot is asked here, with SQL as Postgres takes it ($1); everything else
goes through `db.engine`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import asyncpg

from core.tracing import NO_TRACING, SpanKind
from db.engine import connect
from db.tracing import SYSTEM, summary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from core.settings import Settings
    from core.tracing import Tracing

MOST_CONNECTIONS = 4
"""Beside those of the engine's pool. What is asked is gathered: the rule is one statement of a kind
in flight."""
CLOSE_TIMEOUT_S = 5.0
_NOT_SENT = "cannot switch to state"
"""What asyncpg says of a statement that it did not begin."""


class _NotSentError(asyncpg.InternalClientError):
    """The connection was of no use, and Postgres has not heard of the statement."""


class Driver:
    """A few connections, each for one statement at a time. Connects when first used."""

    def __init__(self, settings: Settings, tracing: Tracing) -> None:
        self._settings = settings
        self._tracing = tracing
        self._idle: list[Any] = []
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    async def fetch(self, sql: str, *values: object) -> Sequence[Mapping[str, Any]]:
        """All rows of a statement that is a transaction of its own. Raises what asyncpg raises.

        It may be cancelled: Postgres is told, before the connection is used again.
        """
        async with self._free:
            while connection := self._take():
                with contextlib.suppress(_NotSentError):
                    return await self._fetch(connection, sql, values)
            return await self._fetch(await connect(self._settings), sql, values)

    async def _fetch(
        self, connection: Any, sql: str, values: Sequence[object]
    ) -> Sequence[Mapping[str, Any]]:
        try:
            with self._tracing.span(summary(sql), kind=SpanKind.CALL, attributes=SYSTEM):
                return await self._rows(connection, sql, values)
        except asyncpg.InternalClientError as error:
            # As https://github.com/MagicStack/asyncpg/issues/1069: it was told that Postgres ends
            # it, and has not yet seen its end.
            connection.terminate()
            if _NOT_SENT in str(error):
                raise _NotSentError from error
            raise
        finally:
            self._idle.append(connection)

    async def _rows(
        self, connection: Any, sql: str, values: Sequence[object]
    ) -> Sequence[Mapping[str, Any]]:
        if self._settings.database_statement_cache:
            return await connection.fetch(sql, *values)
        # A transaction pooler may change servers between preparing it and executing it.
        async with connection.transaction():
            return await connection.fetch(sql, *values)

    async def aclose(self) -> None:
        """Close what is open and not in use."""
        connections, self._idle = self._idle, []
        for connection in connections:
            with contextlib.suppress(Exception):
                await connection.close(timeout=CLOSE_TIMEOUT_S)

    def _take(self) -> Any:
        """A connection that was kept; a restarted Postgres leaves closed ones behind."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None


@contextlib.asynccontextmanager
async def open_driver(
    settings: Settings, tracing: Tracing = NO_TRACING
) -> AsyncGenerator[Driver, None]:
    """Open it, and close it at the end."""
    driver = Driver(settings, tracing)
    try:
        yield driver
    finally:
        await driver.aclose()
