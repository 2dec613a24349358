"""Rows as the rest of the product sees them: immutable, typed, without SQLAlchemy."""

from __future__ import annotations

from datetime import datetime  # msgspec reads the annotations
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import msgspec

from core.vocabulary import (  # noqa: TC001  # msgspec reads the annotations
    BlockStage,
    ErrorCode,
    FallOverReason,
    ImageSize,
    JobState,
    ProgressKind,
    Stage,
)

if TYPE_CHECKING:
    from sqlalchemy import Row, RowMapping


class NewUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A user's source photo to insert; the database adds the time."""

    id: UUID
    user_id: str
    object_key: str
    thumbnail_key: str
    thumbhash: str
    digest: str
    content_type: str
    width_px: int
    height_px: int
    size_bytes: int


class UploadRecord(NewUpload, frozen=True, kw_only=True):
    """A user's source photo, as stored."""

    created_at: datetime


class NewGeneration(msgspec.Struct, frozen=True, kw_only=True):
    """A generation to insert; the database adds the time."""

    id: UUID
    user_id: str
    prompt: str
    prompt_delta: str | None
    style: str
    style_version: int
    size: ImageSize
    upload_id: UUID | None
    had_upload: bool
    variant_count: int
    seed: int | None
    seed_locked: bool
    provider: str
    model: str
    assembled_prompt: str
    negative_prompt: str
    prompt_hash: str
    fall_over: bool


class GenerationRecord(NewGeneration, frozen=True, kw_only=True):
    """What the user asked for once: one grid."""

    created_at: datetime


class JobRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One frame of a generation."""

    id: UUID
    generation_id: UUID
    user_id: str
    variant: int
    state: JobState
    stage: Stage | None
    progress: int
    progress_kind: ProgressKind
    version: int
    seed: int
    seed_locked: bool
    provider: str
    model: str
    requested_provider: str | None
    fall_over_reason: FallOverReason | None
    regenerated_from: UUID | None
    attempt: int
    retry_count: int
    provider_retries: int
    crash_count: int
    ready_at: datetime
    preview_key: str | None
    image_key: str | None
    thumbnail_key: str | None
    thumbhash: str | None
    content_type: str | None
    width_px: int | None
    height_px: int | None
    size_bytes: int | None
    digest: str | None
    generation_time_ms: int | None
    error_code: ErrorCode | None
    block_stage: BlockStage | None
    traceparent: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed job, and what a worker needs besides it.

    `call_entered`: the ledger has a row for its call already, so it may be made at once.
    """

    job: JobRecord
    generation: GenerationRecord
    upload: UploadRecord | None
    call_entered: bool = False


class CallRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger: one provider call."""

    job_id: UUID
    attempt: int
    provider: str
    model: str
    outcome: str
    external_id: str | None
    resumed_from: int | None
    error_code: ErrorCode | None
    outcome_known: bool | None
    started_at: datetime
    ended_at: datetime | None


R = TypeVar("R", bound=msgspec.Struct)


def to_record(row: RowMapping, kind: type[R]) -> R:
    """Turn a row into a record; columns that the record does not have are left out."""
    values = {name: row[name] for name in kind.__struct_fields__}
    return msgspec.convert(values, kind, builtin_types=(UUID, datetime))


_WORK = (JobRecord, GenerationRecord, UploadRecord)


def work_columns(jobs: str) -> str:
    """The first columns that `to_work` needs; `jobs` is the alias of the job's table."""
    aliases = (jobs, "generations", "uploads")
    return ", ".join(columns(kind, alias) for kind, alias in zip(_WORK, aliases, strict=True))


def to_work(row: Row[Any]) -> Work:
    """Turn a row of `work_columns` and `call_entered` into a job with what belongs to it."""
    values = iter(row)
    job, generation, upload = (
        dict(zip(kind.__struct_fields__, values, strict=False)) for kind in _WORK
    )
    found = {
        "job": job,
        "generation": generation,
        "upload": upload if upload["id"] else None,
        "call_entered": next(values),
    }
    return msgspec.convert(found, Work, builtin_types=(UUID, datetime))


def columns(kind: type[msgspec.Struct], alias: str = "") -> str:
    """The column list that a record needs, for SQL text."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(prefix + name for name in kind.__struct_fields__)


def to_json(value: Any) -> str:
    """Encode a value for a JSONB parameter."""
    return msgspec.json.encode(value).decode()
