"""Signed URLs that stay the same for a while, although each signing makes a new one."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Sign = Callable[[Sequence[str], int], Awaitable[Mapping[str, str | None]]]

MAX_KEPT_URLS = 10_000
LONGEST_LIFE_S = 7 * 86_400
"""What S3 signs at most."""


class ReusedUrls:
    """Remembers URLs. One is signed for twice `ttl_s` and handed out for the first half of that.

    So browsers keep their pictures, and a message for many subscribers is the same bytes; a URL
    that is handed out holds for `ttl_s` seconds or more. Each API process has URLs of its own:
    S3 and Supabase put the second of the signing into them, which cannot be rounded.
    """

    def __init__(self, ttl_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._life_s = min(2 * ttl_s, LONGEST_LIFE_S)
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def get(self, keys: Sequence[str], sign: Sign) -> dict[str, str | None]:
        """A URL for each key; those that are new or old are signed in one call.

        `sign` gets keys and a life in seconds; None for a key is passed on and not remembered.
        """
        now_s = self._clock()
        found: dict[str, str | None] = {}
        for key in keys:
            if url := self._fresh(key, now_s):
                found[key] = url
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            for key, url in (await sign(missing, self._life_s)).items():
                found[key] = url and self._keep(key, url, now_s)
        return {key: found[key] for key in keys}

    def forget(self, keys: Sequence[str]) -> None:
        """The objects are gone."""
        for key in keys:
            self._kept.pop(key, None)

    def _fresh(self, key: str, now_s: float) -> str | None:
        kept = self._kept.get(key)
        return kept[1] if kept and now_s < kept[0] + self._life_s / 2 else None

    def _keep(self, key: str, url: str, now_s: float) -> str:
        """Remember a URL, or stay with the one that somebody else has got meanwhile."""
        if other := self._fresh(key, now_s):
            return other
        self._kept[key] = (now_s, url)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT_URLS:
            self._kept.popitem(last=False)
        return url
