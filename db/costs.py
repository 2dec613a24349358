"""What users' provider calls cost, by day."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003  # msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import text

if TYPE_CHECKING:
    from db.engine import Connection


class DailyCost(msgspec.Struct, frozen=True, kw_only=True):
    """One user's calls to one model on one day (UTC).

    `cost_usd`: of those whose cost is known. `unknown_calls`: those that may have been billed and
    whose cost is not; what went on with the call of an earlier attempt is one call.
    """

    user_id: str
    day: date
    provider: str
    model: str
    calls: int
    cost_usd: float
    unknown_calls: int


_COSTS = text("""
    SELECT user_id, (started_at AT TIME ZONE 'UTC')::date AS day, provider, model,
        count(*) FILTER (WHERE NOT gone_on) AS calls,
        COALESCE(sum(cost_usd), 0)::float8 AS cost_usd,
        count(*) FILTER (WHERE cost_usd IS NULL AND outcome <> 'STARTED' AND NOT gone_on)
            AS unknown_calls
    FROM (
        SELECT calls.*, EXISTS (
            SELECT FROM provider_calls AS later
            WHERE later.job_id = calls.job_id AND later.resumed_from = calls.attempt
        ) AS gone_on
        FROM provider_calls AS calls
        WHERE started_at >= :since AND started_at < :until
          AND (CAST(:user_id AS text) IS NULL OR user_id = :user_id)
    ) AS made
    GROUP BY 1, 2, 3, 4 ORDER BY 2 DESC, 6 DESC, 1, 3, 4
    LIMIT :limit
""")


async def read_costs(
    connection: Connection,
    *,
    since: datetime,
    until: datetime,
    user_id: str | None = None,
    limit: int = 1000,
) -> list[DailyCost]:
    """Costs of calls that began from `since` until before `until`, the newest day first."""
    result = await connection.execute(
        _COSTS, {"since": since, "until": until, "user_id": user_id, "limit": limit}
    )
    return [msgspec.convert(dict(row), DailyCost) for row in result.mappings()]
