"""The real servers that tests run against, and how to break them."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from mintari.embedded import (
    TEST_SETTINGS,
    PostgresServer,
    RunningServer,
    open_valkey,
)
from mintari.embedded.identity import unprivileged_user

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class PostgresForTests(RunningServer):
    """A PostgreSQL that is thrown away: no durability, 200 connections."""

    def __init__(self, folder: Path) -> None:
        self._postgres = PostgresServer(folder, settings=TEST_SETTINGS)
        super().__init__(self._postgres)

    def database_url(self, database: str) -> str:
        """The address of one database."""
        return self._postgres.database_url(database)


@contextmanager
def server_folder() -> Generator[Path]:
    """A temporary folder that the servers' user can reach (pytest's tmp_path is not, as root)."""
    folder = Path(tempfile.mkdtemp(prefix="mintari-"))
    if unprivileged_user() is not None:
        folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_server() -> Generator[PostgresForTests]:
    """A PostgreSQL of its own for a test session, in 0.8 s; `.url` is an empty database."""
    with server_folder() as folder, PostgresForTests(folder) as server:
        yield server


@contextmanager
def valkey_server(*, save: bool = False) -> Generator[RunningServer]:
    """A Valkey of its own, in 0.1 s: `.url`, `.kill()`, `.start()`, `.pause()`, `.resume()`.

    Without `save` it comes back empty after `.stop()` or `.kill()`.
    """
    with server_folder() as folder, open_valkey(folder, save=save) as server:
        yield server


async def create_database_from_template(server: PostgresForTests, template: str, name: str) -> str:
    """Clone the database `template` (nobody may be connected to it) and return the clone's URL."""
    await _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
    return server.database_url(name)


async def drop_database(server: PostgresForTests, name: str) -> None:
    """Remove a database, and whoever is still connected to it."""
    await _execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _execute(server: PostgresForTests, statement: str) -> None:
    url = server.database_url("postgres").replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()


def until(condition: Callable[[], bool], *, within_s: float = 15) -> None:
    """Wait for a condition outside of asyncio. Fails when it does not come true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"did not come true within {within_s} s"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
