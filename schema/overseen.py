"""What operators see of the work of all users: never a prompt, a photo or a picture."""

from __future__ import annotations

from datetime import datetime

import strawberry

from db.operating import CostRecord, OverseenJob
from db.pauses import EVERYTHING, PauseRecord
from db.queue import QueueLength as QueueLengthRecord
from db.workers import WorkerRecord
from schema.enums import ErrorCode, JobState


@strawberry.type(description="Jobs of one provider that are in one state.")
class QueueLength:
    """Jobs of one provider in one state."""

    provider: str = strawberry.field(description="The provider.")
    state: JobState = strawberry.field(description="PENDING or RUNNING.")
    jobs: int = strawberry.field(description="How many.")
    oldest_seconds: float = strawberry.field(
        description="How long the first that may start has been waiting; 0 for those that run."
    )

    @classmethod
    def from_record(cls, one: QueueLengthRecord) -> QueueLength:
        """As operators see it."""
        return cls(
            provider=one.provider, state=one.state, jobs=one.jobs, oldest_seconds=one.oldest_s
        )


@strawberry.type(description="Something whose jobs do not start.")
class QueuePause:
    """A pause."""

    provider: str | None = strawberry.field(description="The provider; null: the whole queue.")
    paused_by: strawberry.ID = strawberry.field(description="The operator who did it.")
    paused_at: datetime = strawberry.field(description="When.")

    @classmethod
    def from_record(cls, one: PauseRecord) -> QueuePause:
        """As operators see it."""
        return cls(
            provider=None if one.provider == EVERYTHING else one.provider,
            paused_by=strawberry.ID(one.paused_by),
            paused_at=one.paused_at,
        )


@strawberry.type(description="A worker process.")
class Worker:
    """A worker."""

    name: str = strawberry.field(description="Its name; give it to `drainWorker`.")
    slots: int = strawberry.field(description="Jobs that it runs at once.")
    running: int = strawberry.field(description="Jobs that it runs now.")
    draining: bool = strawberry.field(
        description="Whether it takes nothing new; it can be stopped when `running` is 0."
    )
    started_at: datetime = strawberry.field(description="When it started.")
    seen_at: datetime = strawberry.field(
        description="When it was heard of last; every 2 s if all is well."
    )

    @classmethod
    def from_record(cls, one: WorkerRecord) -> Worker:
        """As operators see it."""
        return cls(
            name=one.name,
            slots=one.slots,
            running=one.running,
            draining=one.draining,
            started_at=one.started_at,
            seen_at=one.seen_at,
        )


@strawberry.type(description="What a user's calls of one provider cost on one day.")
class DailyCost:
    """Costs of a day, a user, a provider."""

    day: str = strawberry.field(description="The day, UTC, like 2026-11-22.")
    user_id: strawberry.ID = strawberry.field(description="The user.")
    provider: str = strawberry.field(description="The provider.")
    calls: int = strawberry.field(description="Calls that were begun.")
    unknown_calls: int = strawberry.field(
        description="Calls among them whose cost is not known; they are not in `costUsd`."
    )
    cost_usd: float = strawberry.field(description="US dollars.")

    @classmethod
    def from_record(cls, one: CostRecord) -> DailyCost:
        """As operators see it."""
        return cls(
            day=one.day.isoformat(),
            user_id=strawberry.ID(one.user_id),
            provider=one.provider,
            calls=one.calls,
            unknown_calls=one.unknown,
            cost_usd=one.cost_usd,
        )


@strawberry.type(description="A job of any user, without what was asked for and what came out.")
class JobOverview:
    """A job as operators see it."""

    id: strawberry.ID = strawberry.field(description="Unique identifier.")
    user_id: strawberry.ID = strawberry.field(description="Whose it is.")
    state: JobState = strawberry.field(description="Where it is in its life.")
    provider: str = strawberry.field(description="The image provider's name.")
    model: str = strawberry.field(description="The provider's model.")
    attempt: int = strawberry.field(description="How often a worker has taken it.")
    retry_count: int = strawberry.field(description="How often it was tried again after a failure.")
    crash_count: int = strawberry.field(description="How often it lost its worker.")
    worker_name: str | None = strawberry.field(description="Who runs it; null unless RUNNING.")
    error_code: ErrorCode | None = strawberry.field(
        description="Why it failed; null unless FAILED."
    )
    ready_at: datetime = strawberry.field(description="From when on it may start.")
    created_at: datetime = strawberry.field(description="When it was accepted.")
    started_at: datetime | None = strawberry.field(description="When a worker first took it.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")

    @classmethod
    def from_record(cls, job: OverseenJob) -> JobOverview:
        """As operators see it."""
        return cls(
            id=strawberry.ID(str(job.id)),
            user_id=strawberry.ID(job.user_id),
            state=job.state,
            provider=job.provider,
            model=job.model,
            attempt=job.attempt,
            retry_count=job.retry_count,
            crash_count=job.crash_count,
            worker_name=job.worker_name,
            error_code=job.error_code,
            ready_at=job.ready_at,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
        )
