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
        await doorbell.ring([first])
        before = await commands(redis)
        rings = [Ring(new_id(), number) for number in range(1, 41)]

        await asyncio.gather(
            *(doorbell.ring(rings[number : number + 2]) for number in range(0, 40, 2))
        )

        assert await commands(redis) - before == 1
        await all_are_heard(settings, [first, *rings])


async def test_the_first_rings_for_the_others_even_when_it_is_cancelled(
    settings: Settings,
) -> None:
    async with open_redis(settings) as redis:
        doorbell = Doorbell(redis, Channels(settings.redis_prefix))
        rings = [Ring(new_id(), number) for number in range(3)]
        first, *others = (asyncio.create_task(doorbell.ring([ring])) for ring in rings)
        await asyncio.sleep(0)
        assert all(other.done() for other in others)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        await all_are_heard(settings, rings)


async def test_redis_may_forget_the_script(settings: Settings) -> None:
    async with open_redis(settings) as redis:
        doorbell = Doorbell(redis, Channels(settings.redis_prefix))
        rings = [Ring(new_id(), number) for number in range(2)]
        await doorbell.ring(rings[:1])
        await redis.script_flush()
        await doorbell.ring(rings[1:])
        await all_are_heard(settings, rings)


async def test_without_redis_nothing_is_raised(make_settings: Callable[..., Settings]) -> None:
    async with open_redis(make_settings(redis_url="redis://127.0.0.1:1/0")) as nobody:
        doorbell = Doorbell(nobody, Channels("nobody"))
        await asyncio.gather(*(doorbell.ring([Ring(new_id(), 0)]) for _ in range(3)))


async def all_are_heard(settings: Settings, rings: list[Ring]) -> None:
    """By a worker that listens from now on, each once."""
    async with heard(settings) as there:

        async def enough() -> bool:
            return len(there) >= len(rings)

        await wait_until(enough, what="the rings")
    assert sorted(there, key=lambda ring: ring.attempt) == rings
