"""How long frames took lately: what estimates are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import text

if TYPE_CHECKING:
    from core.vocabulary import ImageSize
    from db.engine import Connection

SAMPLES = 100


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """Median and 90th percentile of recent generation times, milliseconds, and how many."""

    sample_size: int
    p50_ms: float
    p90_ms: float


_DURATIONS = text("""
    SELECT count(*) AS sample_size,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY took_ms) AS p50_ms,
        percentile_cont(0.9) WITHIN GROUP (ORDER BY took_ms) AS p90_ms
    FROM (
        SELECT jobs.generation_time_ms AS took_ms
        FROM jobs JOIN generations ON generations.id = jobs.generation_id
        WHERE jobs.state = 'SUCCESS' AND jobs.provider = :provider AND jobs.model = :model
          AND generations.size = :size
        ORDER BY jobs.finished_at DESC LIMIT :samples
    ) AS recent
""")


async def recent_durations(
    connection: Connection, *, provider: str, model: str, size: ImageSize
) -> Durations | None:
    """Durations of the newest frames of that kind; None when there are none."""
    result = await connection.execute(
        _DURATIONS,
        {"provider": provider, "model": model, "size": size.value, "samples": SAMPLES},
    )
    row = result.mappings().one()
    return msgspec.convert(dict(row), Durations) if row["sample_size"] else None
