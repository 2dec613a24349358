"""Telling everybody that a job has changed: newest change kept and published in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from core.log import get_logger
from core.redis import REDIS_DOWN, publishing_script
from jobs.changes import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from redis.asyncio import Redis

    from core.metrics import Metrics
    from jobs.changes import JobChange
    from jobs.channels import Channels

SNAPSHOT_TTL_S = 3600

# A change that is not newer than what is kept says nothing: it comes from a stale worker, or was
# overtaken on its way.
_PUBLISH = """
local kept = redis.call('HGET', KEYS[1], 'version')
if kept and tonumber(kept) >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'change', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('{publish}', KEYS[1], ARGV[2])
return 1
"""

_log = get_logger(__name__)


class Publisher:
    """Publishes changes. A change that Redis does not take is healed by its followers' reading."""

    def __init__(self, redis: Redis, channels: Channels, metrics: Metrics) -> None:
        self._redis = redis
        self._metrics = metrics
        self._channels = channels
        self._script = publishing_script(redis, _PUBLISH)

    async def publish(self, changes: Iterable[JobChange]) -> bool:
        """Publish changes in one round trip; False when Redis is away (nothing is raised)."""
        changes = list(changes)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for change in changes:
                    await self._script(
                        keys=[self._channels.job(change.rest.id)],
                        args=[change.version, encode(change), SNAPSHOT_TTL_S],
                        client=pipe,
                    )
                published = cast("list[int]", await pipe.execute())
        except REDIS_DOWN as error:
            _log.debug("changes not published", error=type(error).__name__)
            self._metrics.events_unpublished.inc(len(changes))
            return False
        self._metrics.events_published.inc(sum(published))
        return True

    async def cancel(self, job_ids: Sequence[UUID]) -> None:
        """Ask the workers that run these jobs to stop; heartbeats tell them if Redis is away."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in job_ids:
                    cast("Any", pipe).publish(self._channels.control, f"cancel {job_id}")
                await pipe.execute()
        except REDIS_DOWN as error:
            _log.debug("cancel not published", error=type(error).__name__)

    async def newest(self, job_ids: Sequence[UUID]) -> list[JobChange]:
        """The newest published changes of these jobs, where Redis still has them."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in job_ids:
                    pipe.hget(self._channels.job(job_id), "change")
                found = cast("list[bytes | None]", await pipe.execute())
        except REDIS_DOWN:
            return []
        return [decode(data) for data in found if data]

    async def shown_progress(self, job_ids: Sequence[UUID]) -> dict[UUID, int]:
        """The progress that followers have seen, where Redis still has it.

        Postgres hears of progress with the heartbeat only; what ends or requeues a job from outside
        of its worker must not show less than this.
        """
        if not job_ids:
            return {}
        return {change.rest.id: change.progress for change in await self.newest(job_ids)}

    async def ping(self) -> bool:
        """Whether Redis answers. Raises what redis-py raises when it does not."""
        return bool(await cast("Any", self._redis).ping())
