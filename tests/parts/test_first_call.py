"""Between the claim of a job and its provider's call: who dies or is told to stop there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import text

from db.jobs import read_job
from db.ledger import read_calls
from db.lifecycle import claim, reap
from jobs.reporter import Outbox
from jobs.runner import Runner
from mintari.service import open_kit
from mintari.standins import gemini
from mintari.standins.running import RunningStandIn, running
from tests.conftest import Api, running_api, running_worker
from tests.parts.standin_fixtures import KEY
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from core.settings import Settings
    from db.records import CallRecord, Work

LOCK = text("SELECT FROM jobs WHERE id = :id FOR UPDATE")
HOLD = text("SELECT pg_sleep(1)")
START = {"prompt": "a hill", "variantCount": 1}


@dataclass(frozen=True)
class Parts:
    """An API, a stand-in for the provider, and the settings of both."""

    api: Api
    stand_in: RunningStandIn
    settings: Settings

    async def calls(self, job_id: UUID) -> list[CallRecord]:
        async with self.api.service.database.read() as connection:
            return await read_calls(connection, job_id)

    async def claimed(self, job_id: UUID, *call_now: str, attempt: int = 0) -> Work | None:
        """Claim as a worker that is never heard of again."""
        async with self.api.service.database.read() as connection:
            return await claim(
                connection, job_id, attempt, worker="dead", lease_s=0, call_now=call_now
            )

    async def job(self, **wanted: Any) -> UUID:
        generation = await self.api.client("ann").started(**{**START, **wanted})
        return UUID(generation["jobs"][0]["id"])

    async def ends(self, job_id: UUID) -> list[dict[str, Any]]:
        async with running_worker(self.settings):
            return await self.api.client("ann").follow_to_end(str(job_id))


@pytest.fixture
def parts(make_settings: Callable[..., Settings]) -> Callable[..., Any]:
    @asynccontextmanager
    async def open_parts(**changes: Any) -> AsyncGenerator[Parts]:
        with running(gemini.application()) as stand_in:
            settings = make_settings(
                gen_provider="gemini",
                gemini_api_key=KEY,
                gemini_base_url=stand_in.url,
                sweep_interval_s=0.1,
                **changes,
            )
            async with running_api(settings) as api:
                yield Parts(api, stand_in, settings)

    return open_parts


async def test_a_first_claim_enters_its_call(parts: Callable[..., Any]) -> None:
    async with parts() as one:
        job_id = await one.job()
        work = await one.claimed(job_id, "gemini", "local")
        assert work is not None
        assert work.call_entered
        (call,) = await one.calls(job_id)
    assert (call.attempt, call.provider, call.outcome) == (1, "gemini", "STARTED")


async def test_no_call_is_entered_that_is_not_made_at_once(
    parts: Callable[..., Any], photo: bytes
) -> None:
    async with parts() as one:
        elsewhere = await one.job()
        with_photo = await one.job(uploadId=await one.api.client("ann").upload(photo))
        for job_id, provider in ((elsewhere, "local"), (with_photo, "gemini")):
            work = await one.claimed(job_id, provider)
            assert work is not None
            assert not work.call_entered
            assert await one.calls(job_id) == []
            # Somebody else has it now.
            assert await one.claimed(job_id, provider) is None
            assert await one.calls(job_id) == []


async def test_who_takes_over_a_job_looks_at_its_calls_first(parts: Callable[..., Any]) -> None:
    async with parts(gen_on_unknown_outcome="retry") as one:
        job_id = await one.job()
        assert await one.claimed(job_id, "gemini")
        seen = await one.ends(job_id)
        calls = await one.calls(job_id)
        assert one.stand_in.counts()["started"] == 1
    assert seen[-1]["state"] == "SUCCESS"
    assert [(call.attempt, call.outcome) for call in calls] == [(2, "SUCCEEDED"), (1, "UNKNOWN")]


async def test_a_call_that_may_have_been_made_is_not_repeated_unasked(
    parts: Callable[..., Any],
) -> None:
    async with parts(gen_on_unknown_outcome="stop") as one:
        job_id = await one.job()
        assert await one.claimed(job_id, "gemini")
        seen = await one.ends(job_id)
        assert one.stand_in.counts()["started"] == 0
    assert seen[-1]["error"]["code"] == "OUTCOME_UNKNOWN"


async def test_a_call_that_cannot_have_been_made_is_made(parts: Callable[..., Any]) -> None:
    """Killed before the ledger was written: even the strict setting has nothing to fear."""
    async with parts(gen_on_unknown_outcome="stop") as one:
        job_id = await one.job()
        assert await one.claimed(job_id)
        seen = await one.ends(job_id)
        assert one.stand_in.counts()["started"] == 1
    assert seen[-1]["state"] == "SUCCESS"


@asynccontextmanager
async def runner_of(settings: Settings) -> AsyncGenerator[Runner]:
    """A worker's runner alone, its providers known to be well."""
    async with open_kit(settings) as kit, asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(kit.breakers.watch(kit.providers))

        async def well() -> bool:
            return "gemini" in kit.breakers.well

        await wait_until(well)
        yield Runner(kit, Outbox(kit.publisher), tasks, asyncio.Event())
        watching.cancel()


async def test_a_claim_that_is_answered_after_its_lease_calls_nobody(
    parts: Callable[..., Any],
) -> None:
    """As in a worker that was frozen while it waited for the answer."""
    async with parts(lease_s=0.5) as one:
        job_id = await one.job()
        async with runner_of(one.settings) as runner:
            async with one.api.service.database.transaction() as connection:
                await connection.execute(LOCK, {"id": job_id})
                runner.start(job_id, 0)
                await connection.execute(HOLD)
            await runner.drain(20)
        assert one.stand_in.counts()["started"] == 0
        (call,) = await one.calls(job_id)
        assert (call.attempt, call.outcome) == (1, "STARTED")


async def test_an_attempt_that_lost_its_job_here_leaves_the_next_one_alone(
    parts: Callable[..., Any],
) -> None:
    """As after a heartbeat that failed for too long: the same process may claim the job again."""
    async with parts(lease_s=0.5) as one:
        job_id = await one.job(prompt="a hill [slow 3]")
        database = one.api.service.database

        async def taken_back() -> bool:
            async with database.transaction() as connection:
                return bool(await reap(connection, max_crashes=9))

        async def called(times: int) -> bool:
            return one.stand_in.counts()["started"] == times

        async with runner_of(one.settings) as runner:
            runner.start(job_id, 0)
            await wait_until(lambda: called(1))
            await wait_until(taken_back)
            runner.start(job_id, 1)
            await wait_until(lambda: called(2))
            await runner.drain(20)
            assert runner.running == 0
        calls = await one.calls(job_id)
        async with database.read() as connection:
            job = await read_job(connection, job_id)
    assert job
    assert (job.state, job.attempt) == ("SUCCESS", 2)
    assert [(call.attempt, call.outcome) for call in calls] == [(2, "SUCCEEDED"), (1, "UNKNOWN")]


async def has_slots(runner: Runner, settings: Settings) -> bool:
    return runner.free_slots() == settings.concurrency


async def test_a_stop_that_overtakes_the_claim_keeps_the_call_from_being_made(
    parts: Callable[..., Any],
) -> None:
    async with parts(gen_on_unknown_outcome="stop", lease_s=0.6) as one:
        before, job_id = await one.job(), await one.job(prompt="a lake")
        async with runner_of(one.settings) as runner:
            # A first one, so that there is an open connection to call over.
            runner.start(before, 0)
            await one.api.client("ann").follow_to_end(str(before))
            await wait_until(lambda: has_slots(runner, one.settings))
            runner.start(job_id, 0)
            # The claim is on its way, and its job is not known here yet.
            assert runner.running == 0
            runner.stop(job_id)
            await runner.drain(20)
        assert one.stand_in.counts()["started"] == 1
        (call,) = await one.calls(job_id)
        assert (call.attempt, call.outcome) == (1, "CANCELLED")
        # Whoever has the job next knows that nothing was bought.
        seen = await one.ends(job_id)
        assert one.stand_in.counts()["started"] == 2
        calls = await one.calls(job_id)
    assert seen[-1]["state"] == "SUCCESS"
    assert [(call.attempt, call.outcome) for call in calls] == [(2, "SUCCEEDED"), (1, "CANCELLED")]
