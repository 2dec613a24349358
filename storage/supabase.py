"""Pictures in a bucket of Supabase Storage, private, read through URLs that it signs.

Contract: https://supabase.github.io/storage and https://github.com/supabase/storage. Its errors
come with HTTP status 400 and the true status as a text in the body.
"""

from __future__ import annotations

import ipaddress
import secrets
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from storage.base import ObjectNotFound, StorageError, StorageMisconfigured, StorageUnavailable
from storage.reuse import ReusedUrls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.settings import Settings
    from storage.url_book import UrlBook

CONNECT_TIMEOUT_S = 5.0
CACHE_CONTROL = "max-age=31536000"
DELETED_AT_ONCE = 1000
"""What the API takes in one request."""
_FULL_STATUSES = (402, 507)


class _Error(msgspec.Struct, rename="camel"):
    status_code: str | int = ""
    error: str = ""
    message: str = ""
    code: str = ""


class _Signed(msgspec.Struct):
    path: str | None = None
    signed_url: str | None = msgspec.field(name="signedURL", default=None)


class SupabaseStorage:
    """Objects in one bucket."""

    name: ClassVar[str] = "supabase"

    def __init__(
        self,
        bucket: str,
        url: str,
        key: str,
        *,
        ttl_s: int,
        timeout_s: float,
        book: UrlBook | None = None,
    ) -> None:
        """Raises StorageMisconfigured."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise StorageMisconfigured("SUPABASE_URL must be like https://project.supabase.co")
        if not key:
            raise StorageMisconfigured("SUPABASE_SERVICE_KEY is not set")
        self._bucket = bucket
        self._key = key
        self._base_url = f"{url.rstrip('/')}/storage/v1"
        self._host = parts.hostname
        self._urls = ReusedUrls(ttl_s, book)
        # A key of the new kind is no token: as one it would be refused.
        token = {} if key.startswith("sb_") else {"authorization": f"Bearer {key}"}
        self._client = httpx.AsyncClient(
            headers={"apikey": key, **token},
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            trust_env=not _is_loopback(parts.hostname),
        )

    @classmethod
    def from_settings(
        cls, bucket: str, settings: Settings, book: UrlBook | None = None
    ) -> SupabaseStorage:
        """As SUPABASE_URL and SUPABASE_SERVICE_KEY say. Raises StorageMisconfigured."""
        return cls(
            bucket,
            settings.supabase_url,
            settings.supabase_service_key.get_secret_value(),
            ttl_s=settings.url_ttl_s,
            timeout_s=settings.storage_timeout_s,
            book=book,
        )

    async def put(self, key: str, content: bytes, content_type: str) -> None:
        """Store `content`. Raises StorageUnavailable, StorageMisconfigured."""
        await self._ask(
            "POST",
            self._path(key),
            content=content,
            headers={
                "content-type": content_type,
                "cache-control": CACHE_CONTROL,
                "x-upsert": "true",
            },
        )

    async def get(self, key: str) -> bytes:
        """Read an object back. Raises ObjectNotFound."""
        return (await self._ask("GET", self._path(key))).content

    async def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; a key without an object is no error."""
        doomed = list(keys)
        self._urls.forget(doomed)
        for start in range(0, len(doomed), DELETED_AT_ONCE):
            body = {"prefixes": doomed[start : start + DELETED_AT_ONCE]}
            await self._ask_json("DELETE", f"/object/{self._bucket}", body)

    async def sign(self, keys: Sequence[str]) -> Mapping[str, str]:
        """URLs that Supabase signs, by key, in one request.

        A key without an object gets a URL that answers 400, as local storage's answer 404.
        """
        urls = await self._urls.get(keys, self._sign)
        return {key: url or self._base_url + self._path(key) for key, url in urls.items()}

    async def check(self) -> str:
        """Write, read back and delete a probe."""
        key, content = f"probes/{secrets.token_hex(8)}.bin", secrets.token_bytes(64)
        await self.put(key, content, "application/octet-stream")
        if await self.get(key) != content:
            raise StorageUnavailable(f"{self._host}: a probe came back with other bytes")
        await self.delete([key])
        return f"bucket {self._bucket} at {self._base_url}"

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _sign(self, keys: Sequence[str], life_s: int) -> Mapping[str, str | None]:
        body = {"paths": list(keys), "expiresIn": life_s}
        answer = await self._ask_json("POST", f"/object/sign/{self._bucket}", body)
        try:
            signed = msgspec.json.decode(answer.content, type=list[_Signed])
        except msgspec.MsgspecError:
            raise self._not_supabase(answer) from None
        urls: dict[str, str | None] = dict.fromkeys(keys)
        for item in signed:
            if item.path in urls and item.signed_url:
                urls[item.path] = self._base_url + item.signed_url
        return urls

    def _path(self, key: str) -> str:
        return f"/object/{self._bucket}/{quote(key)}"

    async def _ask_json(self, method: str, path: str, body: object) -> httpx.Response:
        content = msgspec.json.encode(body)
        headers = {"content-type": "application/json"}
        return await self._ask(method, path, content=content, headers=headers)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request. Raises StorageError for all but success."""
        try:
            answer = await self._client.request(
                method, self._base_url + path, content=content, headers=headers
            )
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise StorageUnavailable(
                f"{self._host} cannot be reached: check SUPABASE_URL, or whether it is up"
            ) from None
        except httpx.HTTPError as error:
            raise StorageUnavailable(f"{self._host}: {type(error).__name__}") from None
        if not answer.is_success:
            raise self._error_of(answer)
        return answer

    def _error_of(self, answer: httpx.Response) -> StorageError:
        try:
            error = msgspec.json.decode(answer.content, type=_Error)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            if answer.status_code in (429, *range(500, 600)):
                return StorageUnavailable(f"{self._host} answered {answer.status_code}")
            return self._not_supabase(answer)
        status = int(error.status_code) if str(error.status_code).isdigit() else answer.status_code
        return self._typed(status, error)

    def _typed(self, status: int, error: _Error) -> StorageError:
        where = f"bucket {self._bucket} at {self._host}"
        # Some servers repeat the key in their refusal.
        said = f"{error.code or error.error}: {error.message}".replace(self._key, "***")[:200]
        if error.code == "NoSuchBucket" or error.message == "Bucket not found":
            return StorageMisconfigured(f"{where} does not exist: create it (private)")
        if status == 404:
            return ObjectNotFound("no such object")
        if status in (401, 403):
            return StorageMisconfigured(
                f"{where} does not take the key: correct SUPABASE_SERVICE_KEY ({said})"
            )
        if status in _FULL_STATUSES:
            return StorageUnavailable(f"{where} is full: make room or raise the quota ({said})")
        if status == 413:
            return StorageMisconfigured(f"{where}: raise the size that a file may have ({said})")
        if status == 415:
            return StorageMisconfigured(f"{where}: allow the type image/webp ({said})")
        if status == 429 or status >= 500:
            return StorageUnavailable(f"{where} is overloaded or down: {status} {said}")
        return StorageMisconfigured(f"{where} does not take our request: {status} {said}")

    def _not_supabase(self, answer: httpx.Response) -> StorageMisconfigured:
        return StorageMisconfigured(
            f"{self._host} answered {answer.status_code} and not as Supabase does:"
            " check SUPABASE_URL"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
