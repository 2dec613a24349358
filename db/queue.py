"""How long the queue is, in one query over the active jobs' partial index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import text

from core.vocabulary import JobState  # noqa: TC001  # msgspec reads the annotations

if TYPE_CHECKING:
    from db.engine import Connection


class QueueLength(msgspec.Struct, frozen=True, kw_only=True):
    """Active jobs of one provider in one state.

    `oldest_s`: how long the first of them that may start has been waiting, seconds; 0 for those
    that run, or wait for their next try.
    """

    provider: str
    state: JobState
    jobs: int
    oldest_s: float


_LENGTHS = text("""
    SELECT provider, state, count(*) AS jobs,
        GREATEST(0, COALESCE(extract(epoch FROM clock_timestamp()
            - min(ready_at) FILTER (WHERE state = 'PENDING')), 0))::float8 AS oldest_s
    FROM jobs WHERE state IN ('PENDING', 'RUNNING')
    GROUP BY provider, state
""")


async def read_queue_lengths(connection: Connection) -> list[QueueLength]:
    """PENDING and RUNNING jobs by provider; nothing for a provider that has none."""
    result = await connection.execute(_LENGTHS)
    return [msgspec.convert(dict(row), QueueLength) for row in result.mappings()]
