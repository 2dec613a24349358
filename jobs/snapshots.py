"""Reads of many at once: whoever wants a job read while a read is under way waits for the next.

After a restart thousands of clients come back in the same second; they cost a few queries.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from uuid import UUID

MAX_AT_ONCE = 1000
"""Jobs in one query; a row has some 500 bytes."""


class _Batch:
    """Jobs that are read together, and when that is done."""

    __slots__ = ("done", "ids")

    def __init__(self) -> None:
        self.ids: list[UUID] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Snapshots:
    """Gathers ids and reads them with `read`. `run` must be running."""

    def __init__(self, read: Callable[[Sequence[UUID]], Awaitable[None]]) -> None:
        self._read = read
        self._waiting: deque[_Batch] = deque()
        self._batches: dict[UUID, _Batch] = {}
        """Where an id waits."""
        self._wake = asyncio.Event()

    async def read(self, ids: Iterable[UUID]) -> None:
        """Return when all were read. Raises what reading raised."""
        batches = dict.fromkeys([self._batches.get(one) or self._add(one) for one in ids])
        self._wake.set()
        for batch in batches:
            # Others wait for the same read: whoever gives up must not cancel it for them.
            await asyncio.shield(batch.done)

    def _add(self, wanted: UUID) -> _Batch:
        if not self._waiting or len(self._waiting[-1].ids) >= MAX_AT_ONCE:
            self._waiting.append(_Batch())
        batch = self._batches[wanted] = self._waiting[-1]
        batch.ids.append(wanted)
        return batch

    async def run(self) -> None:
        """Read what is asked for, until cancelled."""
        try:
            while await self._wake.wait():
                self._wake.clear()
                while self._waiting:
                    await self._read_one(self._waiting.popleft())
        finally:
            for batch in self._waiting:
                batch.done.cancel()

    async def _read_one(self, batch: _Batch) -> None:
        for one in batch.ids:
            del self._batches[one]
        try:
            await self._read(batch.ids)
        except Exception as error:
            batch.done.set_exception(error)
            batch.done.exception()  # nobody may be left to ask for it
        except BaseException:
            batch.done.cancel()
            raise
        else:
            batch.done.set_result(None)
