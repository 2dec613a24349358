"""Signed URLs that stay the same for a while, although each signing makes a new one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from storage.url_book import UrlBook

    Sign = Callable[[Sequence[str], int], Awaitable[Mapping[str, str | None]]]

MAX_KEPT_URLS = 10_000
LONGEST_LIFE_S = 7 * 86_400
"""What S3 signs at most."""


class ReusedUrls:
    """Remembers URLs. One is signed for twice `ttl_s`, and handed out until its window ends.

    Windows are `ttl_s` seconds of the clock, so a URL that is handed out holds for that long or
    more. S3 and Supabase put the second of the signing into a URL, which cannot be rounded: with
    a `book` all processes hand out the URL that the first of them has signed. So browsers keep
    their pictures, whichever process answers, and answers are the same bytes.
    """

    def __init__(
        self, ttl_s: int, book: UrlBook | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._life_s = min(2 * ttl_s, LONGEST_LIFE_S)
        self._book = book
        self._clock = clock
        self._window = -1
        self._kept: dict[str, str] = {}

    async def get(self, keys: Sequence[str], sign: Sign) -> dict[str, str | None]:
        """A URL for each key; those that nobody has signed yet are signed in one call.

        `sign` gets keys and a life in seconds; None for a key is passed on and not remembered.
        """
        kept = self._kept_now()
        found: dict[str, str | None] = {key: kept[key] for key in keys if key in kept}
        if missing := [key for key in dict.fromkeys(keys) if key not in found]:
            found |= await self._find(missing, sign)
        return {key: found[key] for key in keys}

    def forget(self, keys: Sequence[str]) -> None:
        """The objects are gone."""
        for key in keys:
            self._kept.pop(key, None)

    async def _find(self, keys: Sequence[str], sign: Sign) -> Mapping[str, str | None]:
        window, kept = self._window, self._kept
        found: dict[str, str | None] = {}
        if self._book:
            found |= await self._book.read(window, keys)
        if unsigned := [key for key in keys if key not in found]:
            found |= await sign(unsigned, self._life_s)
            new = {key: url for key in unsigned if (url := found[key])}
            if self._book and new:
                found |= await self._book.agree(window, new, for_s=self._life_s // 2)
        for key, url in found.items():
            # Others may have found one meanwhile.
            if url:
                found[key] = kept.setdefault(key, url)
        while len(kept) > MAX_KEPT_URLS:
            del kept[next(iter(kept))]
        return found

    def _kept_now(self) -> dict[str, str]:
        window = int(self._clock() // (self._life_s / 2))
        if window != self._window:
            self._window, self._kept = window, {}
        return self._kept
