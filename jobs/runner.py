"""The jobs that run in this process: slots, leases, stopping. Redis is not needed for any of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import anyio
from structlog.contextvars import bound_contextvars

from core.log import get_logger, user_tag
from core.tracing import SpanKind
from db.engine import is_database_down
from db.lifecycle import LeaseLostError, claim, claim_overdue, heartbeat, release
from jobs.attempt import Attempt
from jobs.changes import change_of
from jobs.doorbell import Ring
from jobs.reporter import Outbox, Report
from jobs.tally import note_start

if TYPE_CHECKING:
    from collections.abc import Generator
    from uuid import UUID

    from db.records import JobRecord, Work
    from jobs.kit import Kit

MAX_BEAT_INTERVAL_S = 1.0
"""Progress reaches Postgres at least this often, for readers who do not follow."""

_log = get_logger(__name__)


class _Held:
    """A job whose lease is ours."""

    def __init__(self, attempt: Attempt, report: Report) -> None:
        self.attempt = attempt
        self.report = report
        self.scope = anyio.CancelScope()
        self.released = False


class Runner:
    """Runs claimed jobs as tasks of `tasks`; sets `wake` whenever a slot becomes free.

    `takes_jobs` is false while an operator wants nothing new to start here.
    """

    def __init__(
        self, kit: Kit, outbox: Outbox, tasks: asyncio.TaskGroup, wake: asyncio.Event
    ) -> None:
        self._kit = kit
        self._outbox = outbox
        self._tasks = tasks
        self._wake = wake
        self._held: dict[UUID, _Held] = {}
        self._retries: set[asyncio.Task[None]] = set()
        self._claiming = 0
        self._cancelled: dict[UUID, bool] = {}
        self._draining = False
        self.takes_jobs = True
        self._idle = asyncio.Event()
        self._idle.set()
        kit.metrics.worker_slots.set(kit.settings.concurrency)
        kit.metrics.worker_jobs.set_function(lambda: len(self._held))

    @property
    def running(self) -> int:
        """How many jobs run here."""
        return len(self._held)

    def free_slots(self) -> int:
        """How many more jobs may start now."""
        if self._draining or not self.takes_jobs:
            return 0
        return self._kit.settings.concurrency - len(self._held) - self._claiming

    def start(self, job_id: UUID, attempt: int) -> None:
        """Claim a job that had `attempt` attempts and run it; nothing if it is taken.

        The claim is a task of ours: one that its caller could cancel in the middle of its commit
        would leave a job that is claimed and does not run.
        """
        if self.free_slots() > 0 and job_id not in self._cancelled:
            self._reserve(1)
            self._cancelled[job_id] = False
            self._tasks.create_task(self._claim(job_id, attempt))

    async def _claim(self, job_id: UUID, attempt: int) -> None:
        asked_s = time.monotonic()
        try:
            async with self._kit.database.read() as connection:
                work = await claim(
                    connection,
                    job_id,
                    attempt,
                    worker=self._kit.worker,
                    lease_s=self._kit.settings.lease_s,
                    call_now=self._kit.breakers.well,
                )
            if work is None:
                self._wake.set()
            elif time.monotonic() - asked_s >= self._kit.settings.lease_s:
                # Frozen meanwhile: others have taken the job over, and may have called.
                _log.warning("lease ran out before the claim was answered", job=str(job_id))
            else:
                self._run(work)
                if self._cancelled[job_id]:
                    self.stop(job_id)
        except Exception as error:
            if is_database_down(error):
                _log.warning("could not claim, the sweeper will", job=str(job_id))
            else:
                _log.exception("could not claim", job=str(job_id))
        finally:
            self._reserve(-1)
            del self._cancelled[job_id]

    async def start_overdue(self, *, overdue_s: float) -> int:
        """Claim and run jobs that should have started `overdue_s` ago; returns how many."""
        limit = self.free_slots()
        if limit <= 0:
            return 0
        self._reserve(limit)
        try:
            async with self._kit.database.read() as connection:
                claimed = await claim_overdue(
                    connection,
                    overdue_s=overdue_s,
                    limit=limit,
                    worker=self._kit.worker,
                    lease_s=self._kit.settings.lease_s,
                )
            for work in claimed:
                self._run(work)
        finally:
            self._reserve(-limit)
        return len(claimed)

    def stop(self, job_id: UUID) -> None:
        """Stop a job that was cancelled; nothing if it does not run here."""
        if held := self._held.get(job_id):
            self._cut(held)
        elif job_id in self._cancelled:
            # The claim is committed and its answer is on the way.
            self._cancelled[job_id] = True

    async def beat_forever(self) -> None:
        """Keep the leases and write progress, until cancelled."""
        interval_s = min(self._kit.settings.lease_s / 3, MAX_BEAT_INTERVAL_S)
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self._beat()
            except Exception as error:
                if not is_database_down(error):
                    raise
                _log.warning("no heartbeat, postgres is away", jobs=len(self._held))

    def _reserve(self, slots: int) -> None:
        """Keep slots for jobs that are being claimed; a negative number gives them back."""
        self._claiming += slots
        self._note_idle()

    def _note_idle(self) -> None:
        if self._held or self._claiming:
            self._idle.clear()
        else:
            self._idle.set()

    async def drain(self, timeout_s: float) -> None:
        """Take nothing new, let jobs finish, then give back the leases of those that do not."""
        self._draining = True
        for retry in self._retries:
            retry.cancel()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("drain time is over, giving jobs back", jobs=len(self._held))
            for held in self._held.values():
                held.released = True
                held.scope.cancel()
            await self._idle.wait()

    async def _beat(self) -> None:
        held = list(self._held.values())
        if not held:
            return
        for one in held:
            one.attempt.tick()
        beats = [one.report.beat() for one in held]
        async with self._kit.database.transaction() as connection:
            kept = await heartbeat(connection, beats, lease_s=self._kit.settings.lease_s)
        for one in held:
            if one.report.job.id not in kept and self._held.get(one.report.job.id) is one:
                self._cut(one)
            else:
                await one.attempt.begin_estimate()

    def _cut(self, held: _Held) -> None:
        # While the outcome is being written, the write itself finds out who won.
        if not held.attempt.settling:
            held.scope.cancel()

    def _run(self, work: Work) -> None:
        job = work.job
        note_start(self._kit.metrics, job)
        report = Report(job, self._outbox)
        held = _Held(Attempt(self._kit, work, report, self._ring_later), report)
        self._held[job.id] = held
        self._note_idle()
        self._tasks.create_task(self._supervise(job, held))

    async def _supervise(self, job: JobRecord, held: _Held) -> None:
        try:
            with self._about(job):
                await self._attend(job, held)
        finally:
            # An attempt that lost its lease may end after this worker has claimed the job again.
            if self._held.get(job.id) is held:
                self._outbox.forget(job.id)
                del self._held[job.id]
            self._note_idle()
            self._wake.set()

    async def _attend(self, job: JobRecord, held: _Held) -> None:
        _log.info("attempt started", provider=job.provider)
        try:
            with held.scope:
                await held.attempt.run()
            if held.scope.cancelled_caught:
                await self._after_cut(job, held)
        except Exception:
            _log.exception("attempt ended without an outcome")

    @contextlib.contextmanager
    def _about(self, job: JobRecord) -> Generator[None]:
        """Say in each line of the log what it is about, and go on with the request's trace."""
        ids = {"generation": str(job.generation_id), "job": str(job.id), "attempt": job.attempt}
        span = self._kit.tracing.span(
            "attempt",
            kind=SpanKind.FROM_QUEUE,
            parent=job.traceparent,
            attributes={f"mintari.{name}": value for name, value in ids.items()}
            | {"mintari.provider": job.provider, "mintari.model": job.model},
        )
        with bound_contextvars(user=user_tag(job.user_id), **ids), span:
            yield

    async def _after_cut(self, job: JobRecord, held: _Held) -> None:
        await held.attempt.abandon()
        if not held.released:
            _log.info("job stopped", job=str(job.id))
            return
        try:
            async with self._kit.database.transaction() as connection:
                progress = held.report.job.progress
                released = await release(connection, job.id, job.attempt, progress=progress)
        except LeaseLostError:
            return
        await self._kit.publisher.publish([change_of(released)])
        await self._kit.doorbell.ring([Ring(job.id, job.attempt)])

    def _ring_later(self, ring: Ring, delay_s: float) -> None:
        """Ring when a retry is due. If this process dies first, a sweeper finds the job."""
        if not self._draining:
            task = self._tasks.create_task(self._ring_after(ring, delay_s))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)

    async def _ring_after(self, ring: Ring, delay_s: float) -> None:
        # A little late rather than early: the database's clock has the last word.
        await asyncio.sleep(delay_s + 0.01)
        await self._kit.doorbell.ring([ring])
