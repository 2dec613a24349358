"""Reads of many at once: whoever wants a job read while a read is under way waits for the next.

After a restart thousands of clients come back in the same second; they cost a few queries.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from uuid import UUID

MAX_AT_ONCE = 1000
"""Jobs in one query; a row has some 500 bytes."""


class Snapshots:
    """Gathers ids and reads them with `read`. `run` must be running."""

    def __init__(self, read: Callable[[Sequence[UUID]], Awaitable[None]]) -> None:
        self._read = read
        self._asked: dict[UUID, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()

    async def read(self, ids: Iterable[UUID]) -> None:
        """Return when all were read. Raises what reading raised."""
        loop = asyncio.get_running_loop()
        futures = [self._asked.setdefault(one, loop.create_future()) for one in ids]
        self._wake.set()
        for future in futures:
            # Others wait for the same read: whoever gives up must not cancel it for them.
            await asyncio.shield(future)

    async def run(self) -> None:
        """Read what is asked for, until cancelled."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._asked:
                    await self._read_some()
        finally:
            for future in self._asked.values():
                future.cancel()

    async def _read_some(self) -> None:
        ids = list(self._asked)[:MAX_AT_ONCE]
        futures = [self._asked.pop(one) for one in ids]
        try:
            await self._read(ids)
        except Exception as error:
            for future in futures:
                future.set_exception(error)
                future.exception()  # nobody may be left to ask for it
        except BaseException:
            for future in futures:
                future.cancel()
            raise
        else:
            for future in futures:
                future.set_result(None)
