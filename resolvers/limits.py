"""How much a user may ask for; less for one who has not signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.settings import Settings


@dataclass(frozen=True, slots=True)
class UserLimits:
    """Requests in any window and active jobs; `per_address`: requests of an address, None: any."""

    max_requests: int
    max_active_jobs: int
    per_address: int | None


def limits_of(settings: Settings, *, is_anonymous: bool) -> UserLimits:
    """The limits of a user. An anonymous one is as easily made anew, so the address counts, too."""
    if is_anonymous:
        return UserLimits(
            max_requests=settings.anonymous_max_requests,
            max_active_jobs=settings.anonymous_max_active_jobs,
            per_address=settings.anonymous_max_requests_per_address,
        )
    return UserLimits(
        max_requests=settings.rate_limit_max_requests,
        max_active_jobs=settings.max_active_jobs,
        per_address=None,
    )
