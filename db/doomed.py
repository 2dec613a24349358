"""Pictures whose rows are gone: deleted by a sweeper, after the commit that doomed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.engine import Connection

_TAKE = text("""
    SELECT object_key FROM doomed_objects ORDER BY doomed_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_DONE = text("DELETE FROM doomed_objects WHERE object_key = ANY(:keys)")
_OLD_PREVIEWS = text("""
    WITH old AS (
        SELECT id, preview_key FROM jobs
        WHERE preview_key IS NOT NULL
          AND finished_at < clock_timestamp() - make_interval(secs => :age_s)
        ORDER BY finished_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), cleared AS (
        UPDATE jobs SET preview_key = NULL FROM old WHERE jobs.id = old.id
    )
    INSERT INTO doomed_objects (object_key) SELECT preview_key FROM old
    ON CONFLICT DO NOTHING RETURNING object_key
""")
_DOOM = text("""
    INSERT INTO doomed_objects (object_key) SELECT unnest(CAST(:keys AS text[]))
    ON CONFLICT DO NOTHING
""")


async def doom(connection: Connection, keys: Sequence[str]) -> None:
    """Have stored objects deleted after this transaction's commit."""
    await connection.execute(_DOOM, {"keys": list(keys)})


async def take_doomed(connection: Connection, *, limit: int = 100) -> list[str]:
    """Keys of objects to delete, locked until the transaction ends."""
    return list((await connection.execute(_TAKE, {"limit": limit})).scalars())


async def forget_doomed(connection: Connection, keys: Sequence[str]) -> None:
    """Drop keys whose objects have been deleted."""
    await connection.execute(_DONE, {"keys": list(keys)})


async def doom_old_previews(connection: Connection, *, age_s: float, limit: int = 100) -> int:
    """Doom the previews of jobs that ended more than `age_s` seconds ago; returns how many."""
    return len((await connection.execute(_OLD_PREVIEWS, {"age_s": age_s, "limit": limit})).all())
