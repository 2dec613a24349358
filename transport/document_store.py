"""Documents that clients have registered by their hash: in Redis, the last ones here as well."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, cast

from core.log import get_logger
from core.redis import REDIS_DOWN
from transport.manifest import document_hash

if TYPE_CHECKING:
    from redis.asyncio import Redis

TTL_S = 24 * 3600
"""Since a document was last asked for; a client that meets an unknown hash sends the text again."""
MAX_STORED = 1000
"""In Redis, with at most 32 KB each; the oldest make room."""
MAX_KEPT = 256
"""In this process."""

# The index knows all of them by age, so that their number has an end.
_KEEP = """
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[4])
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[3])
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[2], over)
  for i = 1, #oldest, 2 do redis.call('DEL', KEYS[2] .. ':' .. oldest[i]) end
end
"""

_log = get_logger(__name__)


class DocumentStore:
    """The registered documents of one deployment. Without Redis, those of this process."""

    def __init__(self, index: str) -> None:
        """`index` is a key with a hash tag: all that it names is beside it in a Cluster."""
        self._index = index
        self._kept: OrderedDict[str, str] = OrderedDict()

    def at_hand(self, sha256: str) -> str | None:
        """The text with this hash, if this process has it."""
        if text := self._kept.get(sha256):
            self._kept.move_to_end(sha256)
        return text

    async def find(self, redis: Redis, sha256: str) -> str | None:
        """The text with this hash, if it was registered not too long ago. Never raises."""
        if text := self.at_hand(sha256):
            return text
        try:
            found = cast("bytes | None", await redis.getex(self._key(sha256), ex=TTL_S))
        except REDIS_DOWN as error:
            _log.debug("documents not read", error=type(error).__name__)
            return None
        text = found.decode("utf-8", "replace") if found else None
        # What else writes to this Redis must not choose what clients execute.
        if text is None or document_hash(text) != sha256:
            return None
        self._remember(sha256, text)
        return text

    async def keep(self, redis: Redis, sha256: str, text: str) -> None:
        """Register a text under its hash. Never raises."""
        if sha256 in self._kept:
            return
        self._remember(sha256, text)
        try:
            await redis.register_script(_KEEP)(
                keys=[self._key(sha256), self._index],
                args=[sha256, text, MAX_STORED, TTL_S, time.time()],
            )
        except REDIS_DOWN as error:
            _log.debug("document not stored", error=type(error).__name__)

    def _remember(self, sha256: str, text: str) -> None:
        self._kept[sha256] = text
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def _key(self, sha256: str) -> str:
        return f"{self._index}:{sha256}"
