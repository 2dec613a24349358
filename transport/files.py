"""Pictures over HTTP: local storage by signed URL, the styles' samples, uploads by plain POST."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.responses import FileResponse, JSONResponse, Response

from core.errors import MintariError, RequestError, RetryLaterError
from core.pictures import CONTENT_TYPE
from resolvers.uploads import create_upload
from storage.base import ObjectNotFound
from storage.local import LocalStorage
from transport.identity import identify
from transport.parameters import READ_DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from core.auth import Verifier
    from db.records import UploadRecord
    from resolvers.context import App

# Pictures are of our own making, but they are served as if they were not.
_SAFE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
}
# A key's content never changes, and its signature is part of the URL.
_IMMUTABLE = {**_SAFE, "cache-control": "private, max-age=31536000, immutable"}


async def serve_file(request: Request) -> Response:
    """GET /files/{key}: an object of local storage, to whoever has a URL that we signed."""
    app: App = request.app.state.service
    storage, key, query = app.storage, request.path_params["key"], request.query_params
    if not isinstance(storage, LocalStorage) or not storage.is_signed(
        key, query.get("expires", ""), query.get("signature", "")
    ):
        return JSONResponse(
            {"error": "This address has expired or is not valid. Ask the API for a new one."},
            status_code=403,
            headers=_SAFE,
        )
    try:
        path = storage.path(key)
    except ObjectNotFound:
        path = None
    if path is None or not path.is_file():
        return JSONResponse({"error": "There is no such picture."}, 404, headers=_SAFE)
    return FileResponse(path, media_type=CONTENT_TYPE, headers=_IMMUTABLE)


async def serve_style_sample(request: Request) -> Response:
    """GET /styles/{slug}.webp: a style's sample picture, for everybody."""
    app: App = request.app.state.service
    style = app.styles.get(request.path_params["slug"])
    if style is None or style.sample is None:
        return JSONResponse({"error": "There is no such style."}, 404, headers=_SAFE)
    headers = {**_SAFE, "cache-control": "public, max-age=3600"}
    return FileResponse(style.sample, media_type=CONTENT_TYPE, headers=headers)


def upload_endpoint(verifier: Verifier) -> Callable[[Request], Awaitable[Response]]:
    """POST /uploads: a photo as the body, or as the field `file` of a form."""

    async def upload(request: Request) -> Response:
        app: App = request.app.state.service
        try:
            identity = await identify(verifier, request)
            identity.require_viewer()
            content = await _content_in_time(request, app)
            if content is None:
                message = "The photo did not arrive in time."
                return JSONResponse({"error": {"code": "TIMEOUT", "message": message}}, 408)
            created = await create_upload(app, identity, content)
        except MintariError as error:
            return _error_response(error)
        return JSONResponse(await _described(app, created), status_code=201)

    return upload


async def _described(app: App, upload: UploadRecord) -> dict[str, object]:
    urls = await app.storage.sign([upload.object_key, upload.thumbnail_key])
    return {
        "id": str(upload.id),
        "url": urls[upload.object_key],
        "thumbnailUrl": urls[upload.thumbnail_key],
        "thumbhash": upload.thumbhash,
        "width": upload.width_px,
        "height": upload.height_px,
        "bytes": upload.size_bytes,
        "contentType": upload.content_type,
    }


async def _content_in_time(request: Request, app: App) -> bytes | None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READ_DEADLINE_S):
            return await _content(request, app)
    return None


async def _content(request: Request, app: App) -> bytes:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1, max_fields=8) as form:
        file = form.get("file")
        if file is None or isinstance(file, str):
            return b""
        return await file.read(app.settings.upload_max_bytes + 1)


def _error_response(error: MintariError) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, RetryLaterError):
        headers["retry-after"] = str(error.retry_after_s)
    status = error.status if isinstance(error, RequestError) else 422
    return JSONResponse(
        {"error": {"code": error.code, "message": error.message}},
        status_code=status,
        headers=headers,
    )
