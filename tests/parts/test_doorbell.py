"""Ringing: all of one moment in one round trip, each heard once, and no harm without Redis."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from core.ids import new_id
from core.redis import open_redis
from jobs.channels import Channels
from jobs.doorbell import Doorbell, Ring, answer_doorbell
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from uuid import UUID

    from redis.asyncio import Redis

    from core.settings import Settings

SLOTS = 50


async def commands(redis: Redis) -> int:
    """How many scripts Redis was asked to run, by whomever."""
    stats: Any = await redis.info("commandstats")  # pyright: ignore[reportUnknownMemberType]  # **kwargs
    return stats.get("cmdstat_evalsha", {}).get("calls", 0)


@asynccontextmanager
async def heard(settings: Settings) -> AsyncGenerator[list[Ring], None]:
    """A worker's ear: what rang."""
    rings: list[Ring] = []

    def start(job_id: UUID, attempt: int) -> None:
        rings.append(Ring(job_id, attempt))

    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(
            answer_doorbell(
                settings,
                Channels(settings.redis_prefix),
                start=start,
                free_slots=lambda: SLOTS,
                wake=asyncio.Event(),
            )
        )
        yield rings
        answering.cancel()


async def test_all_of_one_moment_ring_in_one_round_trip(settings: Settings) -> None:
    async with open_redis(settings) as redis:
        doorbell = Doorbell(redis, Channels(settings.redis_prefix))
        first = Ring(new_id(), 0)
        # From now on Redis has the script.
        assert await doorbell.ring([first])
        before = await commands(redis)
        rings = [Ring(new_id(), number) for number in range(1, 41)]

        rung = await asyncio.gather(
            *(doorbell.ring(rings[number : number + 2]) for number in range(0, 40, 2))
        )

        assert rung == [True] * 20
        assert await commands(redis) - before == 1
        async with heard(settings) as there:

            async def all_heard() -> bool:
                return len(there) >= 41

            await wait_until(all_heard, what="the rings")
        assert sorted(there, key=lambda ring: ring.attempt) == [first, *rings]


async def test_who_leaves_silences_nobody_for_long(settings: Settings) -> None:
    """The one who sends for the others is cancelled: they are told, and the next ring is heard."""
    async with open_redis(settings) as redis:
        doorbell = Doorbell(redis, Channels(settings.redis_prefix))
        for turns in range(6):
            sends = asyncio.create_task(doorbell.ring([Ring(new_id(), 0)]))
            joins = asyncio.create_task(doorbell.ring([Ring(new_id(), 0)]))
            leaves = asyncio.create_task(doorbell.ring([Ring(new_id(), 0)]))
            for _ in range(turns):
                await asyncio.sleep(0)
            sends.cancel()
            leaves.cancel()
            async with asyncio.timeout(20):
                assert await joins in (True, False)
        assert await doorbell.ring([Ring(new_id(), 0)])


async def test_redis_may_forget_the_script_or_be_away(
    settings: Settings, make_settings: Callable[..., Settings]
) -> None:
    async with open_redis(settings) as redis:
        doorbell = Doorbell(redis, Channels(settings.redis_prefix))
        assert await doorbell.ring([Ring(new_id(), 0)])
        await redis.script_flush()
        assert await doorbell.ring([Ring(new_id(), 0)])
    async with open_redis(make_settings(redis_url="redis://127.0.0.1:1/0")) as nobody:
        away = Doorbell(nobody, Channels(settings.redis_prefix))
        rung = await asyncio.gather(*(away.ring([Ring(new_id(), 0)]) for _ in range(3)))
        assert rung == [False] * 3
