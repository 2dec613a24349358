"""Keys of stored objects. They are ours alone: nothing a client sends is part of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


def upload_key(upload_id: UUID) -> str:
    """The re-encoded photo."""
    return f"uploads/{upload_id}/photo.webp"


def upload_thumbnail_key(upload_id: UUID) -> str:
    """The photo's thumbnail."""
    return f"uploads/{upload_id}/thumbnail.webp"


def image_key(job_id: UUID, attempt: int) -> str:
    """A finished frame: named by job and attempt, so that a later attempt can adopt it."""
    return f"images/{job_id}/{attempt}.webp"


def thumbnail_key(job_id: UUID, attempt: int) -> str:
    """A finished frame's thumbnail."""
    return f"images/{job_id}/{attempt}-thumbnail.webp"


def preview_key(job_id: UUID, attempt: int, number: int) -> str:
    """A picture of an unfinished frame."""
    return f"previews/{job_id}/{attempt}-{number}.webp"
