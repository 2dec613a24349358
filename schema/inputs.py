"""What clients send."""

from __future__ import annotations

from typing import Any, NewType

import strawberry

from resolvers.generations import RegenerateRequest, StartRequest
from schema.enums import ImageSize, JobState

File = NewType("File", object)
FILE_SCALAR = strawberry.scalar(
    name="File",
    description="A file of a multipart request (GraphQL multipart request specification).",
    specified_by_url="https://github.com/jaydenseric/graphql-multipart-request-spec",
    parse_value=lambda value: value,
    serialize=lambda value: value,
)


@strawberry.input(description="What to paint. Give a prompt, a photo, or both.")
class StartGenerationInput:
    """The arguments of startGeneration."""

    prompt: str = strawberry.field(
        default="",
        description="What to paint. At most `viewer.limits.maxPromptCharacters` (1000 by default)"
        " characters, counted after folding: compatibility forms spelled out (NFKC), case folded.",
    )
    style: str = strawberry.field(default="ghibli", description="A slug from `styles`.")
    size: ImageSize = strawberry.field(
        default=ImageSize.SQUARE_1024, description="Must be one of the provider's `sizes`."
    )
    upload_id: strawberry.ID | None = strawberry.field(
        default=None, description="The photo to paint, from `createUpload`."
    )
    variant_count: int | None = strawberry.field(
        default=None, description="Frames to make, 1 to `viewer.limits.maxVariants`; default 3."
    )
    seed: int | None = strawberry.field(
        default=None,
        description="0 to 2147483647: the first frame's seed, the next frames count up from it."
        " Default: random.",
    )
    lock_seed: bool = strawberry.field(
        default=False, description="Whether `regenerate` keeps the seed by default."
    )
    provider: str | None = strawberry.field(
        default=None, description="A name from `providers`; default: the service's."
    )
    fall_over: bool | None = strawberry.field(
        default=None,
        description="Whether another provider may paint what this one cannot paint now, where the"
        " service has set that up. Default: true, but false if `provider` or `seed` is given.",
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="Any text of yours: the same key with the same input gives the first answer"
        " again for 24 hours, so a request can be repeated safely.",
    )

    def to_request(self) -> StartRequest:
        """As resolvers take it."""
        return StartRequest(
            prompt=self.prompt,
            style=self.style,
            size=self.size,
            upload_id=self.upload_id,
            variant_count=self.variant_count,
            seed=self.seed,
            lock_seed=self.lock_seed,
            provider=self.provider,
            fall_over=self.fall_over,
            idempotency_key=self.idempotency_key,
        )


@strawberry.input(description="How to make a job again. What is left out stays as it was.")
class RegenerateInput:
    """The arguments of regenerate."""

    job_id: strawberry.ID = strawberry.field(description="The job to start from.")
    prompt_delta: str = strawberry.field(
        default="",
        description='"+ with flying dragons" adds to the prompt, "- mushrooms" takes the words out'
        " and asks for a picture without them, any other text replaces the prompt; one change a"
        " line, in order. The delta and the prompt that it leads to may each have as many"
        " characters as a prompt.",
    )
    lock_seed: bool | None = strawberry.field(
        default=None,
        description="true keeps the job's seed (the same composition), false takes a new one;"
        " default: the job's `seedLocked`.",
    )
    style: str | None = strawberry.field(default=None, description="Another style's slug.")
    size: ImageSize | None = strawberry.field(default=None, description="Another size.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="As in StartGenerationInput."
    )

    def to_request(self) -> RegenerateRequest:
        """As resolvers take it."""
        return RegenerateRequest(
            job_id=self.job_id,
            prompt_delta=self.prompt_delta,
            lock_seed=self.lock_seed,
            style=self.style,
            size=self.size,
            idempotency_key=self.idempotency_key,
        )


@strawberry.input(description="Which jobs to list.")
class JobFilter:
    """Which jobs to list."""

    states: list[JobState] | None = strawberry.field(
        default=None, description="Jobs in one of these states; default: all."
    )
    generation_id: strawberry.ID | None = strawberry.field(
        default=None, description="Jobs of this generation; default: of all."
    )


SCALARS: dict[object, Any] = {File: FILE_SCALAR}
