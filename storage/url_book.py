"""Signed URLs that all processes of a deployment have in common, in Redis."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

from core.redis import REDIS_DOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis.asyncio import Redis

    from core.settings import Settings


class UrlBook:
    """Who signs a picture first in a window decides its URL. Without Redis each has its own.

    Some 500 bytes for each picture that is looked at in a window. Keys are of one picture each,
    and no transaction spans two.
    """

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        # What another bucket, or another key, has signed is of no use.
        about = "\n".join((settings.storage_url, settings.supabase_url, settings.s3_access_key_id))
        scope = hashlib.sha256(about.encode()).hexdigest()[:8]
        self._prefix = f"{settings.redis_prefix}:url:{scope}"

    async def read(self, window: int, keys: Sequence[str]) -> Mapping[str, str]:
        """The URLs that these keys have already."""
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.get(self._name(window, key))
        try:
            found = cast("list[bytes | None]", await pipeline.execute())
        except REDIS_DOWN:
            return {}
        return {key: url.decode() for key, url in zip(keys, found, strict=True) if url}

    async def agree(self, window: int, urls: Mapping[str, str], *, for_s: int) -> Mapping[str, str]:
        """Offer URLs for `for_s` seconds; returns those that count: of who was first."""
        pipeline: Any = self._redis.pipeline(transaction=False)
        for key, url in urls.items():
            pipeline.set(self._name(window, key), url, ex=for_s, nx=True)
            pipeline.get(self._name(window, key))
        try:
            found = cast("list[Any]", await pipeline.execute())
        except REDIS_DOWN:
            return urls
        chosen: list[bytes | None] = found[1::2]
        return {
            key: theirs.decode() if theirs else ours
            for (key, ours), theirs in zip(urls.items(), chosen, strict=True)
        }

    def _name(self, window: int, key: str) -> str:
        return f"{self._prefix}:{window}:{key}"
