"""How long a frame will take, from what frames of its kind took lately."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from core.vocabulary import JobState
from db.history import recent_durations

if TYPE_CHECKING:
    from datetime import datetime

    from core.vocabulary import ImageSize
    from db.engine import Database
    from db.history import Durations
    from db.records import JobRecord

MAX_AGE_S = 10.0
"""Estimates may be this old: they come from up to 100 frames and change slowly."""


@dataclass(frozen=True, slots=True)
class Eta:
    """When a running job is expected to end: in half of the cases, and in nine of ten."""

    p50_at: datetime
    p90_at: datetime
    sample_size: int


class Estimates:
    """Durations by provider, model and size, kept for some seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[str, str, ImageSize], tuple[float, Durations | None]] = {}

    async def durations(self, provider: str, model: str, size: ImageSize) -> Durations | None:
        """Recent durations; None without history."""
        key = (provider, model, size)
        read_at_s, durations = self._known.get(key, (-MAX_AGE_S, None))
        if time.monotonic() - read_at_s >= MAX_AGE_S:
            async with self._database.read() as connection:
                durations = await recent_durations(
                    connection, provider=provider, model=model, size=size
                )
            self._known[key] = (time.monotonic(), durations)
        return durations

    async def eta(self, job: JobRecord, size: ImageSize) -> Eta | None:
        """When a running job is expected to end; None for others and without history."""
        if job.state is not JobState.RUNNING or job.started_at is None:
            return None
        durations = await self.durations(job.provider, job.model, size)
        return eta_of(job.started_at, durations)


def eta_of(started_at: datetime, durations: Durations | None) -> Eta | None:
    """When what was started then is expected to end; None without history."""
    if durations is None:
        return None
    return Eta(
        p50_at=started_at + timedelta(milliseconds=durations.p50_ms),
        p90_at=started_at + timedelta(milliseconds=durations.p90_ms),
        sample_size=durations.sample_size,
    )
