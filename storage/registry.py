"""Which storage a URL stands for: one line a place."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from storage.base import StorageMisconfigured
from storage.local import LocalStorage
from storage.s3 import Bucket, S3Storage
from storage.signing import UrlSigner, derive_secret
from storage.supabase import SupabaseStorage
from storage.url_book import UrlBook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from redis.asyncio import Redis

    from core.settings import Settings
    from storage.base import Storage

FILES_PATH = "/files"
"""Where the API serves local storage."""


@contextlib.asynccontextmanager
async def open_storage(
    settings: Settings, redis: Redis | None = None
) -> AsyncGenerator[Storage, None]:
    """Open the configured storage; with `redis` it signs the same URLs as others that have it.

    Raises StorageMisconfigured.
    """
    storage = _make(settings, UrlBook(redis, settings) if redis else None)
    try:
        yield storage
    finally:
        await storage.aclose()


def _make(settings: Settings, book: UrlBook | None) -> Storage:
    url = urlsplit(settings.storage_url)
    if url.scheme == "file" and not url.netloc and url.path:
        base_url = settings.public_url + FILES_PATH
        return LocalStorage(Path(unquote(url.path)), url_signer(settings), base_url)
    if url.scheme == "s3":
        return S3Storage(Bucket.of(url), settings, book)
    if url.scheme == "supabase" and url.netloc and not url.path.strip("/"):
        return SupabaseStorage.from_settings(url.netloc, settings, book)
    raise StorageMisconfigured(
        "STORAGE_URL must be file:///an/absolute/folder, s3://bucket/prefix?endpoint=... or"
        " supabase://bucket"
    )


def url_signer(settings: Settings) -> UrlSigner:
    """The signer of local storage's URLs. Raises StorageMisconfigured without any secret."""
    secret = settings.url_signing_secret.get_secret_value()
    if not secret:
        auth_secret = settings.auth_secret.get_secret_value()
        if not auth_secret:
            raise StorageMisconfigured("URL_SIGNING_SECRET or AUTH_SECRET must be set")
        secret = derive_secret(auth_secret, "picture urls")
    return UrlSigner(secret, settings.url_ttl_s)
