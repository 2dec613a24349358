"""Pictures that are to be deleted: by a sweeper, after the commit that doomed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.engine import Connection

_TAKE = text("""
    SELECT object_key FROM doomed_objects WHERE doomed_at <= clock_timestamp()
    ORDER BY doomed_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_DONE = text("DELETE FROM doomed_objects WHERE object_key = ANY(:keys)")
_FORGET_PREVIEWS = text("""
    WITH old AS (
        SELECT id FROM jobs
        WHERE preview_key IS NOT NULL
          AND finished_at < clock_timestamp() - make_interval(secs => :age_s)
        ORDER BY finished_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs SET preview_key = NULL FROM old WHERE jobs.id = old.id
""")
_DOOM = text("""
    INSERT INTO doomed_objects (object_key, doomed_at)
    SELECT unnest(CAST(:keys AS text[])), clock_timestamp() + make_interval(secs => :after_s)
    ON CONFLICT DO NOTHING
""")


async def doom(connection: Connection, keys: Sequence[str], *, after_s: float = 0) -> None:
    """Have stored objects deleted, `after_s` seconds from now at the earliest."""
    await connection.execute(_DOOM, {"keys": list(keys), "after_s": after_s})


async def take_doomed(connection: Connection, *, limit: int = 100) -> list[str]:
    """Keys of objects to delete, locked until the transaction ends."""
    return list((await connection.execute(_TAKE, {"limit": limit})).scalars())


async def forget_doomed(connection: Connection, keys: Sequence[str]) -> None:
    """Drop keys whose objects have been deleted."""
    await connection.execute(_DONE, {"keys": list(keys)})


async def forget_old_previews(connection: Connection, *, age_s: float, limit: int = 100) -> None:
    """Show no previews of jobs that ended more than `age_s` seconds ago: they are being deleted."""
    await connection.execute(_FORGET_PREVIEWS, {"age_s": age_s, "limit": limit})
