"""Operations that take too long are ended, and nothing stays half done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from tests.client import FOLLOW, START
from tests.conftest import running_api

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings


async def test_a_mutation_that_is_stuck_changes_nothing(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(operation_timeout_s=1, database_pool_size=2)
    async with running_api(settings) as api:
        ann, database = api.client(), api.service.database
        async with database.transaction() as connection:
            # The quota is counted and the grid written before the jobs are: half done.
            await connection.execute(text("LOCK TABLE jobs IN SHARE MODE"))
            for _ in range(3):
                answer = await ann.ask(START, input={"prompt": "a"})
                assert answer.status == 504
                assert answer.error["extensions"] == {"code": "DEADLINE_EXCEEDED"}
                assert "longer than 1 s" in answer.error["message"]
        async with database.read() as connection:
            for table in ("generations", "jobs", "rate_limit_hits"):
                count = await connection.execute(text(f"SELECT count(*) FROM {table}"))
                assert count.scalar_one() == 0, table
        # The connections are whole, and what was ended holds no locks.
        assert (await ann.start(prompt="a"))["__typename"] == "GenerationStarted"


async def test_a_subscription_that_does_not_begin(make_settings: Callable[..., Settings]) -> None:
    async with running_api(make_settings(operation_timeout_s=0.5)) as api:
        ann = api.client()
        job_id = (await ann.started(prompt="a", variantCount=1))["jobs"][0]["id"]
        async with ann.socket() as socket:
            async with api.service.database.transaction() as connection:
                await connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
                (refused,) = [one async for one in socket.subscribe(FOLLOW, ids=[job_id])]
            assert refused["errors"][0]["extensions"] == {"code": "DEADLINE_EXCEEDED"}
            # What was given up is forgotten: the next one begins anew.
            first = await anext(socket.subscribe(FOLLOW, ids=[job_id]))
            assert first["data"]["jobProgress"]["id"] == job_id


async def test_a_query_that_is_stuck(make_settings: Callable[..., Settings]) -> None:
    async with running_api(make_settings(operation_timeout_s=0.5)) as api:
        ann = api.client()
        async with api.service.database.transaction() as connection:
            await connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
            answer = await ann.ask("{ viewer { id } jobs { nodes { id } } }")
            assert (answer.status, "data" in answer.body) == (504, False)
        assert (await ann.ask("{ jobs { nodes { id } } }")).data == {"jobs": {"nodes": []}}
