"""Reads of all requests: gathered into few statements, and one that is stuck holds up nobody."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from sqlalchemy import text

from core.ids import new_id
from db.driver import open_driver
from db.hot import read_jobs
from resolvers.reads import MOST_AT_ONCE, Gathered, open_reads
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from core.settings import Settings
    from db.records import JobRecord
    from tests.conftest import Api

WAITING = """
    SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE NOT granted AND datname = current_database()
"""


async def job_ids(api: Api) -> list[UUID]:
    grid = await api.client().started(prompt="a lake", variantCount=3)
    return [UUID(job["id"]) for job in grid["jobs"]]


async def test_what_is_asked_for_together_is_one_statement(api: Api, settings: Settings) -> None:
    ids = await job_ids(api)
    batches: list[list[UUID]] = []
    async with open_driver(settings) as driver, asyncio.TaskGroup() as tasks:

        async def read(keys: list[UUID]) -> dict[UUID, JobRecord]:
            batches.append(keys)
            return await read_jobs(driver, keys)

        jobs = Gathered(tasks, read, timeout_s=10)
        found = await asyncio.gather(*(jobs.get(key) for key in [*ids * 20, new_id()]))
        assert [job and job.id for job in found] == [*ids * 20, None]
        assert [len(batch) for batch in batches] == [4]
        await asyncio.gather(*(jobs.get(key) for key in ids * MOST_AT_ONCE))
        assert len(batches) == 4


async def test_a_statement_is_of_the_trace_of_one_that_waits_for_it() -> None:
    trace = contextvars.ContextVar[str]("trace")
    traces: list[str] = []
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def read(keys: list[UUID]) -> dict[UUID, str]:
        traces.append(trace.get())
        begun.set()
        await may_end.wait()
        return dict.fromkeys(keys, trace.get())

    async def ask(number: int) -> str | None:
        trace.set(f"of request {number}")
        return await texts.get(UUID(int=number))

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        texts = Gathered(tasks, read, timeout_s=10)
        first = tasks.create_task(ask(1))
        await begun.wait()
        later = [tasks.create_task(ask(number)) for number in (2, 3)]
        await asyncio.sleep(0)
        may_end.set()
        assert await first == "of request 1"
        assert [await one for one in later] == ["of request 2"] * 2
    assert traces == ["of request 1", "of request 2"]


async def test_a_stuck_statement_holds_up_nobody_and_ends(api: Api, settings: Settings) -> None:
    ids = await job_ids(api)
    database = api.service.database
    async with open_driver(settings) as driver:
        async with open_reads(driver, timeout_s=1) as reads, database.transaction() as connection:
            await connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
            stuck = [reads.jobs.get(ids[0])]

            async def both_wait() -> bool:
                return (await connection.execute(text(WAITING))).scalar_one() == len(stuck)

            await wait_until(both_wait)
            stuck.append(reads.jobs.get(ids[1]))
            await wait_until(both_wait)
            for one in stuck:
                with pytest.raises(TimeoutError):
                    await one
            stuck.clear()
            # Postgres was told, too.
            await wait_until(both_wait)
        async with open_reads(driver, timeout_s=10) as reads:
            found = await asyncio.gather(*map(reads.jobs.get, ids))
    assert [job and job.id for job in found] == ids


async def test_what_runs_at_the_end_is_cancelled(api: Api, settings: Settings) -> None:
    ids = await job_ids(api)
    async with (
        asyncio.timeout(20),
        api.service.database.transaction() as connection,
        open_driver(settings) as driver,
    ):
        await connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        async with open_reads(driver, timeout_s=60) as reads:
            reads.jobs.get(ids[0])

            async def waits() -> bool:
                return (await connection.execute(text(WAITING))).scalar_one() == 1

            await wait_until(waits)


@pytest.mark.parametrize("statement_cache", [0, 256])
async def test_connections_that_were_lost_are_opened_anew(
    make_settings: Callable[..., Settings], api: Api, statement_cache: int
) -> None:
    settings = make_settings(database_statement_cache=statement_cache)
    async with open_driver(settings) as driver:
        pid_of = "SELECT pg_backend_pid() AS pid"
        (first,) = await driver.fetch(pid_of)
        (again,) = await driver.fetch(pid_of)
        assert again["pid"] == first["pid"]
        async with api.service.database.transaction() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(:pid)"), dict(first))

        async def another() -> bool:
            try:
                (row,) = await driver.fetch(pid_of)
            except Exception:
                return False
            return row["pid"] != first["pid"]

        await wait_until(another)


async def test_one_that_was_ended_and_has_not_seen_its_end_is_replaced(
    make_settings: Callable[..., Settings], settings: Settings, api: Api
) -> None:
    ended = asyncio.Event()
    async with (
        relay_without_ends(settings.database_url, ended) as url,
        open_driver(make_settings(database_url=url)) as driver,
    ):
        (first,) = await driver.fetch("SELECT pg_backend_pid() AS pid")
        async with api.service.database.transaction() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(:pid)"), dict(first))
        async with asyncio.timeout(20):
            await ended.wait()
        # The driver's side has it; now let it read.
        for _ in range(5):
            await asyncio.sleep(0)
        (other,) = await driver.fetch("SELECT pg_backend_pid() AS pid")
    assert other["pid"] != first["pid"]


@contextlib.asynccontextmanager
async def relay_without_ends(database_url: str, ended: asyncio.Event) -> AsyncGenerator[str]:
    """A TCP address of an embedded Postgres; the first time it hangs up only `ended` is told."""
    parts = urlsplit(database_url)
    query = dict(parse_qsl(parts.query))
    path = f"{query['host']}/.s.PGSQL.{query['port']}"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(path)
        async with asyncio.TaskGroup() as tasks:
            upwards = tasks.create_task(pump(reader, up_writer))
            await pump(up_reader, writer)
            if ended.is_set():
                writer.close()
            ended.set()
            await upwards
        writer.close()
        up_writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(2**16):
            writer.write(data)
