"""arq as the doorbell: it tells a worker at once that a job waits. Postgres is the queue.

What arq 0.28 does that would hurt, and what is done about it:
- it looks for work every 500 ms → `BellWorker.main` sleeps until a PUBLISH wakes it;
- it takes a job in six round trips, and another when it ends → one script takes some rings at once
  and leaves nothing behind, neither in-progress keys nor results. A ring that is lost with its
  worker before the claim is one that a sweeper replaces a second later;
- it runs a job inside its own task, which dies with Redis → its function only hands the job over;
- its pickles execute code from Redis → JSON;
- it compares scores with the worker's clock → scores are an order, nothing else;
- it takes 100 ids whatever it can run → it takes no more than there are free slots.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
from arq.constants import job_key_prefix
from arq.jobs import deserialize_job_raw, serialize_job
from arq.worker import Worker, func

from core.log import get_logger
from core.redis import REDIS_DOWN, open_redis, publishing_script

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from arq.connections import ArqRedis
    from redis.asyncio import Redis

    from core.settings import Settings
    from jobs.channels import Channels

FUNCTION = "start_job"
RING_TTL_MS = 24 * 3600 * 1000
POLL_S = 1.0
"""How often a worker looks without being woken, in case a PUBLISH was lost."""

AT_A_TIME = 4
"""Rings that a worker takes in one round trip: a few, so that other workers get some of a burst."""

# Keys are arq's: a sorted set of ids, and what each id stands for.
_TAKE = """
local keys, found = {}, redis.call('ZPOPMIN', KEYS[1], ARGV[1])
for i = 1, #found, 2 do keys[#keys + 1] = ARGV[2] .. found[i] end
if #keys == 0 then return keys end
local rings = redis.call('MGET', unpack(keys))
redis.call('UNLINK', unpack(keys))
return rings
"""

_log = get_logger(__name__)
_encode = msgspec.json.Encoder().encode


def _deserialize(data: bytes) -> dict[str, Any]:
    return msgspec.json.decode(data)


class Ring(msgspec.Struct, frozen=True):
    """A job that waits, and how many attempts it has had."""

    job_id: UUID
    attempt: int


# As arq's enqueue_job does it, for many; `PUBLISH` with it, so that nobody looks too early.
_ENQUEUE = """
local ttl_ms, score, wake = ARGV[1], ARGV[2], ARGV[3]
for number = 2, #KEYS do
    redis.call('PSETEX', KEYS[number], ttl_ms, ARGV[number * 2 + 1])
    redis.call('ZADD', KEYS[1], score, ARGV[number * 2])
end
redis.call('{publish}', wake, '')
"""


class Doorbell:
    """The side that rings."""

    def __init__(self, redis: Redis, channels: Channels) -> None:
        self._channels = channels
        self._enqueue = publishing_script(redis, _ENQUEUE)
        self._gathering: list[Ring] | None = None

    async def ring(self, rings: Iterable[Ring]) -> None:
        """Enqueue in arq's own layout and wake the workers, in one round trip.

        Whoever rings in the same turn of the loop goes along with the first, and does not wait: a
        round trip costs some 50 µs, generations that are let in together need one. While Redis is
        away nothing is raised: then a sweeper finds the jobs.
        """
        if self._gathering is not None:
            self._gathering.extend(rings)
            return
        self._gathering = list(rings)
        try:
            await asyncio.sleep(0)
        finally:
            # Also when the first is cancelled: the others rely on it.
            gathered, self._gathering = self._gathering, None
            await self._send(gathered)

    async def _send(self, rings: list[Ring]) -> None:
        now_ms = time.time_ns() // 1_000_000
        keys = [self._channels.queue]
        arguments: list[str | int | bytes] = [*(RING_TTL_MS, now_ms, self._channels.wake)]
        for ring in rings:
            job_id = str(ring.job_id)
            arq_id = self._channels.ring(ring.job_id, ring.attempt)
            keys.append(job_key_prefix + arq_id)
            arguments += (arq_id, _payload(job_id, ring.attempt, now_ms))
        try:
            await self._enqueue(keys, arguments)
        except REDIS_DOWN as error:
            _log.debug("doorbell not rung", error=type(error).__name__)


def _payload(job_id: str, attempt: int, now_ms: int) -> bytes:
    return serialize_job(FUNCTION, (job_id, attempt), {}, None, now_ms, serializer=_encode)


class BellWorker(Worker):
    """arq's worker, woken instead of polling, taking only what has a free slot."""

    def __init__(self, free_slots: Callable[[], int], wake: asyncio.Event, **options: Any) -> None:
        super().__init__(**options)
        self._free_slots = free_slots
        self._wake = wake
        self._script = cast("Redis", self.pool).register_script(_TAKE)

    async def main(self) -> None:
        """Look for work when woken, or every POLL_S seconds."""
        while True:
            self._wake.clear()
            while await self._take_some():
                pass
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()

    async def _take_some(self) -> bool:
        """Hand over what rings; True: there may be more."""
        wanted = min(self._free_slots(), AT_A_TIME)
        if wanted <= 0:
            return False
        rings = await self._take(wanted)
        for ring in rings:
            # None: it rang for longer than RING_TTL_MS.
            if ring is not None:
                await self._hand_over(ring)
        return len(rings) == wanted

    async def _take(self, at_most: int) -> list[bytes | None]:
        args = [at_most, job_key_prefix]
        return cast("Any", await self._script(keys=[self.queue_name], args=args))

    async def _hand_over(self, ring: bytes) -> None:
        try:
            name, arguments, _, _, _ = deserialize_job_raw(ring, deserializer=self.job_deserializer)
            await self.functions[name].coroutine(self.ctx, *arguments)
        except Exception:
            # It comes from Redis: whatever it is, the next ring is worth as much as ever.
            _log.exception("a ring that says nothing")


async def answer_doorbell(
    settings: Settings,
    channels: Channels,
    *,
    start: Callable[[UUID, int], None],
    free_slots: Callable[[], int],
    wake: asyncio.Event,
) -> None:
    """Call `start(job_id, attempt)` for each ring, until cancelled; comes back when Redis does."""

    async def start_job(_context: dict[str, Any], job_id: str, attempt: int) -> None:
        start(UUID(job_id), attempt)

    pause_s = 0.1
    while True:
        began_s = time.monotonic()
        async with open_redis(settings) as redis:
            try:
                await _bell_worker(redis, channels, start_job, free_slots, wake).main()
            except REDIS_DOWN as error:
                if time.monotonic() - began_s > POLL_S * 2:
                    pause_s = 0.1
                    _log.warning("redis lost, the sweeper goes on", error=type(error).__name__)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, 2.0)


def _bell_worker(
    redis: Redis,
    channels: Channels,
    start_job: Callable[..., Awaitable[None]],
    free_slots: Callable[[], int],
    wake: asyncio.Event,
) -> BellWorker:
    return BellWorker(
        free_slots,
        wake,
        functions=[func(cast("Any", start_job), name=FUNCTION)],
        redis_pool=cast("ArqRedis", redis),  # it asks no more of it than any client can
        queue_name=channels.queue,
        handle_signals=False,
        job_deserializer=_deserialize,
    )
