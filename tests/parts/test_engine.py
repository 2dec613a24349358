"""Connections: what Postgres has closed is not handed out, and nobody asks Postgres about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import text

from db.engine import open_database
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from db.engine import Connection, Database

NOW = text("SELECT now()")
PID = text("SELECT pg_backend_pid()")


async def driver_of(connection: Connection) -> Any:
    return cast("Any", (await connection.get_raw_connection()).driver_connection)


async def pid_of(database: Database) -> int:
    async with database.read() as connection:
        return (await connection.execute(PID)).scalar_one()


async def test_a_connection_that_postgres_closed_is_replaced(settings: Settings) -> None:
    async with open_database(settings) as database, open_database(settings) as other:
        async with database.read() as connection:
            driver = await driver_of(connection)
            closed = (await connection.execute(PID)).scalar_one()
        async with other.transaction() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": closed})

        async def is_closed() -> bool:
            return driver.is_closed()

        await wait_until(is_closed)
        assert await pid_of(database) != closed


async def test_behind_a_pooler_a_statement_is_parsed_and_executed_in_one_transaction(
    make_settings: Callable[..., Settings],
) -> None:
    for cache, together in ((0, True), (100, False)):
        settings = make_settings(database_statement_cache=cache)
        async with open_database(settings) as database, database.read() as connection:
            # The time at which the transaction began.
            times = [(await connection.execute(NOW)).scalar_one() for _ in range(2)]
        assert (times[0] == times[1]) is together


async def test_one_that_is_open_is_used_again(settings: Settings) -> None:
    async with open_database(settings) as database:
        assert await pid_of(database) == await pid_of(database)
