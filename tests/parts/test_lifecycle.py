"""A job's life in Postgres: one holder at a time, stale writers locked out, ends that stay."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.version import STEPS_PER_EPOCH, next_epoch, next_step
from core.vocabulary import ErrorCode, FallOverReason, JobState, ProgressKind, Stage
from db.audit import AuditEntry, Decision, record_audit
from db.engine import Database, open_database
from db.jobs import read_job
from db.ledger import begin_call, end_call, read_calls
from db.lifecycle import (
    Beat,
    Finish,
    LeaseLostError,
    cancel_job,
    claim,
    claim_overdue,
    end_hold,
    fail,
    fall_over,
    heartbeat,
    hold,
    reap,
    release,
    retry_later,
    succeed,
    take_over,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from core.settings import Settings
    from db.engine import Connection
    from db.records import JobRecord
    from tests.conftest import Api

FINISH = Finish(
    image_key="images/a/1.webp",
    thumbnail_key="images/a/1-thumbnail.webp",
    thumbhash="aGVsbG8=",
    content_type="image/webp",
    width_px=512,
    height_px=512,
    size_bytes=9,
    digest="0" * 64,
    seed=1,
    model="m",
    generation_time_ms=5,
)


ELSEWHERE: dict[str, Any] = {
    "provider": "banana",
    "model": "m",
    "progress_kind": ProgressKind.INDETERMINATE,
    "reason": FallOverReason.OVERLOADED,
    "failed": True,
}


@pytest.fixture
async def database(settings: Settings) -> AsyncGenerator[Database, None]:
    async with open_database(settings) as opened:
        yield opened


@pytest.fixture
async def job_id(api: Api) -> UUID:
    """A pending job of ann's; no worker runs."""
    generation = await api.client("ann").started(prompt="a", variantCount=1)
    return UUID(generation["jobs"][0]["id"])


@asynccontextmanager
async def writing(database: Database) -> AsyncGenerator[Connection, None]:
    async with database.transaction() as connection:
        yield connection


async def claimed(
    database: Database, job_id: UUID, attempt: int = 0, worker: str = "w", lease_s: float = 30
) -> JobRecord | None:
    async with writing(database) as connection:
        work = await claim(connection, job_id, attempt, worker=worker, lease_s=lease_s)
        return work.job if work else None


async def job_now(database: Database, job_id: UUID) -> JobRecord:
    async with database.read() as connection:
        job = await read_job(connection, job_id)
    assert job
    return job


def beat(job: JobRecord, **changes: Any) -> Beat:
    values: dict[str, Any] = {
        "version": next_step(job.version),
        "progress": 40,
        "progress_kind": ProgressKind.MEASURED,
        "stage": Stage.GENERATING,
        "preview_key": None,
        **changes,
    }
    return Beat(id=job.id, attempt=job.attempt, **values)


async def test_one_of_many_claims_wins(database: Database, job_id: UUID) -> None:
    results = await asyncio.gather(*(claimed(database, job_id, worker=f"w{n}") for n in range(9)))
    (winner,) = [job for job in results if job]
    assert winner.state is JobState.RUNNING
    assert winner.attempt == 1
    assert winner == await job_now(database, job_id)


async def test_overdue_jobs_are_shared_out(database: Database, api: Api) -> None:
    generation = await api.client("ann").started(prompt="a", variantCount=3)

    async def take(worker: str) -> list[JobRecord]:
        async with writing(database) as connection:
            claimed = await claim_overdue(
                connection, overdue_s=0, limit=2, worker=worker, lease_s=30
            )
            return [work.job for work in claimed]

    taken = [job for jobs in await asyncio.gather(take("a"), take("b")) for job in jobs]
    assert sorted(str(job.id) for job in taken) == sorted(job["id"] for job in generation["jobs"])


STALE_WRITES: list[Callable[[Connection, UUID], Awaitable[object]]] = [
    lambda connection, job_id: succeed(connection, job_id, 1, FINISH),
    lambda connection, job_id: fail(connection, job_id, 1, error_code=ErrorCode.TIMEOUT),
    lambda connection, job_id: retry_later(connection, job_id, 1, delay_s=0),
    lambda connection, job_id: release(connection, job_id, 1),
    lambda connection, job_id: fall_over(connection, job_id, 1, **ELSEWHERE),
    lambda connection, job_id: hold(
        connection, job_id, 1, delay_s=0, at_most_s=9, error_code=ErrorCode.PROVIDER_PAUSED
    ),
    lambda connection, job_id: begin_call(connection, job_id, 1),
]
"""Everything that the first attempt may try to write about a job."""


async def test_a_stale_attempt_can_write_nothing(database: Database, job_id: UUID) -> None:
    stale = await claimed(database, job_id, lease_s=0)
    assert stale
    async with writing(database) as connection:
        (reaped,) = await reap(connection, max_crashes=3)
    assert (reaped.state, reaped.crash_count) == (JobState.PENDING, 1)
    current = await claimed(database, job_id, attempt=1)
    assert current
    assert current.attempt == 2

    async with writing(database) as connection:
        assert await heartbeat(connection, [beat(stale)], lease_s=30) == frozenset()
    for write in STALE_WRITES:
        with pytest.raises(LeaseLostError):
            async with writing(database) as connection:
                await write(connection, job_id)
    assert await job_now(database, job_id) == current


async def test_progress_only_grows(database: Database, job_id: UUID) -> None:
    job = await claimed(database, job_id)
    assert job
    steps = [(job.version + 5, 50), (job.version + 3, 30)]
    for version, progress in steps:
        async with writing(database) as connection:
            kept = await heartbeat(
                connection, [beat(job, version=version, progress=progress)], lease_s=30
            )
        assert kept == {job_id}
    now = await job_now(database, job_id)
    assert (now.progress, now.version) == (50, job.version + 5)
    # A second attempt starts where the first one stood.
    async with writing(database) as connection:
        waiting = await retry_later(connection, job_id, 1, delay_s=0)
    assert (waiting.state, waiting.progress, waiting.retry_count) == (JobState.PENDING, 50, 1)
    assert waiting.version == next_epoch(now.version)


async def test_a_job_is_held_for_so_long_since_its_last_try(
    database: Database, job_id: UUID
) -> None:
    async def held(attempt: int, *, delay_s: float, at_most_s: float) -> JobRecord:
        assert await claimed(database, job_id, attempt=attempt)
        code = ErrorCode.PROVIDER_PAUSED
        async with writing(database) as connection:
            return await hold(
                connection,
                job_id,
                attempt + 1,
                delay_s=delay_s,
                at_most_s=at_most_s,
                error_code=code,
            )

    first = await held(0, delay_s=0, at_most_s=60)
    assert (first.state, first.stage, first.retry_count) == (JobState.PENDING, Stage.QUEUED, 0)
    assert first.started_at is None
    # A real try starts the wait anew.
    assert await claimed(database, job_id, attempt=1)
    async with writing(database) as connection:
        await retry_later(connection, job_id, 2, delay_s=0)
    assert (await held(2, delay_s=20, at_most_s=30)).state is JobState.PENDING
    assert await claimed(database, job_id, attempt=3) is None
    async with writing(database) as connection:
        assert await end_hold(connection, "banana") == []
        assert await end_hold(connection, first.provider) == [(job_id, 3)]
    last = await held(3, delay_s=31, at_most_s=30)
    assert (last.state, last.error_code) == (JobState.FAILED, ErrorCode.PROVIDER_PAUSED)
    assert last.stage is None


async def test_a_fall_over_says_who_was_asked_first_and_why(
    database: Database, job_id: UUID
) -> None:
    before = await claimed(database, job_id)
    assert before
    async with writing(database) as connection:
        await fall_over(connection, job_id, 1, **ELSEWHERE)
    assert await claimed(database, job_id, attempt=1)
    changes: dict[str, Any] = {
        "provider": "openai",
        "reason": FallOverReason.PAUSED,
        "failed": False,
    }
    async with writing(database) as connection:
        job = await fall_over(connection, job_id, 2, **{**ELSEWHERE, **changes})

    assert (job.requested_provider, job.provider) == (before.provider, "openai")
    assert job.fall_over_reason is FallOverReason.OVERLOADED
    assert (job.retry_count, job.provider_retries) == (1, 0)
    assert (job.state, job.started_at) == (JobState.PENDING, None)


async def test_a_crash_loop_ends(database: Database, job_id: UUID) -> None:
    for attempt in range(3):
        assert await claimed(database, job_id, attempt=attempt, lease_s=0)
        async with writing(database) as connection:
            await reap(connection, max_crashes=3)
    job = await job_now(database, job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, ErrorCode.WORKER_CRASHED)
    assert await claimed(database, job_id, attempt=3) is None


async def test_a_restarted_worker_frees_only_its_own_leases(database: Database, api: Api) -> None:
    generation = await api.client("ann").started(prompt="a", variantCount=2)
    first, second = (UUID(job["id"]) for job in generation["jobs"])
    assert await claimed(database, first, worker="one")
    assert await claimed(database, second, worker="two")
    async with writing(database) as connection:
        await begin_call(connection, first, 1)
    async with writing(database) as connection:
        (freed,) = await take_over(connection, worker="one", max_crashes=3)
    assert (freed.id, freed.state) == (first, JobState.PENDING)
    assert (await job_now(database, second)).state is JobState.RUNNING
    # Its call has an unknown outcome now: it may have been billed.
    async with database.read() as connection:
        (call,) = await read_calls(connection, first)
    assert call.outcome == "UNKNOWN"


async def test_no_second_call_in_one_attempt(database: Database, job_id: UUID) -> None:
    assert await claimed(database, job_id)
    async with writing(database) as connection:
        await begin_call(connection, job_id, 1)
    with pytest.raises(IntegrityError):
        async with writing(database) as connection:
            await begin_call(connection, job_id, 1)
    async with writing(database) as connection:
        await end_call(connection, job_id, 1, "SUCCEEDED", usage={"tokens": 3.0})


ENDS = ["SUCCESS", "FAILED", "CANCELLED"]


@pytest.mark.parametrize("end", ENDS)
async def test_what_has_ended_stays_as_it_is(database: Database, job_id: UUID, end: str) -> None:
    assert await claimed(database, job_id)
    async with writing(database) as connection:
        if end == "SUCCESS":
            await succeed(connection, job_id, 1, FINISH)
        elif end == "FAILED":
            await fail(connection, job_id, 1, error_code=ErrorCode.TIMEOUT)
        else:
            await cancel_job(connection, job_id, "ann")
    ended = await job_now(database, job_id)
    assert ended.state == end
    async with writing(database) as connection:
        assert await cancel_job(connection, job_id, "ann") is None
    for change in (
        "state = 'PENDING', finished_at = NULL, error_code = NULL, version = version + 65536",
        "state = 'CANCELLED', error_code = NULL, version = version + 65536",
        "state = 'SUCCESS', error_code = NULL, version = version + 65536",
        "progress = 3",
        "version = version + 1",
        "digest = 'other'",
    ):
        with pytest.raises(DBAPIError, match="is terminal"):
            async with writing(database) as connection:
                await connection.execute(text(f"UPDATE jobs SET {change}"))
    assert await job_now(database, job_id) == ended


@pytest.mark.parametrize(
    "change",
    [
        "version = version - 1",
        "attempt = attempt - 1",
        "state = 'SUCCESS', finished_at = now(), version = version + 65536",
        "state = 'CANCELLED', finished_at = now()",
        "state = 'RUNNING'",
        "state = 'LOST', version = version + 65536",
        "progress = 101",
    ],
)
async def test_postgres_refuses_impossible_changes(
    database: Database, job_id: UUID, change: str
) -> None:
    before = await job_now(database, job_id)
    with pytest.raises(DBAPIError):
        async with writing(database) as connection:
            await connection.execute(text(f"UPDATE jobs SET {change}"))
    assert await job_now(database, job_id) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_entries",
        "UPDATE audit_entries SET action='x'",
        "TRUNCATE audit_entries",
        "TRUNCATE jobs, audit_entries CASCADE",
    ],
)
async def test_the_audit_is_append_only(database: Database, statement: str) -> None:
    async with writing(database) as connection:
        await record_audit(
            connection, AuditEntry(user_id="ann", action="a", decision=Decision.ACCEPTED)
        )
    with pytest.raises(DBAPIError, match="append-only"):
        async with writing(database) as connection:
            await connection.execute(text(statement))
    async with database.read() as connection:
        count = await connection.execute(text("SELECT count(*) FROM audit_entries"))
        assert count.scalar_one() == 1


def test_versions_fit_a_graphql_int_and_never_overflow_into_the_next_epoch() -> None:
    assert next_epoch(0) == STEPS_PER_EPOCH
    assert next_epoch(STEPS_PER_EPOCH + 7) == 2 * STEPS_PER_EPOCH
    assert next_step(STEPS_PER_EPOCH) == STEPS_PER_EPOCH + 1
    last = 2 * STEPS_PER_EPOCH - 1
    assert next_step(last) == last
    assert next_epoch(last) == 2 * STEPS_PER_EPOCH
