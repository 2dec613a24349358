"""Who publishes in the benchmark: our own publisher, and a plain PUBLISH for contenders.

A version carries the time of its publishing: microseconds since the stamps began, behind an epoch
that no job of the benchmark reaches by itself.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec
from redis.asyncio import Redis

from core.version import STEPS_PER_EPOCH
from jobs.changes import change_of
from mintari.service import open_kit
from tests.bench.documents import as_clients_see

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from core.settings import Settings
    from db.records import JobRecord
    from jobs.publisher import Publisher

FIRST_VERSION = 3 * STEPS_PER_EPOCH


class Stamps:
    """Versions that tell when they were made."""

    def __init__(self) -> None:
        self._began_ns = time.monotonic_ns()
        self._last = FIRST_VERSION

    @property
    def base_ns(self) -> int:
        """When version 0 would have been made, nanoseconds of CLOCK_MONOTONIC."""
        return self._began_ns - FIRST_VERSION * 1000

    def next(self) -> int:
        """A version of now, higher than the one before."""
        now = (time.monotonic_ns() - self.base_ns) // 1000
        self._last = max(self._last + 1, now)
        return self._last


class Publishing(Protocol):
    """Publishes progress of jobs."""

    async def prepare(self, jobs: Sequence[JobRecord]) -> None:
        """Make the jobs known before somebody subscribes to them."""
        ...

    async def publish(self, events: Iterable[tuple[JobRecord, int]]) -> None:
        """Publish jobs with these versions, in one round trip."""
        ...


class OurPublishing:
    """As our workers publish: real changes, by the real publisher."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def prepare(self, jobs: Sequence[JobRecord]) -> None:
        """Nothing: the service reads them from Postgres."""

    async def publish(self, events: Iterable[tuple[JobRecord, int]]) -> None:
        """Publish jobs with these versions."""
        changes = [
            change_of(msgspec.structs.replace(job, version=version, progress=version % 99))
            for job, version in events
        ]
        assert await self._publisher.publish(changes), "Valkey is away"


class PlainPublishing:
    """Ready JSON, the same content as our clients get."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def prepare(self, jobs: Sequence[JobRecord]) -> None:
        """Keep each job's snapshot."""
        await self._redis.mset({f"bench:{job.id}": self._json(job, 0) for job in jobs})

    async def publish(self, events: Iterable[tuple[JobRecord, int]]) -> None:
        """Publish jobs with these versions."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for job, version in events:
                cast("Any", pipe).publish(f"bench:{job.id}", self._json(job, version))
            await pipe.execute()

    @staticmethod
    def _json(job: JobRecord, version: int) -> bytes:
        content = as_clients_see(job) | {"version": version, "progress": version % 99}
        return msgspec.json.encode(content)


@contextlib.asynccontextmanager
async def publishing(valkey_url: str, ours: Settings | None) -> AsyncGenerator[Publishing, None]:
    """A publisher: that of our workers with these settings, or a plain one."""
    if ours:
        async with open_kit(ours) as kit:
            yield OurPublishing(kit.publisher)
        return
    redis = Redis.from_url(valkey_url)  # pyright: ignore[reportUnknownMemberType]
    async with redis:
        yield PlainPublishing(redis)
