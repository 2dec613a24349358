"""A running job's progress on its way out: to followers at once, to Postgres with the heartbeat.

Coalesced to what a person can see: at most ten changes a second per job, all jobs of a worker in
one round trip, the newest change only.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from core.version import next_step, opens_epoch
from core.vocabulary import ProgressKind, Stage
from db.lifecycle import Beat
from jobs.changes import change_of

if TYPE_CHECKING:
    from uuid import UUID

    from db.records import JobRecord
    from jobs.publisher import Publisher

MIN_INTERVAL_S = 0.1


class Report:
    """One attempt's progress. It never goes back, not even behind an earlier attempt's."""

    def __init__(self, job: JobRecord, outbox: Outbox) -> None:
        self.job = job
        self._outbox = outbox

    def start(self) -> None:
        """Show that the job runs; what comes next need not wait for that."""
        self._outbox.put(self)

    def progress(self, percent: int, kind: ProgressKind) -> None:
        """Show progress, 0 to 99 percent: 100 is for the finished frame alone."""
        self._change(progress=max(self.job.progress, min(percent, 99)), progress_kind=kind)

    def preview(self, key: str) -> None:
        """Show a picture of the unfinished frame."""
        self._change(preview_key=key)

    def stage(self, stage: Stage) -> None:
        """Show what is being done."""
        self._change(stage=stage)

    def beat(self) -> Beat:
        """The newest state, for the next heartbeat."""
        job = self.job
        return Beat(
            id=job.id,
            attempt=job.attempt,
            version=job.version,
            progress=job.progress,
            progress_kind=job.progress_kind,
            stage=job.stage or Stage.GENERATING,
            preview_key=job.preview_key,
        )

    def _change(self, **values: object) -> None:
        changed = msgspec.structs.replace(self.job, **values)
        if changed != self.job:
            self.job = msgspec.structs.replace(changed, version=next_step(changed.version))
            self._outbox.put(self)


class Outbox:
    """The reports of a worker that have something new to say."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._waiting: dict[UUID, Report] = {}
        self._filled = asyncio.Event()
        self._sent_at_s: dict[UUID, float] = {}

    def put(self, report: Report) -> None:
        """Publish the report's newest state soon."""
        self._waiting[report.job.id] = report
        self._filled.set()

    def forget(self, job_id: UUID) -> None:
        """The attempt is over: nothing of it is published any more."""
        self._waiting.pop(job_id, None)
        self._sent_at_s.pop(job_id, None)

    async def run(self) -> None:
        """Publish what is due until cancelled."""
        while True:
            await self._filled.wait()
            now_s = asyncio.get_running_loop().time()
            due = [report for report in self._waiting.values() if self._due_at_s(report) <= now_s]
            for report in due:
                del self._waiting[report.job.id]
                if not opens_epoch(report.job.version):
                    self._sent_at_s[report.job.id] = now_s
            if due:
                await self._publisher.publish(change_of(report.job) for report in due)
            await self._pause()

    def _due_at_s(self, report: Report) -> float:
        return self._sent_at_s.get(report.job.id, -1e9) + MIN_INTERVAL_S

    async def _pause(self) -> None:
        """Sleep until the next report is due or a new one comes in."""
        self._filled.clear()
        if not self._waiting:
            return
        next_s = min(self._due_at_s(report) for report in self._waiting.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(next_s):
                await self._filled.wait()
        self._filled.set()
