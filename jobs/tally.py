"""What becomes of jobs and attempts, in numbers. Called after the commit that it is about."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from core.vocabulary import ErrorCode, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.metrics import Metrics
    from core.prices import Cost, Prices
    from core.vocabulary import ImageSize
    from db.deliveries import Settled
    from db.records import JobRecord
    from providers.base import Finished


class AttemptEnd(StrEnum):
    """How an attempt ended. LOST: the job was taken from it. STOPPED: cancelled, or given back."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    WAITS_AGAIN = "WAITS_AGAIN"
    LOST = "LOST"
    STOPPED = "STOPPED"


_ENDS = {
    JobState.SUCCESS: AttemptEnd.SUCCEEDED,
    JobState.FAILED: AttemptEnd.FAILED,
    JobState.PENDING: AttemptEnd.WAITS_AGAIN,
}
_TURNED_AWAY = frozenset(
    {
        ErrorCode.PROVIDER_OVERLOADED,
        ErrorCode.PROVIDER_UNAVAILABLE,
        ErrorCode.PROVIDER_MISCONFIGURED,
    }
)
"""After these, when the provider has said them itself, there is nothing to bill."""


def note_start(metrics: Metrics, job: JobRecord) -> None:
    """A job was claimed."""
    if job.attempt == 1 and job.started_at:
        waited = job.started_at - job.created_at
        metrics.start_delay.labels(job.provider).observe(waited.total_seconds())


def note_attempt(metrics: Metrics, job: JobRecord, end: AttemptEnd) -> None:
    """An attempt ended without writing an outcome."""
    metrics.attempts.labels(job.provider, end).inc()


def note_settled(
    metrics: Metrics, job: JobRecord, settled: JobRecord, code: ErrorCode | None = None
) -> None:
    """An attempt at `job` wrote its outcome; `code`: why it failed."""
    # Not the settled job's provider: another one may be the next to try.
    provider = job.provider
    metrics.attempts.labels(provider, _ENDS[settled.state]).inc()
    if code is not None:
        metrics.attempt_errors.labels(provider, code).inc()
    if settled.block_stage is not None:
        metrics.blocked.labels(provider, settled.block_stage).inc()
    if settled.state.is_terminal:
        metrics.jobs_ended.labels(provider, settled.state).inc()


def note_frame(metrics: Metrics, job: JobRecord, settled: JobRecord, size: ImageSize) -> None:
    """A frame was painted and stored; found ones are not counted, they took no time here."""
    took_s = (settled.generation_time_ms or 0) / 1000
    metrics.generation_time.labels(job.provider, job.model, size).observe(took_s)


def note_taken_back(metrics: Metrics, jobs: Iterable[JobRecord]) -> None:
    """Jobs were taken back from a dead worker."""
    for job in jobs:
        metrics.sweeper_repairs.labels("TAKEN_BACK").inc()
        if job.state.is_terminal:
            metrics.jobs_ended.labels(job.provider, job.state).inc()


def cost_of(
    prices: Prices,
    job: JobRecord,
    outcome: str,
    finished: Finished | None,
    *,
    code: ErrorCode | None = None,
    outcome_known: bool | None = True,
) -> Cost | None:
    """What a call cost; None when that is not known."""
    if finished is not None or outcome == "SUCCEEDED":
        # A picture that was found in storage came without its account.
        usage = finished.usage if finished else dict[str, float]()
        return prices.cost_of(job.provider, job.model, usage)
    turned_away = outcome == "FAILED" and outcome_known is True and code in _TURNED_AWAY
    return prices.nothing() if turned_away else None


def note_call(metrics: Metrics, job: JobRecord, outcome: str, cost: Cost | None) -> None:
    """A provider call ended."""
    labels = (job.provider, job.model)
    metrics.provider_calls.labels(*labels, outcome).inc()
    if cost is None:
        metrics.unpriced_calls.labels(*labels).inc()
    else:
        metrics.provider_cost.labels(*labels).inc(cost.usd)


def note_delivery(metrics: Metrics, went: bool, settled: Settled) -> None:
    """A request was made to a webhook; `went`: it was answered with 2xx."""
    metrics.webhook_tries.labels("SUCCEEDED" if went else "FAILED").inc()
    metrics.webhook_messages.labels("DELIVERED").inc(settled.delivered)
    metrics.webhook_messages.labels("GIVEN_UP").inc(settled.given_up)
