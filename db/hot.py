"""What an API process reads with most requests, through the driver.

By ids, whoever owns what is found: who asks looks at `user_id` (`resolvers.reads.read_own`,
`Feed.watch`), so that nobody gets what is another's. Lists are one user's.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import msgspec

from db.records import GenerationRecord, JobRecord, UploadRecord, columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.vocabulary import JobState
    from db.driver import Driver

R = TypeVar("R", bound=msgspec.Struct)
_BUILTIN = (UUID, datetime)
_JOB = columns(JobRecord)
_JOBS = f"SELECT {_JOB} FROM jobs WHERE id = ANY($1::uuid[])"
_VERSIONS = "SELECT id, version FROM jobs WHERE id = ANY($1::uuid[])"
_OF_GENERATIONS = f"""
    SELECT {_JOB} FROM jobs WHERE generation_id = ANY($1::uuid[]) ORDER BY generation_id, variant
"""
_GENERATIONS = f"SELECT {columns(GenerationRecord)} FROM generations WHERE id = ANY($1::uuid[])"
_UPLOADS = f"SELECT {columns(UploadRecord)} FROM uploads WHERE id = ANY($1::uuid[])"
_PAGE_OF_JOBS = f"""
    SELECT {_JOB} FROM jobs
    WHERE user_id = $1 AND ($2::uuid IS NULL OR id < $2)
      AND ($3::text[] IS NULL OR state = ANY($3)) AND ($4::uuid IS NULL OR generation_id = $4)
    ORDER BY id DESC LIMIT $5
"""
_PAGE_OF_GENERATIONS = f"""
    SELECT {columns(GenerationRecord)} FROM generations
    WHERE user_id = $1 AND ($2::uuid IS NULL OR id < $2)
    ORDER BY id DESC LIMIT $3
"""


async def read_jobs(driver: Driver, ids: Sequence[UUID]) -> dict[UUID, JobRecord]:
    """Jobs by id."""
    return {row["id"]: _record(row, JobRecord) for row in await driver.fetch(_JOBS, ids)}


async def read_versions(driver: Driver, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Versions of jobs; those of jobs that are gone are left out."""
    return {row["id"]: row["version"] for row in await driver.fetch(_VERSIONS, ids)}


async def read_jobs_of_generations(
    driver: Driver, ids: Sequence[UUID]
) -> dict[UUID, list[JobRecord]]:
    """Jobs by generation, in grid order; generations without jobs are left out."""
    found: dict[UUID, list[JobRecord]] = {}
    for row in await driver.fetch(_OF_GENERATIONS, ids):
        found.setdefault(row["generation_id"], []).append(_record(row, JobRecord))
    return found


async def read_generations(driver: Driver, ids: Sequence[UUID]) -> dict[UUID, GenerationRecord]:
    """Generations by id."""
    rows = await driver.fetch(_GENERATIONS, ids)
    return {row["id"]: _record(row, GenerationRecord) for row in rows}


async def read_uploads(driver: Driver, ids: Sequence[UUID]) -> dict[UUID, UploadRecord]:
    """Uploads by id."""
    return {row["id"]: _record(row, UploadRecord) for row in await driver.fetch(_UPLOADS, ids)}


async def page_of_jobs(
    driver: Driver,
    user_id: str,
    *,
    limit: int,
    before: UUID | None = None,
    states: Sequence[JobState] | None = None,
    generation_id: UUID | None = None,
) -> list[JobRecord]:
    """The user's jobs, newest first, older than the job `before`."""
    rows = await driver.fetch(_PAGE_OF_JOBS, user_id, before, states, generation_id, limit)
    return [_record(row, JobRecord) for row in rows]


async def page_of_generations(
    driver: Driver, user_id: str, *, limit: int, before: UUID | None = None
) -> list[GenerationRecord]:
    """The user's generations, newest first, older than the generation `before`."""
    rows = await driver.fetch(_PAGE_OF_GENERATIONS, user_id, before, limit)
    return [_record(row, GenerationRecord) for row in rows]


def _record(row: Mapping[str, Any], kind: type[R]) -> R:
    return msgspec.convert(dict(row), kind, builtin_types=_BUILTIN)
