"""Whether pictures can be stored: nothing is accepted that could not be kept."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from core.errors import Overloaded
from core.log import get_logger
from storage.base import StorageError

if TYPE_CHECKING:
    from storage.base import Storage

GOOD_FOR_S = 5.0
"""How long storage that took a probe is trusted; a probe is three small requests."""
BAD_FOR_S = 1.0
PROBE_DEADLINE_S = 3.0

_log = get_logger(__name__)


class StorageHealth:
    """One process's opinion of storage. One request at a time asks, when it is too old."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._works = True
        self._known_until_s = 0.0
        self._probing = asyncio.Lock()

    async def works(self) -> bool:
        """Whether storage takes pictures, as far as is known."""
        if time.monotonic() >= self._known_until_s and not self._probing.locked():
            async with self._probing:
                self._note(works=await self._probe())
        return self._works

    async def require(self) -> None:
        """Raise Overloaded while storage takes nothing."""
        if not await self.works():
            raise Overloaded("Pictures cannot be stored right now.", retry_after_s=5)

    def note_failure(self) -> None:
        """A write has just failed."""
        self._note(works=False)

    def _note(self, *, works: bool) -> None:
        self._works = works
        self._known_until_s = time.monotonic() + (GOOD_FOR_S if works else BAD_FOR_S)

    async def _probe(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_DEADLINE_S):
                await self._storage.check()
        except (StorageError, TimeoutError) as error:
            _log.error("storage takes nothing", error=str(error) or type(error).__name__)
            return False
        return True
