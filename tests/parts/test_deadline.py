"""Operations that take too long are ended, and nothing stays half done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from tests.client import FOLLOW, START
from tests.conftest import running_api
from tests.parts.test_streams import COMPLETE, EVENTS, opened
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from tests.client import Client, Socket
    from tests.conftest import Api

CODE = {"code": "DEADLINE_EXCEEDED"}


async def test_what_is_stuck_is_ended_and_undone(make_settings: Callable[..., Settings]) -> None:
    async with running_api(make_settings(operation_timeout_s=1)) as api:
        ann, database = api.client(), api.service.database

        async def gets_through() -> Any:
            """A machine that is busy may take longer than a second."""
            answer = await ann.ask(START, input={"prompt": "a", "variantCount": 1})
            return answer.body["data"] and answer.data["startGeneration"]["generation"]["jobs"]

        (job, *_) = await wait_until(gets_through, within_s=60)
        async with ann.socket() as socket, database.read() as looking:
            before = await rows(looking)
            async with database.transaction() as connection:
                # Quota and grid are written before the jobs: half done.
                await connection.execute(text("LOCK TABLE jobs IN SHARE MODE"))
                await mutation_is_ended(ann)
                await nothing_waits(api)
                assert await rows(looking) == before
            async with database.transaction() as connection:
                await connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
                await asyncio.gather(
                    query_is_ended(ann),
                    socket_is_told(socket, job["id"]),
                    stream_is_told(ann, job["id"]),
                )
        await wait_until(gets_through, within_s=60)


async def mutation_is_ended(ann: Client) -> None:
    answer = await ann.ask(START, input={"prompt": "b", "variantCount": 1, "idempotencyKey": "b"})
    assert (answer.status, answer.error["extensions"], "data" in answer.body) == (504, CODE, False)
    assert "longer than 1 s" in answer.error["message"]


async def query_is_ended(ann: Client) -> None:
    answer = await ann.ask("{ viewer { id } jobs { nodes { id } } }")
    assert (answer.status, answer.error["extensions"], "data" in answer.body) == (504, CODE, False)


async def socket_is_told(socket: Socket, job_id: str) -> None:
    (refused,) = [one async for one in socket.subscribe(FOLLOW, ids=[job_id])]
    assert refused["errors"][0]["extensions"] == CODE


async def stream_is_told(ann: Client, job_id: str) -> None:
    async with opened(ann, EVENTS, FOLLOW, ids=[job_id]) as stream:
        refused, end = await stream.rest()
    assert (refused["errors"][0]["extensions"], end) == (CODE, COMPLETE)


async def rows(connection: Any) -> list[int]:
    """How many there are of what a mutation writes."""
    tables = ("generations", "jobs", "rate_limit_hits", "idempotency_keys")
    counts = [await connection.execute(text(f"SELECT count(*) FROM {table}")) for table in tables]
    return [count.scalar_one() for count in counts]


async def nothing_waits(api: Api) -> None:
    """No statement is stuck any more: Postgres was told, too."""

    async def nobody() -> bool:
        async with api.service.database.read() as connection:
            statement = (
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE NOT granted AND datname = current_database()"
            )
            return (await connection.execute(text(statement))).scalar_one() == 0

    await wait_until(nobody, within_s=60)
