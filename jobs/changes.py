"""What travels when a job changes: the part of a job that can change, nothing else.

Whoever follows a job read its constant part once; a change laid over it gives the whole job.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # msgspec reads the annotations
from uuid import UUID  # noqa: TC003

import msgspec

from core.version import next_epoch
from core.vocabulary import (  # msgspec reads the annotations
    BlockStage,
    ErrorCode,
    FallOverReason,
    JobState,
    ProgressKind,
    Stage,
)
from db.records import JobRecord  # noqa: TC001


class JobChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job's changeable part at one version. Keys of pictures, never their bytes."""

    id: UUID
    version: int
    state: JobState
    progress: int
    progress_kind: ProgressKind
    attempt: int
    retry_count: int
    seed: int
    model: str
    provider: str | None = None
    """None only in a change by a worker of the release before."""
    requested_provider: str | None = None
    fall_over_reason: FallOverReason | None = None
    stage: Stage | None = None
    preview_key: str | None = None
    image_key: str | None = None
    thumbnail_key: str | None = None
    thumbhash: str | None = None
    content_type: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    size_bytes: int | None = None
    generation_time_ms: int | None = None
    error_code: ErrorCode | None = None
    block_stage: BlockStage | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


_FIELDS = JobChange.__struct_fields__
_decoder = msgspec.json.Decoder(JobChange)


def change_of(job: JobRecord) -> JobChange:
    """The changeable part of a job."""
    return JobChange(**{name: getattr(job, name) for name in _FIELDS})


def apply(change: JobChange, job: JobRecord) -> JobRecord:
    """The job as it is at a change that came through `after`."""
    return msgspec.structs.replace(job, **msgspec.structs.asdict(change))


def after(change: JobChange, newest: JobChange) -> JobChange:
    """The change as it is shown after `newest`: progress that was shown never goes back."""
    if change.progress >= newest.progress and change.provider is not None:
        return change
    return msgspec.structs.replace(
        change,
        progress=max(newest.progress, change.progress),
        provider=change.provider or newest.provider,
    )


def gone(newest: JobChange) -> JobChange:
    """What followers of a deleted job are told: it is cancelled, and that is the end."""
    return msgspec.structs.replace(
        newest, state=JobState.CANCELLED, stage=None, version=next_epoch(newest.version)
    )


def encode(change: JobChange) -> bytes:
    """As JSON, some 300 bytes."""
    return msgspec.json.encode(change)


def decode(data: bytes) -> JobChange:
    """Read a change. Raises msgspec.DecodeError."""
    return _decoder.decode(data)
