"""Users whose tokens are not taken any more, if they were issued before a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from db.engine import Connection

_REVOKE = text("""
    INSERT INTO revoked_users (user_id, revoked_at) VALUES (:user_id, clock_timestamp())
    ON CONFLICT (user_id) DO UPDATE SET revoked_at = excluded.revoked_at
    RETURNING extract(epoch FROM revoked_at)::float8
""")


async def revoke_user(connection: Connection, user_id: str) -> float:
    """Refuse the tokens that a user has now; returns the moment, Unix time in seconds."""
    result = await connection.execute(_REVOKE, {"user_id": user_id})
    return result.scalar_one()


_READ = text("""
    SELECT user_id, extract(epoch FROM revoked_at)::float8 AS revoked_at_s FROM revoked_users
    WHERE revoked_at > to_timestamp(:since_s)
""")


async def read_revocations(connection: Connection, since_s: float) -> dict[str, float]:
    """The moments by user, of those after `since_s` (both Unix time in seconds)."""
    result = await connection.execute(_READ, {"since_s": since_s})
    return {row["user_id"]: row["revoked_at_s"] for row in result.mappings()}
