"""The vocabulary's enums, with what clients should know of them."""

from __future__ import annotations

import strawberry

from core.vocabulary import (
    BlockStage,
    DisabledBecause,
    ErrorCode,
    FallOverReason,
    ImageSize,
    JobState,
    ProgressKind,
    ProviderStatus,
    SeedSupport,
    Stage,
    WebhookEvent,
    WebhookMessageState,
)

__all__ = [
    "BlockStage",
    "DisabledBecause",
    "ErrorCode",
    "FallOverReason",
    "ImageSize",
    "JobState",
    "ProgressKind",
    "ProviderStatus",
    "SeedSupport",
    "Stage",
    "WebhookEvent",
    "WebhookMessageState",
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
strawberry.enum(
    ErrorCode,
    name="ErrorCode",
    description="Why a job failed. PROVIDER_PAUSED: the provider was not even asked, as it has been"
    " failing or its quota is used up, for longer than a job waits.",
)
strawberry.enum(
    FallOverReason,
    name="FallOverReason",
    description="Why the provider that was asked for did not paint. OVERLOADED: too many requests."
    " QUOTA_USED_UP: nothing more today. UNAVAILABLE, TIMED_OUT, BAD_ANSWER: how its last try"
    " ended. PAUSED: it was not asked, as it has been failing.",
)
strawberry.enum(
    ProviderStatus,
    name="ProviderStatus",
    description="AVAILABLE: calls go well, or nothing is known. DEGRADED: the last ones failed, or"
    " it is tried again after a pause. UNAVAILABLE: it is not asked now; what is started waits for"
    " it, or is painted by another provider where that is set up.",
)
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
strawberry.enum(
    WebhookEvent,
    name="WebhookEvent",
    description="What webhooks tell of. JOB_...: a job is in this state now (PENDING: accepted, or"
    " back in the queue). GENERATION_FINISHED: all jobs of a grid have ended. In what is sent, the"
    " `type` is job.pending, job.running, job.success, job.failed, job.cancelled or"
    " generation.finished.",
)
strawberry.enum(
    WebhookMessageState,
    name="WebhookMessageState",
    description="PENDING: to be sent, or sent again. DELIVERED: answered with 2xx. FAILED: given"
    " up; `replayWebhook` sends it again.",
)
strawberry.enum(
    DisabledBecause,
    name="DisabledBecause",
    description="OWNER: `updateWebhook` said so. FAILING: it has only failed for days. GONE: it"
    " answered 410.",
)
