"""Brings the schema to its newest revision; safe to run from many processes at once."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from db.engine import migration_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_ID = 0x6D696E74617269  # "mintari"


def upgrade(database_url: str) -> None:
    """Apply all migrations that are missing. Raises what asyncpg raises when it cannot connect."""
    asyncio.run(_upgrade(database_url))


async def _upgrade(database_url: str) -> None:
    engine = migration_engine(database_url)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:id)"), {"id": _LOCK_ID})
            await connection.commit()
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await engine.dispose()


def _run(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def head_revision() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


@functools.cache
def _known_revisions() -> tuple[str | None, frozenset[str]]:
    scripts = ScriptDirectory.from_config(_config())
    known = frozenset(script.revision for script in scripts.walk_revisions())
    return scripts.get_current_head(), known


async def is_migrated(connection: AsyncConnection) -> bool:
    """Whether the database has all that this code needs.

    One that a later release has migrated does: migrations expand first, and the processes of the
    release before go on serving until the last new one is up.
    """
    head, known = _known_revisions()
    current = await revision_of(connection)
    return current is not None and (current == head or current not in known)


async def revision_of(connection: AsyncConnection) -> str | None:
    """The revision of the database behind an open connection."""
    return await connection.run_sync(
        lambda sync: MigrationContext.configure(sync).get_current_revision()
    )
