"""What is left of a viewer's quotas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.admission import read_usage
from resolvers.limits import limits_of

if TYPE_CHECKING:
    from resolvers.context import App, Request


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits and what is left. `resets_in_s`: until a used request is free again."""

    max_requests: int
    window_s: float
    remaining_requests: int
    resets_in_s: float
    max_active_jobs: int
    active_jobs: int


async def read_quota(app: App, request: Request) -> Quota:
    """The viewer's quota now. Raises Unauthenticated."""
    viewer = request.require_viewer()
    settings = app.settings
    limits = limits_of(settings, is_anonymous=viewer.is_anonymous)
    most = limits.max_requests
    async with app.database.read() as connection:
        usage = await read_usage(
            connection, viewer.user_id, window_s=settings.rate_limit_window_s, limit=most
        )
    return Quota(
        max_requests=most,
        window_s=settings.rate_limit_window_s,
        remaining_requests=most - usage.requests,
        resets_in_s=max(usage.frees_in_s, 0),
        max_active_jobs=limits.max_active_jobs,
        active_jobs=usage.active_jobs,
    )
