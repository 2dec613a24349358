"""Connections: what Postgres has closed is not handed out, and nobody asks Postgres about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import text

from db.engine import open_database
from tests.waiting import wait_until

if TYPE_CHECKING:
    from core.settings import Settings
    from db.engine import Connection, Database

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


async def test_one_that_is_open_is_used_again(settings: Settings) -> None:
    async with open_database(settings) as database:
        assert await pid_of(database) == await pid_of(database)
