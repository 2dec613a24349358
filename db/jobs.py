"""Reading jobs within a transaction, and what is asked about them less often than they themselves.

What is read with most requests: `db.hot`. Whoever owns the jobs; callers check that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from db.records import JobRecord, columns, to_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from db.engine import Connection

_JOB = columns(JobRecord)


_READ = text(f"SELECT {_JOB} FROM jobs WHERE id = :id")


async def read_job(connection: Connection, job_id: UUID) -> JobRecord | None:
    """A job as this connection's transaction sees it; None if there is none."""
    row = (await connection.execute(_READ, {"id": job_id})).mappings().one_or_none()
    return None if row is None else to_record(row, JobRecord)


_REGENERATIONS = text(f"""
    SELECT {_JOB} FROM jobs WHERE regenerated_from = ANY(:ids) ORDER BY regenerated_from, id
""")


async def read_regenerations(
    connection: Connection, ids: Sequence[UUID]
) -> dict[UUID, list[JobRecord]]:
    """Jobs made from these jobs, oldest first."""
    result = await connection.execute(_REGENERATIONS, {"ids": list(ids)})
    found: dict[UUID, list[JobRecord]] = {job_id: [] for job_id in ids}
    for row in result.mappings():
        found[row["regenerated_from"]].append(to_record(row, JobRecord))
    return found


_QUEUE_POSITIONS = text("""
    SELECT waiting.id, (
        SELECT count(*) FROM jobs AS ahead
        WHERE ahead.state = 'PENDING'
          AND (ahead.ready_at, ahead.id) <= (waiting.ready_at, waiting.id)
    ) AS position
    FROM jobs AS waiting WHERE waiting.id = ANY(:ids) AND waiting.state = 'PENDING'
""")


async def queue_positions(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Places in the queue, from 1; jobs that do not wait are left out."""
    result = await connection.execute(_QUEUE_POSITIONS, {"ids": list(ids)})
    return {row["id"]: row["position"] for row in result.mappings()}
