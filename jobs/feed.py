"""Following jobs: one hub per API process between Redis and all of its subscriptions.

A follower is registered before anything is read, then gets a snapshot of each job, then only
higher versions, and ends after the last terminal state. It keeps the newest change per job and
no queue, so a slow client gets the newest state and costs no memory. Postgres is read again when
Redis was away, and now and then in any case: a lost message costs seconds, never the end.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from core.errors import JobNotFound
from core.log import get_logger
from core.pubsub import Subscriber
from db.jobs import read_jobs, read_jobs_of_any_user, read_versions
from jobs.changes import JobChange, apply, change_of, decode, gone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from uuid import UUID

    from core.settings import Settings
    from db.engine import Database
    from db.records import JobRecord
    from jobs.channels import Channels
    from jobs.publisher import Publisher

RECONCILE_S = 5.0
"""How often Postgres is asked for the versions of all followed jobs while Redis is there."""
RECONCILE_WITHOUT_REDIS_S = 0.5
"""The same while Redis is away: then this is the feed."""

_log = get_logger(__name__)


class _Follower:
    """One subscription: what it has seen and the newest change of each job that it has not."""

    def __init__(self, job_ids: Sequence[UUID]) -> None:
        self.job_ids = tuple(dict.fromkeys(job_ids))
        self.jobs: dict[UUID, JobRecord] = {}
        self.pending: dict[UUID, JobChange] = {}
        self.changed = asyncio.Event()

    def offer(self, change: JobChange) -> None:
        waiting = self.pending.get(change.id)
        if waiting is None or waiting.version < change.version:
            self.pending[change.id] = change
            self.changed.set()

    def take(self) -> list[JobRecord]:
        """The jobs that changed since the last call, each at its newest version."""
        self.changed.clear()
        pending, self.pending = self.pending, {}
        taken: list[JobRecord] = []
        for job_id, change in pending.items():
            job = self.jobs[job_id]
            if change.version > job.version:
                self.jobs[job_id] = apply(change, job)
                taken.append(self.jobs[job_id])
        return taken

    @property
    def ended(self) -> bool:
        return all(job.state.is_terminal for job in self.jobs.values())


class Feed:
    """The hub. `run` must be running for changes to arrive."""

    def __init__(
        self, settings: Settings, database: Database, publisher: Publisher, channels: Channels
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._channels = channels
        self._followers: dict[UUID, set[_Follower]] = {}
        self._stale = asyncio.Event()
        self._subscriber = Subscriber(settings, self._on_message, self._stale.set)

    async def run(self) -> None:
        """Keep the connection and the truth, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._subscriber.run())
            tasks.create_task(self._reconcile_forever())

    @property
    def follower_count(self) -> int:
        """How many subscriptions follow jobs here."""
        return len(set[_Follower]().union(*self._followers.values()))

    async def follow(
        self, job_ids: Sequence[UUID], user_id: str
    ) -> AsyncGenerator[JobRecord, None]:
        """Yield a snapshot of each job, then every newer version, until all have ended.

        Raises JobNotFound when one of them is not the user's.
        """
        follower = _Follower(job_ids)
        try:
            await self._join(follower)
            for job in await self._snapshot(follower, user_id):
                yield job
            while not follower.ended:
                await follower.changed.wait()
                for job in follower.take():
                    yield job
        finally:
            await self._leave(follower)

    async def _join(self, follower: _Follower) -> None:
        for job_id in follower.job_ids:
            self._followers.setdefault(job_id, set()).add(follower)
        await self._subscriber.subscribe(self._channels.job(job_id) for job_id in follower.job_ids)

    async def _leave(self, follower: _Follower) -> None:
        last: list[UUID] = []
        for job_id in follower.job_ids:
            followers = self._followers.get(job_id, set())
            followers.discard(follower)
            if not followers and self._followers.pop(job_id, None) is not None:
                last.append(job_id)
        await self._subscriber.unsubscribe(self._channels.job(job_id) for job_id in last)

    async def _snapshot(self, follower: _Follower, user_id: str) -> list[JobRecord]:
        async with self._database.read() as connection:
            jobs = await read_jobs(connection, follower.job_ids, user_id)
        for job_id in follower.job_ids:
            if job_id not in jobs:
                raise JobNotFound(f"There is no job {job_id}.")
        follower.jobs = {job_id: jobs[job_id] for job_id in follower.job_ids}
        for change in await self._publisher.newest(follower.job_ids):
            follower.offer(change)
        follower.take()
        return list(follower.jobs.values())

    def _on_message(self, _channel: str, data: bytes) -> None:
        try:
            change = decode(data)
        except msgspec.DecodeError:
            _log.warning("a message that is no change was ignored", size_bytes=len(data))
            return
        self._dispatch(change)

    def _dispatch(self, change: JobChange) -> None:
        for follower in self._followers.get(change.id, ()):
            follower.offer(change)

    async def _reconcile_forever(self) -> None:
        while True:
            connected = self._subscriber.connected
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECONCILE_S if connected else RECONCILE_WITHOUT_REDIS_S):
                    await self._stale.wait()
            self._stale.clear()
            try:
                await self._reconcile()
            except Exception as error:
                # Postgres is away; the next round asks again, and snapshots will say so.
                _log.warning("could not read followed jobs", error=type(error).__name__)

    async def _reconcile(self) -> None:
        known = self._known_versions()
        if not known:
            return
        ids = list(known)
        async with self._database.read() as connection:
            versions = await read_versions(connection, ids)
            behind = [job_id for job_id, seen in known.items() if versions.get(job_id, 0) > seen]
            newer = await read_jobs_of_any_user(connection, behind) if behind else {}
        for job in newer.values():
            self._dispatch(change_of(job))
        for change in await self._publisher.newest(ids):
            self._dispatch(change)
        for job_id in known.keys() - versions.keys():
            self._dispatch_gone(job_id)

    def _known_versions(self) -> dict[UUID, int]:
        """The lowest version that any follower of a job has seen."""
        return {
            job_id: min(job.version for job in seen)
            for job_id, followers in self._followers.items()
            if (seen := [f.jobs[job_id] for f in followers if job_id in f.jobs])
        }

    def _dispatch_gone(self, job_id: UUID) -> None:
        for follower in self._followers.get(job_id, ()):
            if (job := follower.jobs.get(job_id)) and not job.state.is_terminal:
                follower.offer(gone(job))
