"""Keeping pictures: what was bought is stored under job and attempt before any commit.

First the answer as it came, then the thumbnail, then the image, then the commit: wherever a worker
dies, the next attempt takes up what it finds. The answer is doomed by that commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from core.keys import answer_key, image_key, thumbnail_key
from core.log import get_logger
from core.patience import persevere
from core.pictures import CONTENT_TYPE, PictureError, describe_stored, prepare_picture
from jobs.transactions import PATIENCE_S
from providers.base import BadProviderAnswer, Finished
from storage.base import ObjectNotFound, StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from core.pictures import Picture
    from db.records import CallRecord, JobRecord
    from storage.base import Storage

MAX_RESULT_PIXELS = 40_000_000
DECODE_DEADLINE_S = 30.0

ANSWER_TYPE = "application/octet-stream"

T = TypeVar("T")
_log = get_logger(__name__)


class _Answer(msgspec.Struct, array_like=True):
    """A provider's `Finished` as it is kept."""

    image: bytes
    model: str
    seed: int | None
    usage: dict[str, float]


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(_Answer).decode


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


async def keep_answer(storage: Storage, job: JobRecord, finished: Finished) -> None:
    """Keep what was bought as it came, before the picture is decoded and encoded again.

    That takes milliseconds, the rest some tenths of a second on a busy machine: whoever dies there
    leaves an answer to adopt. Where storage does not take it, the result is still in hand.
    """
    answer = _Answer(finished.image, finished.model, finished.seed, dict(finished.usage))
    try:
        await storage.put(answer_key(job.id, job.attempt), _encode(answer), ANSWER_TYPE)
    except StorageError as error:
        _log.warning("answer not kept", job=str(job.id), error=str(error))


async def store_result(storage: Storage, job_id: UUID, attempt: int, picture: Picture) -> None:
    """Store the picture of an attempt, the image last: where it is, all is there."""
    thumbnail, image = thumbnail_key(job_id, attempt), image_key(job_id, attempt)
    await _insistently(lambda: storage.put(thumbnail, picture.thumbnail, CONTENT_TYPE))
    await _insistently(lambda: storage.put(image, picture.content, CONTENT_TYPE))


async def _insistently(action: Callable[[], Awaitable[T]]) -> T:
    """Like `patiently`, whatever storage says: a full disk that was mounted read-only, a folder
    that is gone. What was bought is worth an operator's time.
    """
    return await persevere(
        action,
        while_=lambda error: (
            isinstance(error, StorageError) and not isinstance(error, ObjectNotFound)
        ),
        patience_s=PATIENCE_S,
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A result that an earlier attempt bought. `finished` is there when it was not stored yet."""

    picture: Picture
    attempt: int
    finished: Finished | None = None


async def find_result(
    storage: Storage, job: JobRecord, calls: Sequence[CallRecord]
) -> Found | None:
    """A result that an earlier attempt bought and could not commit, ready to be committed."""
    for call in calls:
        if call.outcome in ("FAILED", "CANCELLED"):
            continue
        found = await _stored_picture(storage, job.id, call.attempt)
        found = found or await _kept_answer(storage, job.id, call.attempt)
        if found:
            _log.info("stored result adopted", job=str(job.id), attempt=call.attempt)
            return found
    return None


async def _stored_picture(storage: Storage, job_id: UUID, attempt: int) -> Found | None:
    try:
        content = await _insistently(lambda: storage.get(image_key(job_id, attempt)))
        return Found(await describe_stored(content, deadline_s=DECODE_DEADLINE_S), attempt)
    except (ObjectNotFound, PictureError):
        return None


async def _kept_answer(storage: Storage, job_id: UUID, attempt: int) -> Found | None:
    try:
        kept = await _insistently(lambda: storage.get(answer_key(job_id, attempt)))
        answer = _decode(kept)
        finished = Finished(answer.image, answer.model, answer.seed, answer.usage)
        picture = await prepare_result(finished)
    except (ObjectNotFound, msgspec.MsgspecError, BadProviderAnswer):
        return None
    await store_result(storage, job_id, attempt, picture)
    return Found(picture, attempt, finished)
