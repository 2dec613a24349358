"""What operators see of all users' jobs: never a prompt, a photo or a picture."""

from __future__ import annotations

from datetime import date, datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING
from uuid import UUID  # noqa: TC003  # as above

import msgspec
from sqlalchemy import text

from core.vocabulary import ErrorCode, JobState  # noqa: TC001  # as above
from db.records import GenerationRecord, JobRecord, columns, to_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.engine import Connection

WAITS_TOO_LONG_S = 60.0
"""A job that may start and is not paused has a worker by then, unless all are busy or gone."""
RUNS_TOO_LONG_S = 600.0
"""All of a job's tries together take less, but for providers that are slower than ten minutes."""


class OverseenJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job without what its user asked for."""

    id: UUID
    user_id: str
    state: JobState
    provider: str
    model: str
    attempt: int
    retry_count: int
    crash_count: int
    worker_name: str | None
    error_code: ErrorCode | None
    ready_at: datetime
    lease_expires_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


_STUCK = """(
    (state = 'RUNNING' AND (lease_expires_at < clock_timestamp()
        OR started_at < clock_timestamp() - make_interval(secs => :runs_s)))
    OR (state = 'PENDING' AND ready_at < clock_timestamp() - make_interval(secs => :waits_s)
        AND NOT EXISTS (SELECT FROM pauses WHERE pauses.provider IN ('*', jobs.provider)))
)"""
_PAGE = text(f"""
    SELECT {columns(OverseenJob)} FROM jobs
    WHERE (CAST(:before AS uuid) IS NULL OR id < :before)
      AND (CAST(:states AS text[]) IS NULL OR state = ANY(:states))
      AND (CAST(:provider AS text) IS NULL OR provider = :provider)
      AND (CAST(:user_id AS text) IS NULL OR user_id = :user_id)
      AND (NOT :stuck OR {_STUCK})
    ORDER BY id DESC LIMIT :limit
""")


async def page_of_all_jobs(
    connection: Connection,
    *,
    limit: int,
    before: UUID | None = None,
    states: Sequence[JobState] | None = None,
    provider: str | None = None,
    user_id: str | None = None,
    stuck: bool = False,
) -> list[OverseenJob]:
    """Jobs of all users, newest first; `stuck`: those alone that should have gone on by now."""
    result = await connection.execute(
        _PAGE,
        {
            "limit": limit,
            "before": before,
            "states": None if states is None else [state.value for state in states],
            "provider": provider,
            "user_id": user_id,
            "stuck": stuck,
            "waits_s": WAITS_TOO_LONG_S,
            "runs_s": RUNS_TOO_LONG_S,
        },
    )
    return [to_record(row, OverseenJob) for row in result.mappings()]


_FAILED = text(f"""
    SELECT {columns(JobRecord, "jobs")} FROM jobs
    WHERE state = 'FAILED'
      AND (id = ANY(:ids) OR (finished_at >= :since
        AND (CAST(:provider AS text) IS NULL OR provider = :provider)))
      AND NOT EXISTS (
        SELECT FROM jobs AS later
        WHERE later.regenerated_from = jobs.id AND later.created_at > jobs.finished_at
      )
    ORDER BY id LIMIT :limit FOR UPDATE
""")
_GENERATIONS = text(f"SELECT {columns(GenerationRecord)} FROM generations WHERE id = ANY(:ids)")


async def lock_failed_jobs(
    connection: Connection,
    *,
    ids: Sequence[UUID] = (),
    since: datetime | None = None,
    provider: str | None = None,
    limit: int,
) -> list[tuple[JobRecord, GenerationRecord]]:
    """Failed jobs that nobody has made again, oldest first, with what was asked for."""
    values = {"ids": list(ids), "since": since, "provider": provider, "limit": limit}
    result = await connection.execute(_FAILED, values)
    jobs = [to_record(row, JobRecord) for row in result.mappings()]
    found = await connection.execute(_GENERATIONS, {"ids": [job.generation_id for job in jobs]})
    generations = {row["id"]: to_record(row, GenerationRecord) for row in found.mappings()}
    return [(job, generations[job.generation_id]) for job in jobs]


class CostRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a user's calls of one provider cost on one day (UTC).

    `unknown`: calls among them whose cost is not known, and not in `cost_usd`.
    """

    day: date
    user_id: str
    provider: str
    calls: int
    unknown: int
    cost_usd: float


_COSTS = text("""
    SELECT (started_at AT TIME ZONE 'UTC')::date AS day, user_id, provider, count(*) AS calls,
        count(*) FILTER (WHERE cost_usd IS NULL) AS unknown,
        COALESCE(sum(cost_usd), 0)::float8 AS cost_usd
    FROM provider_calls
    WHERE started_at >= :since AND (CAST(:user_id AS text) IS NULL OR user_id = :user_id)
    GROUP BY 1, 2, 3 ORDER BY day DESC, cost_usd DESC, user_id, provider LIMIT :limit
""")


async def read_costs(
    connection: Connection, *, since: datetime, user_id: str | None, limit: int
) -> list[CostRecord]:
    """Costs by day, user and provider, newest day first, the dearest first."""
    values = {"since": since, "user_id": user_id, "limit": limit}
    result = await connection.execute(_COSTS, values)
    return [
        msgspec.convert(dict(row), CostRecord, builtin_types=(date,)) for row in result.mappings()
    ]
