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


def answer_key(job_id: UUID, attempt: int) -> str:
    """What a provider sent, as it came: kept until the frame made from it is committed."""
    return f"answers/{job_id}/{attempt}.bin"


def attempt_keys(job_id: UUID, attempt: int) -> tuple[str, str, str]:
    """All that an attempt may have stored, but for its previews."""
    return answer_key(job_id, attempt), thumbnail_key(job_id, attempt), image_key(job_id, attempt)


MAX_PREVIEWS = 32
"""Previews that one attempt may store, so that they can all be removed without a list."""


def preview_key(job_id: UUID, attempt: int, number: int) -> str:
    """A picture of an unfinished frame; `number` counts from 1 to MAX_PREVIEWS."""
    return f"previews/{job_id}/{attempt}-{number}.webp"


def all_previews(job_id: UUID, attempt: int) -> str:
    """Stands for every preview that an attempt may have stored; see `expand`."""
    return f"previews/{job_id}/{attempt}-*"


def expand(key: str) -> list[str]:
    """The keys that a key stands for: itself, unless it is from `all_previews`."""
    if not key.endswith("-*"):
        return [key]
    return [f"{key[:-1]}{number}.webp" for number in range(1, MAX_PREVIEWS + 1)]
