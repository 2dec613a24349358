"""Progress of providers that report none: estimated from how long such frames took lately.

It is marked as an estimate, never goes back and never reaches the end by itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from db.history import Durations

MIN_SAMPLES = 5
"""Fewer frames say nothing: then there is no bar (INDETERMINATE)."""
AT_P50_PERCENT, AT_P90_PERCENT, MOST_PERCENT = 60, 85, 95


class Estimate:
    """How far a call is that began at `began_s` (monotonic), if it is like those before it."""

    def __init__(self, durations: Durations, began_s: float) -> None:
        self._began_s = began_s
        self._p50_s = max(durations.p50_ms / 1000, 0.001)
        self._p90_s = max(durations.p90_ms / 1000, self._p50_s * 1.2)

    def percent(self) -> int:
        """0 to 95: even to the median, slower to the 90th percentile, then ever slower."""
        elapsed_s = time.monotonic() - self._began_s
        if elapsed_s <= self._p50_s:
            return int(AT_P50_PERCENT * elapsed_s / self._p50_s)
        if elapsed_s <= self._p90_s:
            way = (elapsed_s - self._p50_s) / (self._p90_s - self._p50_s)
            return int(AT_P50_PERCENT + (AT_P90_PERCENT - AT_P50_PERCENT) * way)
        # As 1 - p90/t: the longer it takes, the less is known about how long it still takes.
        return int(AT_P90_PERCENT + (MOST_PERCENT - AT_P90_PERCENT) * (1 - self._p90_s / elapsed_s))


def estimate_of(durations: Durations | None, began_s: float) -> Estimate | None:
    """An estimate of a call that began then; None without enough history."""
    if durations is None or durations.sample_size < MIN_SAMPLES:
        return None
    return Estimate(durations, began_s)
