"""Following jobs: one hub per API process between Redis and everybody who follows here.

Each followed job is kept once, whoever follows it. A listener is registered before anything is
read, then gets a snapshot of its jobs, then only higher versions. Postgres is read again when Redis
was away, and now and then in any case: a lost message costs seconds, never the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Protocol

import msgspec

from core.errors import JobNotFound
from core.log import get_logger
from core.shards import subscriber
from db.hot import read_jobs, read_versions
from jobs.changes import JobChange, apply, change_of, gone, hear, read_rest
from jobs.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from uuid import UUID

    from core.settings import Settings
    from db.driver import Driver
    from db.records import JobRecord
    from jobs.changes import JobRest
    from jobs.channels import Channels
    from jobs.publisher import Publisher

RECONCILE_S = 5.0
"""Within how long Postgres is asked for the versions of all followed jobs while Redis is there."""
AT_A_TIME = 250
"""Jobs that it is asked for at once: a millisecond, so that no message is held up for longer."""
RECONCILE_WITHOUT_REDIS_S = 0.5
"""The same while Redis is away: then this is the feed."""

_log = get_logger(__name__)


class Listener(Protocol):
    """Who follows jobs. Is told on the event loop and must not block."""

    def on_change(self, job: FollowedJob, change: JobChange) -> None:
        """A job that it listens to has a higher version."""
        ...


class FollowedJob:
    """A job that is followed: what is known of it, and who wants to know of newer versions.

    A change is not laid over the record before somebody needs the whole: of a version that only
    moves the progress, followers show little else.
    """

    __slots__ = ("_early", "_heard", "_rest", "id", "listeners", "newest", "read")

    def __init__(self, job_id: UUID) -> None:
        self.id = job_id
        self.read: JobRecord | None = None
        """As Postgres had it when it was first read."""
        self.newest: JobChange | None = None
        """What can change, at the highest known version; None until it was read."""
        self._early: JobChange | None = None  # came while the record was being read
        # The rest that was heard last, and what it says: kept, as most changes repeat it.
        self._heard: msgspec.Raw | None = None
        self._rest: JobRest | None = None
        # No set: there are one or two, and a tuple is looked through in a third of the time.
        self.listeners: tuple[Listener, ...] = ()

    def at(self, change: JobChange) -> JobRecord:
        """The whole job at a version of it. It must have been read."""
        assert self.read is not None
        return apply(change, self.read)

    def learn(self, job: JobRecord) -> None:
        """Take in the job as Postgres has it."""
        if self.read is None:
            self.read = _compact(job, self.id)
            self.newest = change_of(self.read)
            if self._early is not None:
                self.change(self._early)
        else:
            self.change(change_of(job))

    def hear(self, data: bytes) -> None:
        """Take in a change that was published. Raises msgspec.DecodeError."""
        heard = hear(data)
        if self._rest is None or heard.rest != self._heard:
            self._rest = self._read_rest(heard.rest)
            self._heard = heard.rest.copy()
        rest = self._rest
        self.change(JobChange(heard.version, heard.progress, heard.stage, heard.preview_key, rest))

    def _read_rest(self, raw: msgspec.Raw) -> JobRest:
        # By identity followers see that what they made of it still holds.
        rest = read_rest(raw)
        return self.newest.rest if self.newest and self.newest.rest == rest else rest

    def change(self, change: JobChange) -> None:
        """Take in a change, unless it is not newer than what is known."""
        newest = self.newest
        if newest is None:
            if self._early is None or self._early.version < change.version:
                self._early = change
        elif change.version > newest.version:
            if change.progress < newest.progress:
                # Progress that was shown never goes back.
                change = msgspec.structs.replace(change, progress=newest.progress)
            self.newest = change
            for listener in self.listeners:
                listener.on_change(self, change)


def _compact(job: JobRecord, job_id: UUID) -> JobRecord:
    """The same job without copies of what many have: a quarter of a kilobyte each."""
    return msgspec.structs.replace(
        job,
        id=job_id,
        user_id=sys.intern(job.user_id),
        provider=sys.intern(job.provider),
        model=sys.intern(job.model),
    )


def _owned(jobs: dict[UUID, FollowedJob], user_id: str) -> dict[UUID, FollowedJob] | JobNotFound:
    for job_id, job in jobs.items():
        if job.read is None or job.read.user_id != user_id:
            return JobNotFound(f"There is no job {job_id}.")
    return jobs


class Feed:
    """The hub. `run` must be running for snapshots and changes to arrive.

    Args:
        on_batch: called after changes that arrived together were handed to their listeners.
    """

    def __init__(
        self, settings: Settings, driver: Driver, publisher: Publisher, channels: Channels
    ) -> None:
        self._driver = driver
        self._timeout_s = settings.operation_timeout_s
        self._publisher = publisher
        self._channels = channels
        self._followed: dict[bytes, FollowedJob] = {}
        """By their channels, as messages name them."""
        self._stale = asyncio.Event()
        self._subscriber = subscriber(settings, self._on_message, self._stale.set, self._end_batch)
        self._snapshots = Snapshots(self._read)
        self.on_batch: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Keep the connection and the truth, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._subscriber.run())
            tasks.create_task(self._snapshots.run())
            tasks.create_task(self._reconcile_forever())

    @property
    def listener_count(self) -> int:
        """How many listeners there are, over all jobs."""
        return sum(len(followed.listeners) for followed in self._followed.values())

    @property
    def followed_count(self) -> int:
        """How many jobs are followed."""
        return len(self._followed)

    async def watch(
        self, wanted: Iterable[tuple[Mapping[UUID, Listener], str]]
    ) -> list[dict[UUID, FollowedJob] | JobNotFound]:
        """Jobs of several users, read; from now on each job's listener is told of higher versions.

        Whose job is not the user's, or is gone, gets JobNotFound in its place. Raises what Postgres
        raises when it is away. Listeners stay until `unwatch`, whatever came of it.
        """
        watched = [
            ({job_id: self._join(job_id, one) for job_id, one in listeners.items()}, user_id)
            for listeners, user_id in wanted
        ]
        unknown = [
            job.id for jobs, _ in watched for job in jobs.values() if not self._is_known(job)
        ]
        if unknown:
            await self._snapshots.read(unknown)
        return [_owned(jobs, user_id) for jobs, user_id in watched]

    def unwatch(self, listeners: Mapping[UUID, Listener]) -> None:
        """Tell these listeners nothing more of these jobs."""
        left: list[str] = []
        for job_id, listener in listeners.items():
            channel = self._channels.job(job_id)
            followed = self._followed.get(channel.encode())
            if followed is None or listener not in followed.listeners:
                continue
            followed.listeners = tuple(one for one in followed.listeners if one is not listener)
            if not followed.listeners:
                del self._followed[channel.encode()]
                left.append(channel)
        self._subscriber.unsubscribe(left)

    def _join(self, job_id: UUID, listener: Listener) -> FollowedJob:
        channel = self._channels.job(job_id).encode()
        followed = self._followed.get(channel)
        if followed is None:
            followed = self._followed[channel] = FollowedJob(job_id)
        followed.listeners += (listener,)
        return followed

    def _find(self, job_id: UUID) -> FollowedJob | None:
        return self._followed.get(self._channels.job(job_id).encode())

    def _is_known(self, job: FollowedJob) -> bool:
        """Whether what is known of a job is as new as Postgres: only while Redis tells."""
        return self._subscriber.connected and job.read is not None

    async def _read(self, job_ids: Sequence[UUID]) -> None:
        """Read the truth about jobs whose changes are listened to from now on."""
        await self._subscriber.subscribe(self._channels.job(job_id) for job_id in job_ids)
        async with asyncio.timeout(self._timeout_s):
            jobs = await read_jobs(self._driver, job_ids)
        self._learn(jobs.values())
        await self._take_published(job_ids)

    async def _take_published(self, job_ids: Sequence[UUID]) -> None:
        for change in await self._publisher.newest(job_ids):
            if followed := self._find(change.rest.id):
                followed.change(change)
        self._end_batch()

    def _learn(self, jobs: Iterable[JobRecord]) -> None:
        for job in jobs:
            if followed := self._find(job.id):
                followed.learn(job)
        self._end_batch()

    def _on_message(self, channel: bytes, data: bytes) -> None:
        followed = self._followed.get(channel)
        if followed is None:
            return
        try:
            followed.hear(data)
        except msgspec.DecodeError:
            _log.warning("a message that is no change was ignored", size_bytes=len(data))

    def _end_batch(self) -> None:
        self.on_batch()

    async def _reconcile_forever(self) -> None:
        due: list[FollowedJob] = []
        pause_s = RECONCILE_S
        while True:
            if not due:
                due = list(self._followed.values())
                pause_s = RECONCILE_S / (len(due) // AT_A_TIME + 1)
            without_redis = not self._subscriber.connected
            is_stale = await self._gets_stale(
                RECONCILE_WITHOUT_REDIS_S if without_redis else pause_s
            )
            if is_stale or without_redis:
                due = []
                await self._reconcile(list(self._followed.values()), missed=is_stale)
            else:
                await self._reconcile(due[:AT_A_TIME], missed=False)
                due = due[AT_A_TIME:]

    async def _gets_stale(self, within_s: float) -> bool:
        """Whether messages are missed, at the latest after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._stale.wait()
        is_stale = self._stale.is_set()
        self._stale.clear()
        return is_stale

    async def _reconcile(self, jobs: Iterable[FollowedJob], *, missed: bool) -> None:
        """Take in what Postgres knows of jobs; and Redis, if messages were missed."""
        known = {job.id: job.newest.version for job in jobs if job.newest is not None}
        if not known:
            return
        try:
            await self._take_newer(known)
            if missed:
                await self._take_published(list(known))
        except Exception as error:
            # Postgres is away; the next round asks again, and snapshots will say so.
            _log.warning("could not read followed jobs", error=type(error).__name__)

    async def _take_newer(self, known: Mapping[UUID, int]) -> None:
        """Take in what Postgres knows of jobs beyond the versions that are known."""
        async with asyncio.timeout(self._timeout_s):
            versions = await read_versions(self._driver, list(known))
            behind = [job_id for job_id, seen in known.items() if versions.get(job_id, 0) > seen]
            newer = await read_jobs(self._driver, behind) if behind else {}
        self._learn(newer.values())
        for job_id in known.keys() - versions.keys():
            self._end_deleted(job_id)
        self._end_batch()

    def _end_deleted(self, job_id: UUID) -> None:
        followed = self._find(job_id)
        if followed and followed.newest and not followed.newest.rest.state.is_terminal:
            followed.change(gone(followed.newest))
