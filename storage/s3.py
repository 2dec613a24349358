"""Pictures in a bucket of Amazon S3, or of what speaks like it (MinIO, R2, Ceph, ...).

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html lists the codes of errors.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from storage.base import ObjectNotFound, StorageError, StorageMisconfigured, StorageUnavailable
from storage.reuse import ReusedUrls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from urllib.parse import SplitResult

    from core.settings import Settings
    from storage.url_book import UrlBook

CONNECT_TIMEOUT_S = 5
CACHE_CONTROL = "private, max-age=31536000, immutable"
"""An object never changes; its URL says for how long it can be read."""
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"})
_PARAMETERS = frozenset({"endpoint", "public_endpoint", "region", "style"})
_KEY_CODES = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"})


@dataclass(frozen=True, slots=True)
class Bucket:
    """What `s3://bucket/prefix?endpoint=https://...&region=...` says.

    `public_endpoint` is how browsers reach the bucket, where that differs; `style` is `path` or
    `host` (the bucket in the path or in the name of the host).
    """

    name: str
    prefix: str
    endpoint: str
    public_endpoint: str
    region: str
    in_host: bool

    @classmethod
    def of(cls, url: SplitResult) -> Bucket:
        """Raises StorageMisconfigured."""
        given = dict(parse_qsl(url.query))
        if not url.hostname or set(given) - _PARAMETERS:
            known = ", ".join(sorted(_PARAMETERS))
            raise StorageMisconfigured(
                f"STORAGE_URL must be like s3://bucket/prefix, with {known} as its parameters"
            )
        endpoint = given.get("endpoint", "")
        return cls(
            name=url.hostname,
            prefix=url.path.strip("/"),
            endpoint=endpoint,
            public_endpoint=given.get("public_endpoint", endpoint),
            region=given.get("region", "us-east-1"),
            in_host=given.get("style", "path" if endpoint else "host") == "host",
        )


class S3Storage:
    """Objects in one bucket, below one prefix."""

    name: ClassVar[str] = "s3"

    def __init__(self, bucket: Bucket, settings: Settings, book: UrlBook | None = None) -> None:
        """Raises StorageMisconfigured."""
        self._bucket = bucket
        self._where = f"s3://{bucket.name}" + (f" at {bucket.endpoint}" if bucket.endpoint else "")
        self._store = _store(bucket, bucket.endpoint, settings)
        self._signer = _store(bucket, bucket.public_endpoint, settings)
        self._urls = ReusedUrls(settings.url_ttl_s, book)

    async def put(self, key: str, content: bytes, content_type: str) -> None:
        """Store `content`. Raises StorageUnavailable, StorageMisconfigured."""
        attributes = {"Content-Type": content_type, "Cache-Control": CACHE_CONTROL}
        try:
            await obstore.put_async(
                self._store, key, content, attributes=attributes, use_multipart=False
            )
        except FileNotFoundError as error:
            raise self._no_bucket() from error
        except (BaseError, OSError) as error:
            raise self._typed(error) from error

    async def get(self, key: str) -> bytes:
        """Read an object back. Raises ObjectNotFound."""
        try:
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())
        except FileNotFoundError as error:
            if _code(error) == "NoSuchBucket":
                raise self._no_bucket() from error
            raise ObjectNotFound("no such object") from None
        except (BaseError, OSError) as error:
            raise self._typed(error) from error

    async def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, a thousand at a time; a key without an object is no error."""
        doomed = list(keys)
        self._urls.forget(doomed)
        try:
            if doomed:
                await obstore.delete_async(self._store, doomed)
        except FileNotFoundError as error:
            if _code(error) == "NoSuchBucket":
                raise self._no_bucket() from error
        except (BaseError, OSError) as error:
            raise self._typed(error) from error

    async def sign(self, keys: Sequence[str]) -> Mapping[str, str]:
        """URLs of the bucket itself, by key; signed here, without a request."""
        urls = await self._urls.get(keys, self._sign)
        return {key: url for key, url in urls.items() if url}

    async def check(self) -> str:
        """Write, read back and delete a probe."""
        key, content = f"probes/{secrets.token_hex(8)}.bin", secrets.token_bytes(64)
        await self.put(key, content, "application/octet-stream")
        if await self.get(key) != content:
            raise StorageUnavailable(f"{self._where}: a probe came back with other bytes")
        await self.delete([key])
        return f"bucket {self._where}"

    async def aclose(self) -> None:
        """Connections close with the process."""

    async def _sign(self, keys: Sequence[str], life_s: int) -> Mapping[str, str | None]:
        try:
            signed = await obstore.sign_async(
                self._signer, "GET", list(keys), timedelta(seconds=life_s)
            )
        except (BaseError, OSError) as error:
            raise self._typed(error) from error
        return dict(zip(keys, signed, strict=True))

    def _no_bucket(self) -> StorageMisconfigured:
        return StorageMisconfigured(
            f"{self._where}: there is no such bucket: create it, or correct STORAGE_URL"
        )

    def _typed(self, error: Exception) -> StorageError:
        """What an error means, by its code and status; the library knows no finer types."""
        code, status, where = _code(error), _status(error), self._where
        if code == "NoSuchBucket":
            return self._no_bucket()
        if code in _FULL or status == 507:
            return StorageUnavailable(f"{where} is full ({code or status}): make room")
        if code == "RequestTimeTooSkewed":
            return StorageMisconfigured(f"{where}: the clock of this machine is wrong")
        if code in _KEY_CODES or status == 401:
            return StorageMisconfigured(
                f"{where} does not take the credentials ({code or status}): correct"
                " S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"
            )
        if status == 403:
            return StorageMisconfigured(
                f"{where} forbids this ({code or status}): it takes the rights to get, put,"
                " delete and list objects"
            )
        if status in (408, 429) or status is None or status >= 500:
            reason = f"{code or status}" if status else _first_line(error)
            return StorageUnavailable(f"{where} cannot be reached or is overloaded: {reason}")
        return StorageMisconfigured(
            f"{where} does not take our requests ({code or status}): correct STORAGE_URL"
            " (bucket, endpoint, region, style)"
        )


def _store(bucket: Bucket, endpoint: str, settings: Settings) -> S3Store:
    """Without keys in the settings, AWS's own sources count (environment, machine's role)."""
    secret = settings.s3_secret_access_key.get_secret_value()
    options: dict[str, Any] = {"region": bucket.region}
    if endpoint:
        options["endpoint"] = endpoint
    if settings.s3_access_key_id:
        options |= {"access_key_id": settings.s3_access_key_id, "secret_access_key": secret}
    try:
        return S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            virtual_hosted_style_request=bucket.in_host,
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "timeout": timedelta(seconds=settings.storage_timeout_s),
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
            },
            # Writers try again themselves, for much longer.
            retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=5)},
            **options,
        )
    except (BaseError, ValueError) as error:
        raise StorageMisconfigured(f"STORAGE_URL: {_first_line(error)}") from None


def _code(error: Exception) -> str:
    match = _CODE.search(str(error))
    return match[1] if match else ""


def _status(error: Exception) -> int | None:
    match = _STATUS.search(str(error))
    return int(match[1]) if match else None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
