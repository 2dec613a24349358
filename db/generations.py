"""Generations: inserting them with their jobs, deleting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import insert, text

from core.version import STEPS_PER_EPOCH
from db.records import GenerationRecord, JobRecord, to_record
from db.tables import generations, jobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import TextClause

    from core.vocabulary import ProgressKind
    from db.engine import Connection
    from db.records import NewGeneration

# Made once, with values given when they are executed: building them took a sixth of an admission.
_INSERT_GENERATION = insert(generations).returning(*generations.c)
_INSERT_JOBS = insert(jobs).returning(*jobs.c)


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job to insert: pending, at its first version."""

    id: UUID
    variant: int
    seed: int
    progress_kind: ProgressKind
    regenerated_from: UUID | None = None
    traceparent: str | None = None


async def insert_generation(
    connection: Connection, new: NewGeneration, new_jobs: Sequence[NewJob]
) -> tuple[GenerationRecord, list[JobRecord]]:
    """Insert a generation and its jobs, in grid order."""
    result = await connection.execute(_INSERT_GENERATION, msgspec.structs.asdict(new))
    generation = to_record(result.mappings().one(), GenerationRecord)
    rows = [
        {
            "id": job.id,
            "generation_id": new.id,
            "user_id": new.user_id,
            "variant": job.variant,
            "state": "PENDING",
            "stage": "QUEUED",
            "progress_kind": job.progress_kind.value,
            "version": STEPS_PER_EPOCH,
            "seed": job.seed,
            "seed_locked": new.seed_locked,
            "provider": new.provider,
            "model": new.model,
            "regenerated_from": job.regenerated_from,
            "traceparent": job.traceparent,
        }
        for job in new_jobs
    ]
    inserted = await connection.execute(_INSERT_JOBS, rows)
    records = [to_record(row, JobRecord) for row in inserted.mappings()]
    return generation, sorted(records, key=lambda job: job.variant)


_DOOM_PICTURES = text("""
    INSERT INTO doomed_objects (object_key)
    SELECT object_key FROM jobs
    CROSS JOIN LATERAL unnest(ARRAY[
        image_key, thumbnail_key, 'previews/' || id || '/' || attempt || '-*'
    ]) AS object_key
    WHERE generation_id = ANY(:ids) AND object_key IS NOT NULL
    ON CONFLICT (object_key) DO UPDATE SET doomed_at = excluded.doomed_at
""")
_DELETE = text("DELETE FROM generations WHERE id = ANY(:ids)")
_OWN = text("SELECT id FROM generations WHERE id = :id AND user_id = :user_id FOR UPDATE")


async def delete_generation(connection: Connection, generation_id: UUID, user_id: str) -> None:
    """Delete a generation of this user and its jobs, if there is one; its pictures are doomed."""
    await _delete(connection, _OWN, {"id": generation_id, "user_id": user_id})


_EXPIRED = text("""
    SELECT id FROM generations
    WHERE created_at < clock_timestamp() - make_interval(secs => :age_s)
      AND NOT EXISTS (
        SELECT FROM jobs WHERE generation_id = generations.id AND state IN ('PENDING', 'RUNNING')
      )
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")


async def delete_expired_generations(
    connection: Connection, *, age_s: float, limit: int = 100
) -> int:
    """Delete ended generations that are older than `age_s` seconds; returns how many."""
    return await _delete(connection, _EXPIRED, {"age_s": age_s, "limit": limit})


async def _delete(connection: Connection, which: TextClause, values: Mapping[str, object]) -> int:
    ids = list((await connection.execute(which, values)).scalars())
    if ids:
        await connection.execute(_DOOM_PICTURES, {"ids": ids})
        await connection.execute(_DELETE, {"ids": ids})
    return len(ids)
