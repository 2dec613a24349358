"""The migrations make exactly the tables that the code knows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from db.engine import migration_engine
from db.migrate import head_revision, revision_of, upgrade
from db.tables import metadata
from tests.servers import create_database_from_template, drop_database

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tests.servers import PostgresForTests


async def test_tables_are_as_the_code_says(database_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return compare_metadata(context, metadata)

    engine = migration_engine(database_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_many_processes_may_migrate_at_once(postgres: PostgresForTests) -> None:
    url = await create_database_from_template(postgres, "template0", "migrated_by_many")
    try:
        await asyncio.gather(*(asyncio.to_thread(upgrade, url) for _ in range(4)))
        engine = migration_engine(url)
        async with engine.connect() as connection:
            assert await revision_of(connection) == head_revision() is not None
        await engine.dispose()
    finally:
        await drop_database(postgres, "migrated_by_many")
