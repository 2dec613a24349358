"""Job and Generation: one frame, and the grid that it belongs to."""

from __future__ import annotations

from datetime import datetime

import strawberry

from core.errors import JOB_ERROR_MESSAGES, RETRYABLE_CODES
from db.records import GenerationRecord, JobRecord
from resolvers.estimates import Eta as Estimate
from schema.context import Info
from schema.costs import COUNTED, ListSize
from schema.enums import (
    BlockStage,
    ErrorCode,
    FallOverReason,
    ImageSize,
    JobState,
    ProgressKind,
    Stage,
)
from schema.pictures import Image, Preview, Upload


@strawberry.type(description="Why a job ended as FAILED.")
class JobError:
    """Why a job failed."""

    code: ErrorCode = strawberry.field(description="For programs.")
    message: str = strawberry.field(description="For people; safe to show.")
    retryable: bool = strawberry.field(
        description="Whether the same request may succeed when it is made again."
    )
    block_stage: BlockStage | None = strawberry.field(
        description="With CONTENT_BLOCKED: what was blocked. Otherwise null."
    )

    @classmethod
    def from_job(cls, job: JobRecord) -> JobError | None:
        """The error of a failed job."""
        if job.error_code is None:
            return None
        return cls(
            code=job.error_code,
            message=JOB_ERROR_MESSAGES[job.error_code],
            retryable=job.error_code in RETRYABLE_CODES,
            block_stage=job.block_stage,
        )


@strawberry.type(description="When a running job is expected to end, from this service's history.")
class Eta:
    """When a running job is expected to end."""

    p50_at: datetime = strawberry.field(description="Half of such frames were done by then.")
    p90_at: datetime = strawberry.field(description="Nine in ten of such frames were done by then.")
    sample_size: int = strawberry.field(description="How many recent frames this is made from.")

    @classmethod
    def from_estimate(cls, eta: Estimate | None) -> Eta | None:
        """As clients see it."""
        return eta and cls(p50_at=eta.p50_at, p90_at=eta.p90_at, sample_size=eta.sample_size)


@strawberry.type(description="Another provider than the one that was asked for paints a job.")
class FallOver:
    """Another provider paints it."""

    requested_provider: str = strawberry.field(description="The one that was asked for.")
    reason: FallOverReason = strawberry.field(description="Why that one does not paint it.")

    @classmethod
    def from_job(cls, job: JobRecord) -> FallOver | None:
        """Of a job whose provider has changed."""
        if job.requested_provider is None or job.fall_over_reason is None:
            return None
        return cls(requested_provider=job.requested_provider, reason=job.fall_over_reason)


@strawberry.type(
    description="One frame, made in the background. The same type everywhere: the mutation returns"
    " it, the query reads it, the subscription carries it with a higher version."
)
class Job:
    """One frame of a generation."""

    record: strawberry.Private[JobRecord]
    id: strawberry.ID = strawberry.field(description="Unique identifier.")
    variant: int = strawberry.field(description="Place in the grid, from 0.")
    version: int = strawberry.field(
        description="Grows with every visible change. Keep the highest; anything lower is stale."
    )
    state: JobState = strawberry.field(description="Where it is in its life.")
    stage: Stage | None = strawberry.field(
        description="What is being done for it; null once it has ended."
    )
    progress: int = strawberry.field(
        description="0 to 100 percent; never goes back, 100 only for SUCCESS."
    )
    progress_kind: ProgressKind = strawberry.field(description="How `progress` came about.")
    seed: int = strawberry.field(
        description="What randomness starts from, 0 to 2147483647. It means something to its"
        " provider and model only."
    )
    seed_locked: bool = strawberry.field(
        description="Whether `regenerate` keeps the seed unless told otherwise."
    )
    provider: str = strawberry.field(
        description="The image provider that paints it, or painted it; it changes with `fallOver`."
    )
    model: str = strawberry.field(description="The provider's model.")
    fall_over: FallOver | None = strawberry.field(
        description="Set once another provider than the one asked for paints it; null otherwise."
    )
    retry_count: int = strawberry.field(description="How often it was tried again after a failure.")
    generation_time_ms: int | None = strawberry.field(
        description="How long the successful attempt took, milliseconds; null before."
    )
    preview: Preview | None = strawberry.field(
        description="The newest picture of the unfinished frame; null before there is one."
    )
    image: Image | None = strawberry.field(description="The finished frame; null before SUCCESS.")
    error: JobError | None = strawberry.field(description="Why it failed; null unless FAILED.")
    created_at: datetime = strawberry.field(description="When it was accepted.")
    started_at: datetime | None = strawberry.field(
        description="When a worker first took it; null while it waits, and set anew after it was"
        " held for its provider or went to another one."
    )
    finished_at: datetime | None = strawberry.field(
        description="When it ended; null while it is PENDING or RUNNING."
    )

    @strawberry.field(description="The grid that it belongs to.")
    async def generation(self, info: Info) -> Generation:
        """The generation."""
        found = await info.context.loaders.generation(self.record.generation_id)
        if found is None:
            raise LookupError("the generation was deleted")
        return Generation.from_record(found)

    @strawberry.field(
        description="Place in the queue, from 1; null unless PENDING. Counts all users' jobs.",
        directives=[COUNTED],
    )
    async def queue_position(self, info: Info) -> int | None:
        """Place in the queue."""
        if self.record.state is not JobState.PENDING:
            return None
        return await info.context.loaders.queue_position(self.record.id)

    @strawberry.field(description="Null unless RUNNING, and while there is no history.")
    async def eta(self, info: Info) -> Eta | None:
        """When it is expected to end."""
        generation = await info.context.loaders.generation(self.record.generation_id)
        if generation is None:
            return None
        return Eta.from_estimate(await info.context.app.estimates.eta(self.record, generation.size))

    @strawberry.field(description="Hash of everything that makes its grid's pictures.")
    async def prompt_hash(self, info: Info) -> str | None:
        """The generation's prompt hash."""
        generation = await info.context.loaders.generation(self.record.generation_id)
        return generation.prompt_hash if generation else None

    @strawberry.field(
        description="Style, prompt and safety text as the provider gets them: one paragraph each,"
        " in this order. The same for all frames of a grid."
    )
    async def assembled_prompt(self, info: Info) -> str | None:
        """The generation's assembled prompt."""
        generation = await info.context.loaders.generation(self.record.generation_id)
        return generation.assembled_prompt if generation else None

    @strawberry.field(description="The job that it was made from with `regenerate`; null if none.")
    async def regenerated_from(self, info: Info) -> Job | None:
        """The parent in the lineage."""
        if self.record.regenerated_from is None:
            return None
        found = await info.context.loaders.job(self.record.regenerated_from)
        return found and Job.from_record(found)

    @strawberry.field(
        description="Jobs that were made from it with `regenerate`, oldest first.",
        directives=[ListSize(assumed_size=10)],
    )
    async def regenerations(self, info: Info) -> list[Job]:
        """The children in the lineage."""
        found = await info.context.loaders.regenerations(self.record.id)
        return [Job.from_record(job) for job in found]

    @classmethod
    def from_record(cls, job: JobRecord) -> Job:
        """As clients see it."""
        return cls(
            record=job,
            id=strawberry.ID(str(job.id)),
            variant=job.variant,
            version=job.version,
            state=job.state,
            stage=job.stage,
            progress=job.progress,
            progress_kind=job.progress_kind,
            seed=job.seed,
            seed_locked=job.seed_locked,
            provider=job.provider,
            model=job.model,
            fall_over=FallOver.from_job(job),
            retry_count=job.retry_count,
            generation_time_ms=job.generation_time_ms,
            preview=Preview(key=job.preview_key) if job.preview_key else None,
            image=Image.from_job(job),
            error=JobError.from_job(job),
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
        )


@strawberry.type(description="What the viewer asked for once: one grid of frames.")
class Generation:
    """One grid."""

    record: strawberry.Private[GenerationRecord]
    id: strawberry.ID = strawberry.field(description="Unique identifier.")
    prompt: str = strawberry.field(description="What to paint; empty if only a photo was given.")
    prompt_delta: str | None = strawberry.field(
        description="The change that `regenerate` was asked for; null if none."
    )
    assembled_prompt: str = strawberry.field(
        description="Style, prompt and safety text as the provider gets them: one paragraph each,"
        " in this order."
    )
    negative_prompt: str = strawberry.field(description="What the pictures must not show.")
    style: str = strawberry.field(description="The style's slug.")
    size: ImageSize = strawberry.field(description="The size that was asked for.")
    variant_count: int = strawberry.field(description="How many frames the grid has.")
    seed: int | None = strawberry.field(
        description="The first frame's seed as asked for; null if the service chose it."
    )
    seed_locked: bool = strawberry.field(description="Whether the seeds are kept by default.")
    provider: str = strawberry.field(
        description="The image provider that was asked for; a job's own says who paints it."
    )
    prompt_hash: str = strawberry.field(
        description="Hash of everything that makes the pictures; the same for identical requests."
    )
    created_at: datetime = strawberry.field(description="When it was accepted.")

    @strawberry.field(
        description="Its frames, in grid order.", directives=[ListSize(assumed_size=3)]
    )
    async def jobs(self, info: Info) -> list[Job]:
        """The frames."""
        found = await info.context.loaders.jobs_of_generation(self.record.id)
        return [Job.from_record(job) for job in found]

    @strawberry.field(description="The photo that is painted; null if none, or if it was deleted.")
    async def upload(self, info: Info) -> Upload | None:
        """The photo."""
        if self.record.upload_id is None:
            return None
        found = await info.context.loaders.upload(self.record.upload_id)
        return found and Upload.from_record(found)

    @classmethod
    def from_record(cls, generation: GenerationRecord) -> Generation:
        """As clients see it."""
        return cls(
            record=generation,
            id=strawberry.ID(str(generation.id)),
            prompt=generation.prompt,
            prompt_delta=generation.prompt_delta,
            assembled_prompt=generation.assembled_prompt,
            negative_prompt=generation.negative_prompt,
            style=generation.style,
            size=generation.size,
            variant_count=generation.variant_count,
            seed=generation.seed,
            seed_locked=generation.seed_locked,
            provider=generation.provider,
            prompt_hash=generation.prompt_hash,
            created_at=generation.created_at,
        )
