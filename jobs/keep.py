"""Keeping pictures: what was bought is stored under job and attempt before any commit."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from core.keys import image_key, thumbnail_key
from core.log import get_logger
from core.patience import persevere
from core.pictures import CONTENT_TYPE, PictureError, describe_stored, prepare_picture
from providers.base import BadProviderAnswer
from storage.base import ObjectNotFound, StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from core.pictures import Picture
    from db.records import CallRecord, JobRecord
    from providers.base import Finished
    from storage.base import Storage

MAX_RESULT_PIXELS = 40_000_000
DECODE_DEADLINE_S = 30.0
PATIENCE_S = 600.0
"""How long a bought picture is held while storage or Postgres is away."""

T = TypeVar("T")
_log = get_logger(__name__)


async def patiently(action: Callable[[], Awaitable[T]], patience_s: float = PATIENCE_S) -> T:
    """Do something with storage, again and again while it is away. Raises StorageError."""
    return await persevere(
        action,
        while_=lambda error: isinstance(error, StorageError) and error.retryable,
        patience_s=patience_s,
    )


async def prepare_result(finished: Finished) -> Picture:
    """Check and re-encode what a provider sent. Raises BadProviderAnswer."""
    try:
        return await prepare_picture(
            finished.image,
            max_pixels=MAX_RESULT_PIXELS,
            max_edge_px=None,
            deadline_s=DECODE_DEADLINE_S,
        )
    except PictureError as error:
        raise BadProviderAnswer(str(error)) from None


async def store_result(storage: Storage, job: JobRecord, picture: Picture) -> None:
    """Store the picture of this attempt, the image last: where it is, all is there."""
    thumbnail = thumbnail_key(job.id, job.attempt)
    await patiently(lambda: storage.put(thumbnail, picture.thumbnail, CONTENT_TYPE))
    image = image_key(job.id, job.attempt)
    await patiently(lambda: storage.put(image, picture.content, CONTENT_TYPE))


async def find_stored_result(
    storage: Storage, job: JobRecord, calls: Sequence[CallRecord]
) -> tuple[Picture, int] | None:
    """A picture that an earlier attempt stored and could not commit, and that attempt."""
    for call in calls:
        if call.outcome in ("FAILED", "CANCELLED"):
            continue
        key = image_key(job.id, call.attempt)
        with contextlib.suppress(ObjectNotFound, PictureError):
            content = await patiently(lambda key=key: storage.get(key))
            picture = await describe_stored(content, deadline_s=DECODE_DEADLINE_S)
            _log.info("stored result adopted", job=str(job.id), attempt=call.attempt)
            return picture, call.attempt
    return None
