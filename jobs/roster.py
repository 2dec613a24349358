"""A worker on the roster: it says that it is there, and hears whether it is to be drained."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from core.log import get_logger
from db.engine import is_database_down
from db.workers import enter_worker, leave_worker, note_worker

if TYPE_CHECKING:
    from jobs.kit import Kit
    from jobs.runner import Runner

INTERVAL_S = 2.0

_log = get_logger(__name__)


class Roster:
    """One worker's entry."""

    def __init__(self, kit: Kit, runner: Runner) -> None:
        self._kit = kit
        self._runner = runner
        self._entered = False

    async def run(self) -> None:
        """Keep the entry, until cancelled."""
        while True:
            try:
                await self._note()
            except Exception as error:
                if not is_database_down(error):
                    raise
            await asyncio.sleep(INTERVAL_S)

    async def _note(self) -> None:
        name, slots = self._kit.worker, self._kit.settings.concurrency
        async with self._kit.database.transaction() as connection:
            if not self._entered:
                await enter_worker(connection, name, slots=slots)
            draining = await note_worker(
                connection, name, slots=slots, running=self._runner.running
            )
        self._entered = True
        if draining is self._runner.takes_jobs:
            _log.info("worker takes nothing new" if draining else "worker takes jobs", worker=name)
        self._runner.takes_jobs = not draining

    async def leave(self) -> None:
        """Take the entry away. Never raises."""
        try:
            async with self._kit.database.transaction() as connection:
                await leave_worker(connection, self._kit.worker)
        except Exception as error:
            # It is dropped when it has been silent for a while.
            _log.debug("entry not taken away", error=type(error).__name__)
