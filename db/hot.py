"""What is read with every request: many ids at once, whoever owns them, through the driver.

Who asks gets only what is theirs: `resolvers.reads` looks at `user_id`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from db.records import GenerationRecord, JobRecord, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.readers import Readers

_BUILTIN = (UUID, datetime)
_JOB = columns(JobRecord)
_JOBS = f"SELECT {_JOB} FROM jobs WHERE id = ANY($1::uuid[])"
_OF_GENERATIONS = f"""
    SELECT {_JOB} FROM jobs WHERE generation_id = ANY($1::uuid[]) ORDER BY generation_id, variant
"""
_GENERATIONS = f"SELECT {columns(GenerationRecord)} FROM generations WHERE id = ANY($1::uuid[])"


async def read_jobs(readers: Readers, ids: Sequence[UUID]) -> dict[UUID, JobRecord]:
    """Jobs by id."""
    rows = await readers.fetch(_JOBS, ids)
    return {
        row["id"]: msgspec.convert(dict(row), JobRecord, builtin_types=_BUILTIN) for row in rows
    }


async def read_jobs_of_generations(
    readers: Readers, ids: Sequence[UUID]
) -> dict[UUID, list[JobRecord]]:
    """Jobs by generation, in grid order; generations without jobs are left out."""
    found: dict[UUID, list[JobRecord]] = {}
    for row in await readers.fetch(_OF_GENERATIONS, ids):
        job = msgspec.convert(dict(row), JobRecord, builtin_types=_BUILTIN)
        found.setdefault(job.generation_id, []).append(job)
    return found


async def read_generations(readers: Readers, ids: Sequence[UUID]) -> dict[UUID, GenerationRecord]:
    """Generations by id."""
    rows = await readers.fetch(_GENERATIONS, ids)
    return {
        row["id"]: msgspec.convert(dict(row), GenerationRecord, builtin_types=_BUILTIN)
        for row in rows
    }
