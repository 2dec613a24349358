"""Taking photos in, reading and deleting them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import InvalidInput, Overloaded, UploadNotFound, UploadRejected
from core.ids import new_id
from core.keys import upload_key, upload_thumbnail_key
from core.log import get_logger
from core.pictures import AVIF, CONTENT_TYPE, FORMATS, HEIF, PictureError, prepare_picture
from db.records import NewUpload
from db.uploads import delete_upload as delete_upload_row
from db.uploads import insert_upload, is_upload_in_use
from resolvers.audit import record_accepted
from resolvers.reads import find_own
from resolvers.safety import require_allowed_photo
from storage.base import StorageError

if TYPE_CHECKING:
    from uuid import UUID

    from core.pictures import Picture
    from core.settings import Settings
    from db.records import UploadRecord
    from resolvers.context import App, Request

MAX_EDGE_PX = 2048
"""Photos are kept at most this large: no provider paints from more."""

_log = get_logger(__name__)


async def create_upload(app: App, request: Request, content: bytes) -> UploadRecord:
    """Check, re-encode and store a photo. Raises Unauthenticated, UploadRejected, Overloaded."""
    viewer = request.require_viewer()
    picture = await _picture(app, content)
    await require_allowed_photo(app, request, picture)
    upload_id = new_id()
    await _store(app, upload_id, picture)
    async with app.database.transaction() as connection:
        upload = await insert_upload(
            connection,
            NewUpload(
                id=upload_id,
                user_id=viewer.user_id,
                object_key=upload_key(upload_id),
                thumbnail_key=upload_thumbnail_key(upload_id),
                thumbhash=picture.thumbhash,
                digest=picture.digest,
                content_type=picture.content_type,
                width_px=picture.width_px,
                height_px=picture.height_px,
                size_bytes=len(picture.content),
            ),
        )
        await record_accepted(connection, request, "create_upload", subject_id=upload_id)
    return upload


async def read_upload(app: App, request: Request, id_text: str) -> UploadRecord | None:
    """The viewer's upload; None when there is none. Raises Unauthenticated."""
    return await find_own(app.reads.uploads, request, id_text)


async def delete_upload(app: App, request: Request, id_text: str) -> UploadRecord:
    """Delete a photo that no active job needs.

    Raises Unauthenticated, UploadNotFound, InvalidInput.

    Frames painted from it stay; they cannot be regenerated any more.
    """
    viewer = request.require_viewer()
    upload = await read_upload(app, request, id_text)
    if upload is None:
        raise UploadNotFound("There is no such upload.")
    async with app.database.transaction() as connection:
        if await is_upload_in_use(connection, upload.id):
            raise InvalidInput(
                "A frame is being painted from this photo. Cancel it first, or wait.", field="id"
            )
        await delete_upload_row(connection, upload.id, viewer.user_id)
    return upload


async def _picture(app: App, content: bytes) -> Picture:
    most = app.settings.upload_max_bytes
    if len(content) > most:
        raise UploadRejected(f"The file has {len(content):,} bytes; {most:,} are allowed.")
    try:
        return await prepare_picture(
            content,
            max_pixels=app.settings.upload_max_pixels,
            max_edge_px=MAX_EDGE_PX,
            deadline_s=app.settings.upload_deadline_s,
            formats=_formats(app.settings),
        )
    except PictureError as error:
        raise UploadRejected(str(error)) from None


def _formats(settings: Settings) -> tuple[str, ...]:
    asked_for = {AVIF: settings.upload_avif, HEIF: settings.upload_heic}
    return (*FORMATS, *(name for name, is_taken in asked_for.items() if is_taken))


async def _store(app: App, upload_id: UUID, picture: Picture) -> None:
    try:
        await app.storage.put(upload_thumbnail_key(upload_id), picture.thumbnail, CONTENT_TYPE)
        await app.storage.put(upload_key(upload_id), picture.content, CONTENT_TYPE)
    except StorageError as error:
        _log.error("upload not stored", error=str(error))
        app.storage_health.note_failure()
        raise Overloaded("Photos cannot be stored right now.", retry_after_s=5) from None
