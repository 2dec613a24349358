"""Healing and tidying, in every worker: rows are locked with SKIP LOCKED, so they never collide.

Heals lost doorbells, a wiped Redis and dead leases; tidies what retention says.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from core.keys import expand
from core.log import get_logger
from db.admission import forget_old
from db.doomed import forget_doomed, forget_old_previews, take_doomed
from db.engine import is_database_down
from db.generations import delete_expired_generations
from db.lifecycle import find_dead, reap
from db.uploads import delete_unused_uploads
from db.webhooks import forget_old_messages
from db.workers import forget_silent_workers
from jobs.changes import change_of
from jobs.doorbell import Ring
from jobs.tally import note_taken_back
from storage.base import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from db.records import JobRecord
    from jobs.kit import Kit
    from jobs.runner import Runner

OVERDUE_S = 1.0
"""A pending job that did not start by then lost its doorbell, or all workers were busy."""
TIDY_INTERVAL_S = 30.0

_log = get_logger(__name__)


class Sweeper:
    """One worker's sweeps. `bell_works` says whether Redis answers."""

    def __init__(self, kit: Kit, runner: Runner, bell_works: Callable[[], bool]) -> None:
        self._kit = kit
        self._runner = runner
        self._bell_works = bell_works
        self._reap_after_s = 0.0
        self._tidy_after_s = time.monotonic() + TIDY_INTERVAL_S

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except Exception as error:
                if not is_database_down(error):
                    _log.exception("sweep failed")
                # Leases ran on while nobody could extend them: their holders come first.
                self._reap_after_s = time.monotonic() + self._kit.settings.lease_s
            await asyncio.sleep(self._kit.settings.sweep_interval_s)

    async def sweep(self) -> None:
        """One sweep."""
        overdue_s = OVERDUE_S if self._bell_works() else 0.0
        if started := await self._runner.start_overdue(overdue_s=overdue_s):
            _log.info("started jobs that no doorbell announced", jobs=started)
            self._kit.metrics.sweeper_repairs.labels("STARTED_OVERDUE").inc(started)
        if time.monotonic() >= self._reap_after_s:
            await self._reap()
        if time.monotonic() >= self._tidy_after_s:
            self._tidy_after_s = time.monotonic() + TIDY_INTERVAL_S
            await self.tidy()

    async def _reap(self) -> None:
        async with self._kit.database.read() as connection:
            dead = await find_dead(connection)
        if not dead:
            return
        shown = await self._kit.publisher.shown_progress(dead)
        async with self._kit.database.transaction() as connection:
            max_crashes = self._kit.settings.max_crashes
            jobs = await reap(connection, max_crashes=max_crashes, shown=shown)
        await announce_taken_back(self._kit, jobs)

    async def tidy(self) -> None:
        """Retention: rows and pictures that are old enough go."""
        settings = self._kit.settings
        async with self._kit.database.transaction() as connection:
            await forget_old_previews(connection, age_s=settings.preview_ttl_s)
            await delete_unused_uploads(connection, age_s=settings.upload_ttl_s)
            if settings.result_ttl_s:
                await delete_expired_generations(connection, age_s=settings.result_ttl_s)
            await forget_silent_workers(connection)
            await forget_old_messages(connection, age_s=settings.webhook_log_ttl_s)
            await forget_old(
                connection,
                hits_age_s=settings.rate_limit_window_s,
                keys_age_s=settings.idempotency_ttl_s,
            )
        while await self._delete_doomed():
            pass

    async def _delete_doomed(self) -> bool:
        """Delete some doomed objects; those that cannot be deleted stay doomed. True: go on."""
        async with self._kit.database.transaction() as connection:
            keys = await take_doomed(connection)
            if not keys:
                return False
            try:
                await self._kit.storage.delete([one for key in keys for one in expand(key)])
            except StorageError as error:
                _log.warning("pictures not deleted yet", count=len(keys), error=str(error))
                return False
            await forget_doomed(connection, keys)
            return True


async def announce_taken_back(kit: Kit, jobs: list[JobRecord]) -> None:
    """Tell followers and workers about jobs that were taken back from a dead worker."""
    if not jobs:
        return
    _log.warning("took back jobs of a dead worker", jobs=len(jobs))
    note_taken_back(kit.metrics, jobs)
    await kit.publisher.publish(change_of(job) for job in jobs)
    waiting = [Ring(job.id, job.attempt) for job in jobs if not job.state.is_terminal]
    if waiting:
        await kit.doorbell.ring(waiting)
