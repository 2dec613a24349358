"""Reading jobs. Functions that serve a viewer take the user's id and find nothing of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from db.records import JobRecord, columns, to_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from db.engine import Connection

_JOB = columns(JobRecord)


_READ = text(f"SELECT {_JOB} FROM jobs WHERE id = ANY(:ids) AND user_id = :user_id")


async def read_jobs(
    connection: Connection, ids: Sequence[UUID], user_id: str
) -> dict[UUID, JobRecord]:
    """The user's jobs among `ids`."""
    result = await connection.execute(_READ, {"ids": list(ids), "user_id": user_id})
    return {row["id"]: to_record(row, JobRecord) for row in result.mappings()}


_READ_ANY = text(f"SELECT {_JOB} FROM jobs WHERE id = ANY(:ids)")


async def read_jobs_of_any_user(
    connection: Connection, ids: Sequence[UUID]
) -> dict[UUID, JobRecord]:
    """Jobs by id, whoever owns them: for workers and for feeds that were authorised before."""
    result = await connection.execute(_READ_ANY, {"ids": list(ids)})
    return {row["id"]: to_record(row, JobRecord) for row in result.mappings()}


_OF_GENERATIONS = text(f"""
    SELECT {_JOB} FROM jobs WHERE generation_id = ANY(:ids) ORDER BY generation_id, variant
""")


async def read_jobs_of_generations(
    connection: Connection, ids: Sequence[UUID]
) -> dict[UUID, list[JobRecord]]:
    """Jobs by generation, in grid order."""
    result = await connection.execute(_OF_GENERATIONS, {"ids": list(ids)})
    found: dict[UUID, list[JobRecord]] = {generation_id: [] for generation_id in ids}
    for row in result.mappings():
        found[row["generation_id"]].append(to_record(row, JobRecord))
    return found


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


_STATE_VERSIONS = text("SELECT id, version FROM jobs WHERE id = ANY(:ids)")


async def read_versions(connection: Connection, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """The versions of jobs as Postgres knows them; jobs that are gone are left out."""
    result = await connection.execute(_STATE_VERSIONS, {"ids": list(ids)})
    return {row["id"]: row["version"] for row in result.mappings()}
