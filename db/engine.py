"""Connections to Postgres: one engine per process, transactions as `async with` blocks."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, cast

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from db.tracing import trace_statements

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from core.settings import Settings
    from core.tracing import Tracing

# asyncpg ships no types.
_asyncpg_connect = cast("Callable[..., Awaitable[object]]", asyncpg.connect)  # pyright: ignore[reportUnknownMemberType]
CONNECT_TIMEOUT_S = 10.0
POOL_TIMEOUT_S = 10.0

_DOWN = (
    OSError,
    TimeoutError,
    PoolTimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TooManyConnectionsError,
)


def is_database_down(error: BaseException) -> bool:
    """Whether an exception says that Postgres is away, so that the same call may work later."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    while cause is not None and not isinstance(cause, _DOWN):
        cause = cause.__cause__
    return cause is not None


Connection = AsyncConnection
"""An open connection; what the functions of this package take."""


class Database:
    """Hands out connections. One per process; safe to share between tasks."""

    def __init__(self, engine: AsyncEngine, *, prepares: bool) -> None:
        self._engine = engine
        self._prepares = prepares

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection, None]:
        """One transaction: commits at the end of the block, rolls back on any exception."""
        async with self._engine.begin() as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncGenerator[Connection, None]:
        """A connection in autocommit mode: each statement stands alone, no BEGIN, no COMMIT."""
        if not self._prepares:
            # A transaction pooler may parse a statement on one server and execute it on another.
            async with self.transaction() as connection:
                yield connection
            return
        async with self._engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def dispose(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


@contextlib.asynccontextmanager
async def open_database(
    settings: Settings, tracing: Tracing | None = None
) -> AsyncGenerator[Database, None]:
    """Open the pool (lazily: the first statement connects) and close it at the end."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connect(settings),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        # Parameters are users' prompts: they do not belong into errors and logs.
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    if tracing is not None and tracing.is_on:
        trace_statements(engine, tracing)
    database = Database(engine, prepares=settings.database_statement_cache > 0)
    try:
        yield database
    finally:
        await database.dispose()


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool connect anew for a connection that Postgres has closed, as a restart does.

    The driver has noticed by itself: asking Postgres (`pool_pre_ping`) costs a round trip for
    every connection that is handed out.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


async def connect(settings: Settings) -> object:
    """Open one connection of the driver's, as this service needs it."""
    return await _asyncpg_connect(
        asyncpg_dsn(settings.database_url),
        timeout=CONNECT_TIMEOUT_S,
        statement_cache_size=settings.database_statement_cache,
        server_settings={
            "application_name": "mintari",
            "statement_timeout": str(settings.database_statement_timeout_ms),
            # A transaction left open by a frozen process must not hold its locks for ever.
            "idle_in_transaction_session_timeout": str(settings.database_statement_timeout_ms),
            "jit": "off",
        },
    )


def migration_engine(database_url: str) -> AsyncEngine:
    """An engine without a pool and without deadlines, for migrations."""
    dsn = asyncpg_dsn(database_url)

    async def connect() -> object:
        return await _asyncpg_connect(
            dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=None, statement_cache_size=0
        )

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)


def asyncpg_dsn(database_url: str) -> str:
    """Accept the spellings that hosts hand out: postgres://, postgresql+asyncpg://."""
    scheme, separator, rest = database_url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgres", "postgresql"):
        raise ValueError("DATABASE_URL must start with postgresql://")
    return f"postgresql://{rest}"
