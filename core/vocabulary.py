"""The words that SDL, Python, SQL and TypeScript share. One word per thing."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class JobState(StrEnum):
    """Where a job is in its life. SUCCESS, FAILED and CANCELLED are terminal."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        """True once nothing about the job can change any more."""
        return self in TERMINAL_STATES


TERMINAL_STATES = frozenset({JobState.SUCCESS, JobState.FAILED, JobState.CANCELLED})


class Stage(StrEnum):
    """What is being done for a job right now."""

    QUEUED = "QUEUED"
    GENERATING = "GENERATING"
    DOWNLOADING = "DOWNLOADING"
    MODERATING = "MODERATING"
    STORING = "STORING"


class ProgressKind(StrEnum):
    """How a progress number came about."""

    MEASURED = "MEASURED"
    ESTIMATED = "ESTIMATED"
    INDETERMINATE = "INDETERMINATE"


class SeedSupport(StrEnum):
    """What a provider makes of a seed."""

    EXACT = "EXACT"
    BEST_EFFORT = "BEST_EFFORT"
    NONE = "NONE"


class SizePx(NamedTuple):
    """A picture's width and height in pixels."""

    width: int
    height: int


class ImageSize(StrEnum):
    """The sizes that can be asked for; a provider may offer fewer."""

    SQUARE_512 = "SQUARE_512"
    SQUARE_768 = "SQUARE_768"
    SQUARE_1024 = "SQUARE_1024"
    PORTRAIT_1024X1536 = "PORTRAIT_1024X1536"
    LANDSCAPE_1536X1024 = "LANDSCAPE_1536X1024"

    @property
    def px(self) -> SizePx:
        """Width and height in pixels."""
        return _SIZES_PX[self]


_SIZES_PX = {
    ImageSize.SQUARE_512: SizePx(512, 512),
    ImageSize.SQUARE_768: SizePx(768, 768),
    ImageSize.SQUARE_1024: SizePx(1024, 1024),
    ImageSize.PORTRAIT_1024X1536: SizePx(1024, 1536),
    ImageSize.LANDSCAPE_1536X1024: SizePx(1536, 1024),
}


class ErrorCode(StrEnum):
    """Why a job ended as FAILED. Safe to show; `resolvers` and clients switch on it."""

    TIMEOUT = "TIMEOUT"
    PROVIDER_OVERLOADED = "PROVIDER_OVERLOADED"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    PROVIDER_MISCONFIGURED = "PROVIDER_MISCONFIGURED"
    PROVIDER_PAUSED = "PROVIDER_PAUSED"
    BAD_PROVIDER_ANSWER = "BAD_PROVIDER_ANSWER"
    CONTENT_BLOCKED = "CONTENT_BLOCKED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    UPLOAD_GONE = "UPLOAD_GONE"
    WORKER_CRASHED = "WORKER_CRASHED"
    INTERNAL = "INTERNAL"


class FallOverReason(StrEnum):
    """Why the provider that was asked for did not paint a job. Safe to show."""

    OVERLOADED = "OVERLOADED"
    QUOTA_USED_UP = "QUOTA_USED_UP"
    UNAVAILABLE = "UNAVAILABLE"
    TIMED_OUT = "TIMED_OUT"
    BAD_ANSWER = "BAD_ANSWER"
    PAUSED = "PAUSED"


class ProviderStatus(StrEnum):
    """Whether a provider is asked for pictures now."""

    AVAILABLE = "AVAILABLE"
    DEGRADED = "DEGRADED"
    UNAVAILABLE = "UNAVAILABLE"


class CostBasis(StrEnum):
    """How it is known what a call cost: its own account, the price of a picture, or no bill."""

    USAGE = "USAGE"
    PICTURE = "PICTURE"
    TURNED_AWAY = "TURNED_AWAY"


class BlockStage(StrEnum):
    """Where content was blocked: what went in, or what came out."""

    INPUT = "INPUT"
    OUTPUT = "OUTPUT"


class WebhookEvent(StrEnum):
    """What webhooks tell of; the values are the `type` of what they send."""

    JOB_PENDING = "job.pending"
    JOB_RUNNING = "job.running"
    JOB_SUCCESS = "job.success"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    GENERATION_FINISHED = "generation.finished"


class WebhookMessageState(StrEnum):
    """Where a message of a webhook is in its life."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class DisabledBecause(StrEnum):
    """Why a webhook is told nothing."""

    OWNER = "OWNER"
    FAILING = "FAILING"
    GONE = "GONE"
