"""The parts of the benchmark: how each is measured, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench import (
    attacks,
    crowds,
    fanout,
    fanout_report,
    first_progress,
    growth,
    queueing,
    requesting,
    safety_speed,
    tables,
    working,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.bench.figures import Sample, Samples
    from tests.bench.plan import Plan
    from tests.bench.stack import Stack


@dataclass(frozen=True)
class Part:
    """One part; `show` makes Markdown of its samples."""

    title: str
    run: Callable[[Stack, Plan], AsyncGenerator[Sample, None]]
    show: Callable[[Samples], str]


PARTS = {
    "fanout": Part("Fan-out", fanout.run, fanout_report.show),
    "growth": Part("How cost grows", growth.run, tables.growth),
    "crowds": Part("Crowds", crowds.run, tables.crowds),
    "requests": Part("HTTP", requesting.run, tables.requests),
    "queue": Part("Queues, jobs that do nothing", queueing.run, tables.queue),
    "work": Part("Whole jobs", working.run, tables.work),
    "attacks": Part("An abusive client", attacks.run, tables.attacks),
    "first-progress": Part("First news", first_progress.run, tables.first_progress),
    "safety": Part("Judging prompts", safety_speed.run, tables.safety),
}
