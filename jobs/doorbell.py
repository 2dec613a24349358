"""arq as the doorbell: it tells a worker at once that a job waits. Postgres is the queue.

What arq 0.28 does that would hurt, and what is done about it:
- it looks for work every 500 ms → `BellWorker.main` sleeps until a PUBLISH wakes it;
- it runs a job inside its own task, which dies with Redis, and keeps the id in the queue all the
  while, so that running jobs hide waiting ones → its function only hands the job over and ends;
- its pickles execute code from Redis → JSON;
- kept results and in-progress keys block an id → no results, and an id rings only once
  (`job:attempt`, and every claim raises the attempt);
- it compares scores with the worker's clock → scores lie a day in the past, in order;
- it takes 100 ids whatever it can run → it starts as many as there are free slots;
- when a job ends it looks into its list of aborted ones, which we never fill, and which a Cluster
  keeps on another node than the queue → `BellWorker` ends jobs itself;
- ids of a worker that died keep their in-progress key for the longest timeout + 10 s, and hide what
  is behind them → it reads past them, and handing over has 5 s.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.jobs import serialize_job
from arq.worker import Worker, func

from core.log import get_logger
from core.redis import REDIS_DOWN, connection_pool, publishing_script

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from redis.asyncio import Redis

    from core.settings import Settings
    from jobs.channels import Channels

FUNCTION = "start_job"
RING_TTL_MS = 24 * 3600 * 1000
SCORE_SHIFT_MS = 24 * 3600 * 1000
POLL_S = 1.0
"""How often a worker looks without being woken, in case a PUBLISH was lost."""

READ_AHEAD = 100
"""Ids that are read beyond the free slots, in case those in front are a dead worker's."""
HAND_OVER_S = 5.0

_log = get_logger(__name__)
_encode = msgspec.json.Encoder().encode


def _serialize(value: object) -> bytes:
    """As JSON; arq also hands over exceptions, of results that are not kept."""
    return msgspec.json.encode(value, enc_hook=repr)


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
        arguments: list[str | int | bytes] = [
            *(RING_TTL_MS, now_ms - SCORE_SHIFT_MS, self._channels.wake)
        ]
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
    """arq's worker, woken instead of polling, starting only what has a free slot."""

    def __init__(self, free_slots: Callable[[], int], wake: asyncio.Event, **options: Any) -> None:
        super().__init__(**options)
        self._free_slots = free_slots
        self._wake = wake

    async def main(self) -> None:
        """Look for work when woken, or every POLL_S seconds."""
        while True:
            self._wake.clear()
            await self._poll_iteration()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _poll_iteration(self) -> None:
        free = self._free()
        self.allow_pick_jobs = free > 0
        self.queue_read_limit = max(free, 0) + READ_AHEAD
        await super()._poll_iteration()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Start what has a slot; ids that run elsewhere are passed over."""
        for job_id in job_ids:
            if self._free() <= 0:
                return
            await super().start_jobs([job_id])

    async def finish_job(self, job_id: str, *_: Any, **__: Any) -> None:
        """Forget a job that was handed over."""
        kinds = (in_progress_key_prefix, retry_key_prefix, job_key_prefix)
        async with self.pool.pipeline(transaction=True) as pipe:
            pipe.delete(*(kind + job_id for kind in kinds))
            pipe.zrem(self.queue_name, job_id)
            await pipe.execute()

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """Forget a job that could not be handed over: the sweeper finds it."""
        del result_data
        await self.finish_job(job_id)

    def _free(self) -> int:
        starting = sum(not task.done() for task in self.tasks.values())
        return self._free_slots() - starting


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
        worker = _bell_worker(settings, channels, start_job, free_slots, wake)
        began_s = time.monotonic()
        try:
            await worker.async_run()
        except REDIS_DOWN as error:
            if time.monotonic() - began_s > POLL_S * 2:
                pause_s = 0.1
                _log.warning("redis lost, the sweeper goes on", error=type(error).__name__)
        finally:
            await _close(worker)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, 2.0)


def _bell_worker(
    settings: Settings,
    channels: Channels,
    start_job: Callable[..., Awaitable[None]],
    free_slots: Callable[[], int],
    wake: asyncio.Event,
) -> BellWorker:
    pool = connection_pool(settings, channels.queue)
    redis = ArqRedis(
        pool,
        job_serializer=msgspec.json.encode,
        job_deserializer=_deserialize,
        default_queue_name=channels.queue,
    )
    return BellWorker(
        free_slots,
        wake,
        # A ring that a dying worker had begun counts as tried; it costs one look at Postgres.
        functions=[func(cast("Any", start_job), name=FUNCTION, keep_result=0, max_tries=1000)],
        redis_pool=redis,
        queue_name=channels.queue,
        handle_signals=False,
        keep_result=0,
        # Handing over takes milliseconds; slots are counted by the runner.
        max_jobs=1000,
        job_timeout=HAND_OVER_S,
        retry_jobs=False,
        job_serializer=_serialize,
        job_deserializer=_deserialize,
        log_results=False,
    )


async def _close(worker: BellWorker) -> None:
    for task in worker.tasks.values():
        task.cancel()
    if worker.main_task is not None:
        worker.main_task.cancel()
        await asyncio.gather(worker.main_task, *worker.tasks.values(), return_exceptions=True)
    pool = cast("Any", worker.pool)
    await pool.aclose()
    await pool.connection_pool.disconnect()
