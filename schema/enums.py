"""The vocabulary's enums, with what clients should know of them."""

from __future__ import annotations

import strawberry

from core.vocabulary import (
    BlockStage,
    ErrorCode,
    ImageSize,
    JobState,
    ProgressKind,
    SeedSupport,
    Stage,
)

__all__ = [
    "BlockStage",
    "ErrorCode",
    "ImageSize",
    "JobState",
    "ProgressKind",
    "SeedSupport",
    "Stage",
]

strawberry.enum(
    JobState,
    name="JobState",
    description="PENDING waits in the queue, RUNNING is painted by a worker; SUCCESS, FAILED and"
    " CANCELLED are final.",
)
strawberry.enum(Stage, name="Stage", description="What is being done for a job.")
strawberry.enum(
    ProgressKind,
    name="ProgressKind",
    description="MEASURED: real steps of the provider. ESTIMATED: from how long such frames took"
    " lately. INDETERMINATE: unknown, show no bar.",
)
strawberry.enum(ImageSize, name="ImageSize", description="Width and height of a frame, in pixels.")
strawberry.enum(ErrorCode, name="ErrorCode", description="Why a job failed.")
strawberry.enum(
    BlockStage,
    name="BlockStage",
    description="Whether the input or the result was blocked.",
)


strawberry.enum(
    SeedSupport,
    name="SeedSupport",
    description="EXACT: the same seed gives the same picture. BEST_EFFORT: a similar one.",
)
