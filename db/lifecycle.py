"""Every write to a job's life. Each names the attempt and the state that it expects.

The database's clock decides about leases and deadlines; a worker's clock is never asked. Rows
are locked in the order of their ids, a job before its calls, so that no two writes wait for each
other. Whoever ends a job dooms what its attempts stored, but for the picture that it keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import text

from core.keys import attempt_keys
from core.version import STEPS_PER_EPOCH
from db.doomed import doom
from db.records import JobRecord, columns, to_record, to_work, work_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import TextClause

    from core.vocabulary import BlockStage, ErrorCode, FallOverReason, ProgressKind, Stage
    from db.engine import Connection
    from db.records import Work

_JOB = columns(JobRecord, "jobs")
_NEXT_EPOCH = f"(version / {STEPS_PER_EPOCH} + 1) * {STEPS_PER_EPOCH}"
_FREED = "lease_expires_at = NULL, worker_name = NULL"
# What followers have seen may be ahead of the last heartbeat, and must not go back.
_SHOWN = "progress = GREATEST(progress, :progress)"
_HELD = "id = :id AND attempt = :attempt AND state = 'RUNNING'"


class LeaseLostError(Exception):
    """The job is no longer this attempt's: cancelled, taken over or deleted. Drop what you have."""


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished frame is, as stored."""

    image_key: str
    thumbnail_key: str
    thumbhash: str
    content_type: str
    width_px: int
    height_px: int
    size_bytes: int
    digest: str
    seed: int
    model: str
    generation_time_ms: int


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """A running job's newest state, to be written with the next heartbeat."""

    id: UUID
    attempt: int
    version: int
    progress: int
    progress_kind: ProgressKind
    stage: Stage
    preview_key: str | None


# Asked with every claim, and the table is nearly always empty: a pause holds at once, everywhere.
_NOT_PAUSED = "NOT EXISTS (SELECT FROM pauses WHERE pauses.provider IN ('*', jobs.provider))"
_CLAIMED = f"""
    state = 'RUNNING', stage = 'GENERATING', attempt = attempt + 1, version = {_NEXT_EPOCH},
    worker_name = :worker, lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s),
    started_at = COALESCE(started_at, clock_timestamp())
"""
_WITH_WORK = f"""
    SELECT {work_columns("claimed")}, EXISTS (SELECT FROM entered) AS call_entered
    FROM claimed JOIN generations ON generations.id = claimed.generation_id
      LEFT JOIN uploads ON uploads.id = generations.upload_id
"""
_CLAIM = text(f"""
    WITH claimed AS (
        UPDATE jobs SET {_CLAIMED}
        WHERE id = :id AND attempt = :attempt AND state = 'PENDING'
          AND ready_at <= clock_timestamp() AND {_NOT_PAUSED}
        RETURNING {_JOB}
    ), entered AS (
        INSERT INTO provider_calls (job_id, attempt, user_id, provider, model, worker_name)
        SELECT claimed.id, attempt, claimed.user_id, claimed.provider, claimed.model, :worker
        FROM claimed JOIN generations ON generations.id = generation_id
        WHERE attempt = 1 AND NOT had_upload
          AND claimed.provider = ANY(CAST(:call_now AS text[]))
        RETURNING attempt
    ) {_WITH_WORK}
""")


async def claim(
    connection: Connection,
    job_id: UUID,
    attempt: int,
    *,
    worker: str,
    lease_s: float,
    call_now: Iterable[str] = (),
) -> Work | None:
    """Take a pending job that had `attempt` attempts; None when it is taken, or is paused.

    `call_now` are providers that the worker may ask at once. A first attempt that asks one of
    them, and has no photo to be fetched before, gets its row in the ledger by the same commit.
    """
    values: dict[str, object] = {
        "id": job_id,
        "attempt": attempt,
        "worker": worker,
        "lease_s": lease_s,
        "call_now": list(call_now),
    }
    result = await connection.execute(_CLAIM, values)
    row = result.one_or_none()
    return to_work(row) if row else None


_CLAIM_OVERDUE = text(f"""
    WITH overdue AS (
        SELECT id AS overdue_id FROM jobs
        WHERE state = 'PENDING'
          AND ready_at <= clock_timestamp() - make_interval(secs => :overdue_s)
          AND {_NOT_PAUSED}
        ORDER BY ready_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE jobs SET {_CLAIMED} FROM overdue WHERE id = overdue_id RETURNING {_JOB}
    ), entered AS (SELECT WHERE false) {_WITH_WORK}
""")


async def claim_overdue(
    connection: Connection, *, overdue_s: float, limit: int, worker: str, lease_s: float
) -> list[Work]:
    """Take jobs whose doorbell never rang, oldest first."""
    result = await connection.execute(
        _CLAIM_OVERDUE,
        {"overdue_s": overdue_s, "limit": limit, "worker": worker, "lease_s": lease_s},
    )
    return [to_work(row) for row in result]


_BEAT = text(f"""
    WITH beat AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:versions AS bigint[]),
            CAST(:progresses AS int[]), CAST(:kinds AS text[]), CAST(:stages AS text[]),
            CAST(:previews AS text[])
        ) AS beat(id, attempt, version, progress, progress_kind, stage, preview_key)
    ), held AS (
        SELECT jobs.id FROM jobs JOIN beat USING (id, attempt)
        WHERE jobs.state = 'RUNNING'
          AND jobs.version / {STEPS_PER_EPOCH} = beat.version / {STEPS_PER_EPOCH}
        ORDER BY jobs.id FOR UPDATE OF jobs
    )
    UPDATE jobs SET
        lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s),
        version = GREATEST(jobs.version, beat.version),
        progress = GREATEST(jobs.progress, beat.progress),
        progress_kind = beat.progress_kind, stage = beat.stage,
        preview_key = COALESCE(beat.preview_key, jobs.preview_key)
    FROM beat JOIN held USING (id) WHERE jobs.id = beat.id
    RETURNING jobs.id
""")


async def heartbeat(
    connection: Connection, beats: Sequence[Beat], *, lease_s: float
) -> frozenset[UUID]:
    """Extend the leases and write the progress of all of a worker's jobs in one statement.

    Returns the jobs that are still the worker's; the others were cancelled or taken over.
    """
    result = await connection.execute(
        _BEAT,
        {
            "lease_s": lease_s,
            "ids": [beat.id for beat in beats],
            "attempts": [beat.attempt for beat in beats],
            "versions": [beat.version for beat in beats],
            "progresses": [beat.progress for beat in beats],
            "kinds": [beat.progress_kind.value for beat in beats],
            "stages": [beat.stage.value for beat in beats],
            "previews": [beat.preview_key for beat in beats],
        },
    )
    return frozenset(result.scalars())


_SUCCEED = text(f"""
    UPDATE jobs SET
        state = 'SUCCESS', stage = NULL, progress = 100, version = {_NEXT_EPOCH}, {_FREED},
        finished_at = clock_timestamp(), image_key = :image_key, thumbnail_key = :thumbnail_key,
        thumbhash = :thumbhash, content_type = :content_type, width_px = :width_px,
        height_px = :height_px, size_bytes = :size_bytes, digest = :digest, seed = :seed,
        model = :model, generation_time_ms = :generation_time_ms
    WHERE {_HELD}
    RETURNING {_JOB}
""")


async def succeed(connection: Connection, job_id: UUID, attempt: int, finish: Finish) -> JobRecord:
    """RUNNING → SUCCESS. Raises LeaseLostError."""
    values = msgspec.structs.asdict(finish)
    return await _transition(connection, _SUCCEED, job_id, attempt, values)


_FAIL = text(f"""
    UPDATE jobs SET
        state = 'FAILED', stage = NULL, version = {_NEXT_EPOCH}, {_FREED}, {_SHOWN},
        finished_at = clock_timestamp(), error_code = :error_code, block_stage = :block_stage,
        preview_key = CASE WHEN CAST(:block_stage AS text) = 'OUTPUT' THEN NULL ELSE preview_key END
    WHERE {_HELD}
    RETURNING {_JOB}
""")


async def fail(
    connection: Connection,
    job_id: UUID,
    attempt: int,
    *,
    error_code: ErrorCode,
    block_stage: BlockStage | None = None,
    progress: int = 0,
) -> JobRecord:
    """RUNNING → FAILED. Raises LeaseLostError."""
    return await _transition(
        connection,
        _FAIL,
        job_id,
        attempt,
        {
            "error_code": error_code.value,
            "block_stage": block_stage.value if block_stage else None,
            "progress": progress,
        },
    )


_WAITS_AGAIN = f"state = 'PENDING', stage = 'QUEUED', version = {_NEXT_EPOCH}, {_FREED}, {_SHOWN}"
_REQUEUE = text(f"""
    UPDATE jobs SET {_WAITS_AGAIN},
        retry_count = retry_count + :retries, provider_retries = provider_retries + :retries,
        held_since = NULL, ready_at = clock_timestamp() + make_interval(secs => :delay_s)
    WHERE {_HELD}
    RETURNING {_JOB}
""")


async def retry_later(
    connection: Connection, job_id: UUID, attempt: int, *, delay_s: float, progress: int = 0
) -> JobRecord:
    """RUNNING → PENDING after a failed try; it may start again in `delay_s` seconds.

    Raises LeaseLostError.
    """
    values: dict[str, object] = {"delay_s": delay_s, "retries": 1, "progress": progress}
    return await _transition(connection, _REQUEUE, job_id, attempt, values)


async def release(
    connection: Connection, job_id: UUID, attempt: int, *, progress: int = 0
) -> JobRecord:
    """RUNNING → PENDING because the worker stops; counts neither as retry nor as crash.

    Raises LeaseLostError.
    """
    values: dict[str, object] = {"delay_s": 0.0, "retries": 0, "progress": progress}
    return await _transition(connection, _REQUEUE, job_id, attempt, values)


_FALL_OVER = text(f"""
    UPDATE jobs SET {_WAITS_AGAIN},
        provider = :provider, model = :model, progress_kind = :progress_kind,
        requested_provider = COALESCE(requested_provider, provider),
        fall_over_reason = COALESCE(fall_over_reason, :reason),
        retry_count = retry_count + :retries, provider_retries = 0, started_at = NULL,
        held_since = NULL, ready_at = clock_timestamp()
    WHERE {_HELD}
    RETURNING {_JOB}
""")


async def fall_over(
    connection: Connection,
    job_id: UUID,
    attempt: int,
    *,
    provider: str,
    model: str,
    progress_kind: ProgressKind,
    reason: FallOverReason,
    failed: bool,
    progress: int = 0,
) -> JobRecord:
    """RUNNING → PENDING for another provider; `failed`: after a call, so it counts as a retry.

    The first reason is kept: why the provider that was asked for did not paint. Raises
    LeaseLostError.
    """
    values: dict[str, object] = {
        "provider": provider,
        "model": model,
        "progress_kind": progress_kind.value,
        "reason": reason.value,
        "retries": int(failed),
        "progress": progress,
    }
    return await _transition(connection, _FALL_OVER, job_id, attempt, values)


_IN_TIME = """
    COALESCE(held_since, clock_timestamp()) + make_interval(secs => :at_most_s)
        >= clock_timestamp() + make_interval(secs => :delay_s)
"""
_HOLD = text(f"""
    UPDATE jobs SET
        version = {_NEXT_EPOCH}, {_FREED}, {_SHOWN},
        held_since = COALESCE(held_since, clock_timestamp()),
        started_at = CASE WHEN {_IN_TIME} THEN NULL ELSE started_at END,
        ready_at = clock_timestamp() + make_interval(secs => :delay_s),
        state = CASE WHEN {_IN_TIME} THEN 'PENDING' ELSE 'FAILED' END,
        stage = CASE WHEN {_IN_TIME} THEN 'QUEUED' END,
        error_code = CASE WHEN {_IN_TIME} THEN NULL ELSE :error_code END,
        finished_at = CASE WHEN {_IN_TIME} THEN NULL ELSE clock_timestamp() END
    WHERE {_HELD}
    RETURNING {_JOB}
""")


async def hold(
    connection: Connection,
    job_id: UUID,
    attempt: int,
    *,
    delay_s: float,
    at_most_s: float,
    error_code: ErrorCode,
    progress: int = 0,
) -> JobRecord:
    """RUNNING → PENDING for `delay_s` seconds, as the provider is paused; that is no retry.

    FAILED if it would then have been held for longer than `at_most_s` since its last real try.
    Raises LeaseLostError.
    """
    values: dict[str, object] = {
        "delay_s": delay_s,
        "at_most_s": at_most_s,
        "error_code": error_code.value,
        "progress": progress,
    }
    return await _transition(connection, _HOLD, job_id, attempt, values)


_END_HOLD = text("""
    UPDATE jobs SET ready_at = clock_timestamp()
    FROM (
        SELECT id FROM jobs
        WHERE state = 'PENDING' AND provider = :provider AND held_since IS NOT NULL
          AND ready_at > clock_timestamp()
        ORDER BY id FOR UPDATE SKIP LOCKED
    ) AS waiting WHERE jobs.id = waiting.id
    RETURNING jobs.id, jobs.attempt
""")


async def end_hold(connection: Connection, provider: str) -> list[tuple[UUID, int]]:
    """Let a provider's held jobs start now, as its pause is over; returns ids and attempts."""
    result = await connection.execute(_END_HOLD, {"provider": provider})
    return [(row["id"], row["attempt"]) for row in result.mappings()]


async def _transition(
    connection: Connection,
    statement: TextClause,
    job_id: UUID,
    attempt: int,
    values: dict[str, object],
) -> JobRecord:
    result = await connection.execute(
        statement,
        {"id": job_id, "attempt": attempt, **values},
    )
    row = result.mappings().one_or_none()
    if row is None:
        raise LeaseLostError(f"job {job_id} is no longer held by attempt {attempt}")
    job = to_record(row, JobRecord)
    await _doom_leftovers(connection, [job])
    return job


async def _doom_leftovers(connection: Connection, jobs: Iterable[JobRecord]) -> None:
    """Have deleted what the attempts of ended jobs stored and their jobs do not show."""
    keys = [
        key
        for job in jobs
        if job.state.is_terminal
        for attempt in range(1, job.attempt + 1)
        for key in attempt_keys(job.id, attempt)
        if key not in (job.image_key, job.thumbnail_key)
    ]
    if keys:
        await doom(connection, keys)


def _take_back(condition: str) -> str:
    return f"""
    WITH dead AS (
        SELECT id FROM jobs WHERE state = 'RUNNING' AND {condition}
        ORDER BY lease_expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), cut AS (
        UPDATE provider_calls SET outcome = 'UNKNOWN', ended_at = clock_timestamp()
        FROM jobs, dead
        WHERE jobs.id = dead.id AND provider_calls.job_id = jobs.id
          AND provider_calls.attempt = jobs.attempt AND provider_calls.outcome = 'STARTED'
    ), shown AS (
        SELECT * FROM unnest(CAST(:shown_ids AS uuid[]), CAST(:shown_progresses AS int[]))
            AS shown(shown_id, shown_progress)
    )
    UPDATE jobs SET
        crash_count = crash_count + 1, version = {_NEXT_EPOCH}, {_FREED},
        ready_at = clock_timestamp(), progress = GREATEST(progress, COALESCE(shown_progress, 0)),
        state = CASE WHEN crash_count + 1 >= :max_crashes THEN 'FAILED' ELSE 'PENDING' END,
        stage = CASE WHEN crash_count + 1 >= :max_crashes THEN NULL ELSE 'QUEUED' END,
        error_code = CASE WHEN crash_count + 1 >= :max_crashes THEN 'WORKER_CRASHED' END,
        finished_at = CASE WHEN crash_count + 1 >= :max_crashes THEN clock_timestamp() END
    FROM dead LEFT JOIN shown ON shown_id = dead.id WHERE jobs.id = dead.id
    RETURNING {_JOB}
    """


_DEAD = "lease_expires_at < clock_timestamp()"
_FIND_DEAD = text(f"""
    SELECT id FROM jobs WHERE state = 'RUNNING' AND {_DEAD} ORDER BY lease_expires_at LIMIT :limit
""")
_FIND_HELD = text("SELECT id FROM jobs WHERE state = 'RUNNING' AND worker_name = :worker")
_REAP = text(_take_back(_DEAD))
_TAKE_OVER = text(_take_back("worker_name = :worker"))


async def find_dead(connection: Connection, *, limit: int = 100) -> list[UUID]:
    """Jobs whose lease ran out."""
    return list((await connection.execute(_FIND_DEAD, {"limit": limit})).scalars())


async def find_held(connection: Connection, worker: str) -> list[UUID]:
    """Jobs that the worker of this name holds."""
    return list((await connection.execute(_FIND_HELD, {"worker": worker})).scalars())


async def reap(
    connection: Connection,
    *,
    max_crashes: int,
    shown: Mapping[UUID, int] | None = None,
    limit: int = 100,
) -> list[JobRecord]:
    """Take back jobs whose lease ran out: PENDING again, or FAILED after `max_crashes` times.

    `shown` is the progress that followers saw, which may be ahead of the last heartbeat.
    """
    values: dict[str, object] = {"max_crashes": max_crashes, "limit": limit}
    return await _taken_back(connection, _REAP, values, shown or {})


async def take_over(
    connection: Connection,
    *,
    worker: str,
    max_crashes: int,
    shown: Mapping[UUID, int] | None = None,
    limit: int = 10_000,
) -> list[JobRecord]:
    """Take back the jobs of the worker that had this name before, without waiting for leases."""
    values: dict[str, object] = {"worker": worker, "max_crashes": max_crashes, "limit": limit}
    return await _taken_back(connection, _TAKE_OVER, values, shown or {})


async def _taken_back(
    connection: Connection,
    statement: TextClause,
    values: Mapping[str, object],
    shown: Mapping[UUID, int],
) -> list[JobRecord]:
    given = {"shown_ids": list(shown), "shown_progresses": list(shown.values())}
    result = await connection.execute(statement, {**values, **given})
    jobs = [to_record(row, JobRecord) for row in result.mappings()]
    await _doom_leftovers(connection, jobs)
    return jobs


_CANCELLED = f"""
    state = 'CANCELLED', stage = NULL, version = {_NEXT_EPOCH}, {_FREED},
    finished_at = clock_timestamp()
"""
_CANCEL_JOB = text(f"""
    UPDATE jobs SET {_CANCELLED}, {_SHOWN}
    WHERE id = :id AND user_id = :user_id AND state IN ('PENDING', 'RUNNING')
    RETURNING {_JOB}
""")
_CANCEL_GENERATION = text(f"""
    WITH active AS (
        SELECT id FROM jobs
        WHERE generation_id = :id AND user_id = :user_id AND state IN ('PENDING', 'RUNNING')
        ORDER BY id FOR UPDATE
    ), shown AS (
        SELECT * FROM unnest(CAST(:shown_ids AS uuid[]), CAST(:shown_progresses AS int[]))
            AS shown(shown_id, shown_progress)
    )
    UPDATE jobs SET {_CANCELLED}, progress = GREATEST(progress, COALESCE(shown_progress, 0))
    FROM active LEFT JOIN shown ON shown_id = active.id WHERE jobs.id = active.id
    RETURNING {_JOB}
""")


async def cancel_job(
    connection: Connection, job_id: UUID, user_id: str, *, progress: int = 0
) -> JobRecord | None:
    """PENDING or RUNNING → CANCELLED at once; None when it had ended or is not the user's.

    `progress` is what followers saw, which may be ahead of the last heartbeat.
    """
    values = {"id": job_id, "user_id": user_id, "progress": progress}
    row = (await connection.execute(_CANCEL_JOB, values)).mappings().one_or_none()
    if row is None:
        return None
    job = to_record(row, JobRecord)
    await _doom_leftovers(connection, [job])
    return job


async def cancel_generation(
    connection: Connection,
    generation_id: UUID,
    user_id: str,
    *,
    shown: Mapping[UUID, int] | None = None,
) -> list[JobRecord]:
    """Cancel all of a generation's jobs that have not ended; returns those.

    `shown` is the progress that followers saw, by job.
    """
    values = {
        "id": generation_id,
        "user_id": user_id,
        "shown_ids": list(shown or {}),
        "shown_progresses": list((shown or {}).values()),
    }
    result = await connection.execute(_CANCEL_GENERATION, values)
    jobs = [to_record(row, JobRecord) for row in result.mappings()]
    await _doom_leftovers(connection, jobs)
    return jobs
