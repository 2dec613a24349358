"""What admission asks and is told, and what it needs to know; the rest is `admit` in Postgres.

`admit` is in the migrations: replay, duplicate, limits, insert and audit, behind a lock per user.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import text

from db.generations import NewJob  # noqa: TC001  # msgspec reads the annotations
from db.records import GenerationRecord, JobRecord, NewGeneration  # noqa: TC001  # as above

if TYPE_CHECKING:
    from db.engine import Connection

# Any constant: keeps these locks apart from other uses of advisory locks in the same database.
_LOCK_SPACE = 0x6D696E74
_LOCK = text(f"SELECT pg_advisory_xact_lock(hashtextextended(:user_id, {_LOCK_SPACE}))")


async def lock_user(connection: Connection, user_id: str) -> None:
    """Let one request of a user at a time pass, until the transaction ends."""
    await connection.execute(_LOCK, {"user_id": user_id})


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request for pictures, with the limits that hold for it.

    Attributes:
        address: under which the requests of its address are counted, too; None: they are not.
        category: why its words are refused; then it is counted and goes into the audit, no more.
        prompt: the words as they came, for the audit; None: they are not kept.
    """

    user_id: str
    address: str | None
    max_requests: int
    max_requests_of_address: int | None
    max_active_jobs: int
    window_s: float
    key: str | None
    key_ttl_s: float
    request_hash: str | None
    prompt_hash: str
    action: str
    category: str | None
    remote_address: str | None
    prompt: str | None
    policy_version: str
    generation: NewGeneration
    jobs: list[NewJob]


class Outcome(StrEnum):
    """What became of it."""

    ACCEPTED = "ACCEPTED"
    DEDUPLICATED = "DEDUPLICATED"
    REPLAYED = "REPLAYED"
    CONFLICT = "CONFLICT"
    REJECTED = "REJECTED"
    REQUESTS = "REQUESTS"
    REQUESTS_OF_ADDRESS = "REQUESTS_OF_ADDRESS"
    ACTIVE_JOBS = "ACTIVE_JOBS"
    BUSY = "BUSY"
    """Another transaction has its lock; nothing was done."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request.

    `generation` and `jobs`, in grid order: what was let in, now or before. `frees_in_s`: until the
    oldest request leaves the window. `active_jobs`: without its own.
    """

    outcome: Outcome
    frees_in_s: float | None = None
    active_jobs: int | None = None
    generation: GenerationRecord | None = None
    jobs: list[JobRecord] | None = None


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
