"""Mutations. Expected failures are members of the result's union, each with code and message."""

from __future__ import annotations

from typing import Annotated

import strawberry
from starlette.datastructures import UploadFile

from core.errors import UploadRejected as UploadRejectedError
from resolvers.generations import cancel_generation, delete_generation, regenerate, start_generation
from resolvers.jobs import cancel_job
from resolvers.uploads import create_upload, delete_upload
from schema.context import Info
from schema.costs import PICTURE, WRITE, ListSize
from schema.errors import (
    GenerationNotFound,
    IdempotencyConflict,
    InvalidInput,
    JobNotFound,
    NotRegenerable,
    PromptRejected,
    UploadNotFound,
    UploadRejected,
)
from schema.inputs import File, RegenerateInput, StartGenerationInput
from schema.jobs import Generation, Job
from schema.operating import OperatorMutations
from schema.pictures import Upload
from schema.webhooks import WebhookMutations

Id = Annotated[strawberry.ID, strawberry.argument(description="Its id.")]


@strawberry.type(description="The photo was stored.")
class UploadCreated:
    """Success of createUpload."""

    upload: Upload = strawberry.field(description="The photo, as stored.")


@strawberry.type(description="The grid was accepted; follow its jobs with `jobProgress`.")
class GenerationStarted:
    """Success of startGeneration."""

    generation: Generation = strawberry.field(description="The grid.")
    deduplicated: bool = strawberry.field(
        description="An identical grid of yours was still being made: this is that one."
    )
    replayed: bool = strawberry.field(
        description="The idempotency key was known: this is the first answer's grid."
    )


@strawberry.type(description="A new job was accepted, in a grid of its own.")
class JobRegenerated:
    """Success of regenerate."""

    job: Job = strawberry.field(description="The new job; `regeneratedFrom` is the old one.")
    deduplicated: bool = strawberry.field(description="As in GenerationStarted.")
    replayed: bool = strawberry.field(description="As in GenerationStarted.")


@strawberry.type(description="The job has ended. Cancelling twice is no error.")
class JobCancelled:
    """Success of cancelJob."""

    job: Job = strawberry.field(description="CANCELLED, or as it had ended before.")
    billed: bool = strawberry.field(
        description="Whether the provider had been called, and so may have billed."
    )


@strawberry.type(description="All of the grid's jobs have ended.")
class GenerationCancelled:
    """Success of cancelGeneration."""

    generation: Generation = strawberry.field(description="The grid.")
    cancelled_jobs: list[Job] = strawberry.field(
        description="Jobs that this call cancelled.", directives=[ListSize(assumed_size=3)]
    )
    billed: bool = strawberry.field(
        description="Whether a provider had been called for one of them."
    )


@strawberry.type(description="Rows are deleted; pictures follow within a minute.")
class GenerationDeleted:
    """Success of deleteGeneration."""

    id: strawberry.ID = strawberry.field(description="What was deleted.")


@strawberry.type(description="The photo is deleted. Frames painted from it stay.")
class UploadDeleted:
    """Success of deleteUpload."""

    id: strawberry.ID = strawberry.field(description="What was deleted.")


CreateUploadResult = Annotated[
    UploadCreated | UploadRejected,
    strawberry.union("CreateUploadResult", description="What became of createUpload."),
]
StartGenerationResult = Annotated[
    GenerationStarted | InvalidInput | PromptRejected | UploadNotFound | IdempotencyConflict,
    strawberry.union("StartGenerationResult", description="What became of startGeneration."),
]
RegenerateResult = Annotated[
    JobRegenerated
    | InvalidInput
    | PromptRejected
    | JobNotFound
    | NotRegenerable
    | UploadNotFound
    | IdempotencyConflict,
    strawberry.union("RegenerateResult", description="What became of regenerate."),
]
CancelJobResult = Annotated[
    JobCancelled | JobNotFound,
    strawberry.union("CancelJobResult", description="What became of cancelJob."),
]
CancelGenerationResult = Annotated[
    GenerationCancelled | GenerationNotFound,
    strawberry.union("CancelGenerationResult", description="What became of cancelGeneration."),
]
DeleteGenerationResult = Annotated[
    GenerationDeleted | GenerationNotFound,
    strawberry.union("DeleteGenerationResult", description="What became of deleteGeneration."),
]
DeleteUploadResult = Annotated[
    UploadDeleted | UploadNotFound | InvalidInput,
    strawberry.union("DeleteUploadResult", description="What became of deleteUpload."),
]


@strawberry.type(description="Everything that can be changed.")
class Mutation(OperatorMutations, WebhookMutations):
    """Everything that can be changed."""

    @strawberry.mutation(
        description="Store a photo: PNG, JPEG or WebP (AVIF and HEIC where the service is set to"
        " take them). It is re-encoded, upright and without metadata. Multipart requests need the"
        " header `GraphQL-Require-Preflight: 1`.",
        directives=[PICTURE],
    )
    async def create_upload(
        self,
        info: Info,
        file: Annotated[File, strawberry.argument(description="The photo.")],
    ) -> CreateUploadResult:
        """Store a photo."""
        if not isinstance(file, UploadFile):  # pyright: ignore[reportUnnecessaryIsInstance]  # a scalar holds what was sent
            raise UploadRejectedError(
                "`file` must be a file of a multipart request. Plain HTTP works too: POST /uploads."
            )
        content = await file.read(info.context.app.settings.upload_max_bytes + 1)
        upload = await create_upload(info.context.app, info.context.request, content)
        return UploadCreated(upload=Upload.from_record(upload))

    @strawberry.mutation(
        description="Accept a grid of frames, whole or not at all.", directives=[WRITE]
    )
    async def start_generation(
        self,
        info: Info,
        input: Annotated[StartGenerationInput, strawberry.argument(description="What to paint.")],
    ) -> StartGenerationResult:
        """Accept a grid."""
        context = info.context
        admitted = context.admitted or await start_generation(
            context.app, context.request, input.to_request()
        )
        return GenerationStarted(
            generation=Generation.from_record(admitted.generation),
            deduplicated=admitted.deduplicated,
            replayed=admitted.replayed,
        )

    @strawberry.mutation(
        description="Make a new job from an old one, linked to it.", directives=[WRITE]
    )
    async def regenerate(
        self,
        info: Info,
        input: Annotated[RegenerateInput, strawberry.argument(description="From what, and how.")],
    ) -> RegenerateResult:
        """Make a job again."""
        context = info.context
        admitted = context.admitted or await regenerate(
            context.app, context.request, input.to_request()
        )
        return JobRegenerated(
            job=Job.from_record(admitted.jobs[0]),
            deduplicated=admitted.deduplicated,
            replayed=admitted.replayed,
        )

    @strawberry.mutation(
        description="End a job at once; its worker stops within a second.", directives=[WRITE]
    )
    async def cancel_job(self, info: Info, id: Id) -> CancelJobResult:
        """Cancel a job."""
        job, cancelled = await cancel_job(info.context.app, info.context.request, id)
        return JobCancelled(job=Job.from_record(job), billed=cancelled.billed)

    @strawberry.mutation(
        description="End all jobs of a grid that have not ended.", directives=[WRITE]
    )
    async def cancel_generation(self, info: Info, id: Id) -> CancelGenerationResult:
        """Cancel a grid."""
        generation, cancelled = await cancel_generation(info.context.app, info.context.request, id)
        return GenerationCancelled(
            generation=Generation.from_record(generation),
            cancelled_jobs=[Job.from_record(job) for job in cancelled.jobs],
            billed=cancelled.billed,
        )

    @strawberry.mutation(
        description="Cancel what runs and delete a grid with its pictures.", directives=[WRITE]
    )
    async def delete_generation(self, info: Info, id: Id) -> DeleteGenerationResult:
        """Delete a grid."""
        deleted = await delete_generation(info.context.app, info.context.request, id)
        return GenerationDeleted(id=strawberry.ID(str(deleted.id)))

    @strawberry.mutation(
        description="Delete a photo that no running job needs.", directives=[WRITE]
    )
    async def delete_upload(self, info: Info, id: Id) -> DeleteUploadResult:
        """Delete a photo."""
        deleted = await delete_upload(info.context.app, info.context.request, id)
        return UploadDeleted(id=strawberry.ID(str(deleted.id)))
