"""What admission needs to know and to write, exact because it happens under a lock per user."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from sqlalchemy import text

if TYPE_CHECKING:
    from db.engine import Connection

# Any constant: keeps these locks apart from other uses of advisory locks in the same database.
_LOCK_SPACE = 0x6D696E74
_LOCK = text(f"SELECT pg_advisory_xact_lock(hashtextextended(:user_id, {_LOCK_SPACE}))")


async def lock_user(connection: Connection, user_id: str) -> None:
    """Let one request of a user at a time pass, until the transaction ends."""
    await connection.execute(_LOCK, {"user_id": user_id})


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a user has used of the quotas. `frees_in_s`: until the oldest request leaves."""

    requests: int
    frees_in_s: float
    active_jobs: int


_USAGE = text("""
    SELECT count(*) AS requests,
        COALESCE(extract(epoch FROM
            min(hit_at) + make_interval(secs => :window_s) - clock_timestamp()), 0)::float8
            AS frees_in_s,
        (SELECT count(*) FROM jobs
         WHERE user_id = :user_id AND state IN ('PENDING', 'RUNNING')) AS active_jobs
    FROM (
        SELECT hit_at FROM rate_limit_hits
        WHERE user_id = :user_id AND hit_at > clock_timestamp() - make_interval(secs => :window_s)
        ORDER BY hit_at DESC LIMIT :limit
    ) AS recent
""")


async def read_usage(connection: Connection, user_id: str, *, window_s: float, limit: int) -> Usage:
    """Requests in the last `window_s` seconds (the newest `limit` of them) and active jobs."""
    result = await connection.execute(
        _USAGE, {"user_id": user_id, "window_s": window_s, "limit": limit}
    )
    return msgspec.convert(dict(result.mappings().one()), Usage)


_HIT = text("INSERT INTO rate_limit_hits (user_id, hit_at) VALUES (:user_id, clock_timestamp())")


async def record_hit(connection: Connection, user_id: str) -> None:
    """Count one request."""
    await connection.execute(_HIT, {"user_id": user_id})


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that an idempotency key stands for."""

    request_hash: str
    generation_id: UUID


_REPLAY = text("""
    SELECT request_hash, generation_id FROM idempotency_keys
    WHERE user_id = :user_id AND key = :key
      AND created_at > clock_timestamp() - make_interval(secs => :ttl_s)
""")


async def find_replay(
    connection: Connection, user_id: str, key: str, *, ttl_s: float
) -> Replay | None:
    """The first answer under this key, while it is younger than `ttl_s` seconds."""
    result = await connection.execute(_REPLAY, {"user_id": user_id, "key": key, "ttl_s": ttl_s})
    row = result.mappings().one_or_none()
    return msgspec.convert(dict(row), Replay, builtin_types=(UUID,)) if row else None


_REMEMBER = text("""
    INSERT INTO idempotency_keys (user_id, key, request_hash, generation_id)
    VALUES (:user_id, :key, :request_hash, :generation_id)
    ON CONFLICT (user_id, key) DO UPDATE SET
        request_hash = excluded.request_hash, generation_id = excluded.generation_id,
        created_at = excluded.created_at
""")


async def remember(
    connection: Connection, user_id: str, key: str, *, request_hash: str, generation_id: UUID
) -> None:
    """Let this key stand for this generation from now on."""
    await connection.execute(
        _REMEMBER,
        {
            "user_id": user_id,
            "key": key,
            "request_hash": request_hash,
            "generation_id": generation_id,
        },
    )


_DUPLICATE = text("""
    SELECT id FROM generations
    WHERE user_id = :user_id AND prompt_hash = :prompt_hash AND EXISTS (
        SELECT FROM jobs WHERE generation_id = generations.id AND state IN ('PENDING', 'RUNNING')
    )
    ORDER BY id DESC LIMIT 1
""")


async def find_active_duplicate(
    connection: Connection, user_id: str, prompt_hash: str
) -> UUID | None:
    """The user's identical generation that still has an active job."""
    result = await connection.execute(_DUPLICATE, {"user_id": user_id, "prompt_hash": prompt_hash})
    return result.scalar_one_or_none()


_FORGET = (
    text(
        "DELETE FROM rate_limit_hits WHERE hit_at < clock_timestamp() - make_interval(secs => :a)"
    ),
    text(
        "DELETE FROM idempotency_keys"
        " WHERE created_at < clock_timestamp() - make_interval(secs => :b)"
    ),
)


async def forget_old(connection: Connection, *, hits_age_s: float, keys_age_s: float) -> None:
    """Drop rows that no limit and no key needs any more."""
    await connection.execute(_FORGET[0], {"a": hits_age_s})
    await connection.execute(_FORGET[1], {"b": keys_age_s})
