"""Uploads: inserting, deleting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import insert, text

from db.records import UploadRecord, to_record
from db.tables import uploads

if TYPE_CHECKING:
    from uuid import UUID

    from db.engine import Connection
    from db.records import NewUpload

_INSERT = insert(uploads).returning(*uploads.c)


async def insert_upload(connection: Connection, new: NewUpload) -> UploadRecord:
    """Insert an upload."""
    result = await connection.execute(_INSERT, msgspec.structs.asdict(new))
    return to_record(result.mappings().one(), UploadRecord)


_IN_USE = text("""
    SELECT EXISTS (
        SELECT FROM jobs JOIN generations ON generations.id = jobs.generation_id
        WHERE generations.upload_id = :id AND jobs.state IN ('PENDING', 'RUNNING')
    )
""")


async def is_upload_in_use(connection: Connection, upload_id: UUID) -> bool:
    """Whether a job that has not ended still needs the upload."""
    return bool((await connection.execute(_IN_USE, {"id": upload_id})).scalar_one())


_DELETE = text("""
    WITH gone AS (
        DELETE FROM uploads WHERE id = :id AND user_id = :user_id
        RETURNING object_key, thumbnail_key
    )
    INSERT INTO doomed_objects (object_key)
    SELECT unnest(ARRAY[object_key, thumbnail_key]) FROM gone
    ON CONFLICT DO NOTHING RETURNING object_key
""")


async def delete_upload(connection: Connection, upload_id: UUID, user_id: str) -> bool:
    """Delete an upload; its pictures are doomed. False when there was none."""
    result = await connection.execute(_DELETE, {"id": upload_id, "user_id": user_id})
    return bool(result.all())


_DELETE_UNUSED = text("""
    WITH unused AS (
        SELECT id FROM uploads
        WHERE created_at < clock_timestamp() - make_interval(secs => :age_s)
          AND NOT EXISTS (SELECT FROM generations WHERE upload_id = uploads.id)
        ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM uploads USING unused WHERE uploads.id = unused.id
        RETURNING object_key, thumbnail_key
    )
    INSERT INTO doomed_objects (object_key)
    SELECT unnest(ARRAY[object_key, thumbnail_key]) FROM gone
    ON CONFLICT DO NOTHING RETURNING object_key
""")


async def delete_unused_uploads(connection: Connection, *, age_s: float, limit: int = 100) -> int:
    """Delete uploads that no generation uses after `age_s` seconds; returns how many objects."""
    result = await connection.execute(_DELETE_UNUSED, {"age_s": age_s, "limit": limit})
    return len(result.all())
