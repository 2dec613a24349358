"""Answering the doorbell: each ring is taken once, by who has a slot, and leaves nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from arq.constants import job_key_prefix

from core.ids import new_id
from core.redis import open_redis
from jobs.channels import Channels
from jobs.doorbell import Doorbell, Ring, answer_doorbell
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from uuid import UUID

    from redis.asyncio import Redis

    from core.settings import Settings


class Listener:
    """A worker's side of the doorbell, with so many slots; what it starts keeps its slot."""

    def __init__(self, slots: int) -> None:
        self.wake = asyncio.Event()
        self.slots = slots
        self.started: list[Ring] = []

    def start(self, job_id: UUID, attempt: int) -> None:
        self.started.append(Ring(job_id, attempt))

    def free_slots(self) -> int:
        return self.slots - len(self.started)

    async def has(self, count: int) -> None:
        async def started() -> bool:
            return len(self.started) >= count

        await wait_until(started, what=f"{count} rings")


@pytest.fixture
async def redis(settings: Settings) -> AsyncGenerator[Redis, None]:
    async with open_redis(settings) as client:
        yield client


@pytest.fixture
def doorbell(settings: Settings, redis: Redis) -> Doorbell:
    return Doorbell(redis, Channels(settings.redis_prefix))


@asynccontextmanager
async def answering(settings: Settings, *listeners: Listener) -> AsyncGenerator[None, None]:
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(
                answer_doorbell(
                    settings,
                    Channels(settings.redis_prefix),
                    start=one.start,
                    free_slots=one.free_slots,
                    wake=one.wake,
                )
            )
            for one in listeners
        ]
        yield
        for task in running:
            task.cancel()


def rings(count: int) -> list[Ring]:
    return [Ring(new_id(), attempt) for attempt in range(count)]


async def left_in_redis(redis: Redis, settings: Settings, rung: list[Ring]) -> list[str]:
    """What is still there of these rings, also under the names that arq's own worker would use."""
    client = cast("Any", redis)
    ids = {f"{ring.job_id}:{ring.attempt}" for ring in rung}
    keys: list[bytes] = await client.keys("arq:*")
    waiting: list[bytes] = await client.zrange(Channels(settings.redis_prefix).queue, 0, -1)
    names = [name.decode() for name in keys + waiting]
    return [name for name in names if any(name.endswith(one) for one in ids)]


async def test_what_rings_is_handed_over_once_and_leaves_nothing(
    settings: Settings, redis: Redis, doorbell: Doorbell
) -> None:
    rung, listeners = rings(30), [Listener(99), Listener(99)]
    async with answering(settings, *listeners):
        await doorbell.ring(rung)
        for one in listeners:
            one.wake.set()

        async def all_started() -> bool:
            return sum(len(one.started) for one in listeners) >= len(rung)

        await wait_until(all_started)
    started = [ring for one in listeners for ring in one.started]
    assert sorted(started, key=lambda ring: ring.attempt) == rung
    assert await left_in_redis(redis, settings, rung) == []


async def test_no_more_is_taken_than_there_are_free_slots(
    settings: Settings, redis: Redis, doorbell: Doorbell
) -> None:
    rung, busy, other = rings(7), Listener(2), Listener(9)
    await doorbell.ring(rung)
    async with answering(settings, busy):
        await busy.has(2)
        assert await cast("Any", redis).zcard(Channels(settings.redis_prefix).queue) == 5
        busy.slots = 3
        busy.wake.set()
        await busy.has(3)
        async with answering(settings, other):
            await other.has(4)
    assert sorted(busy.started + other.started, key=lambda ring: ring.attempt) == rung


@pytest.mark.parametrize(
    "payload",
    [
        None,
        b"\x80\x05}.",
        b"{}",
        b'{"f": "another", "a": [], "k": {}, "t": null, "et": 1}',
        b'{"f": "start_job", "a": ["no id", 0], "k": {}, "t": null, "et": 1}',
        b'{"f": "start_job", "a": [], "k": {}, "t": null, "et": 1}',
    ],
    ids=["gone", "pickle", "no job", "another function", "no id", "no arguments"],
)
async def test_rings_behind_one_that_says_nothing_are_heard(
    settings: Settings, redis: Redis, doorbell: Doorbell, payload: bytes | None
) -> None:
    queue, nothing = Channels(settings.redis_prefix).queue, f"{new_id()}:0"
    if payload is not None:
        await redis.set(job_key_prefix + nothing, payload, px=60_000)
    await cast("Any", redis).zadd(queue, {nothing: 1})
    (ring,), listener = rings(1), Listener(9)
    await doorbell.ring([ring])
    async with answering(settings, listener):
        await listener.has(1)
    assert listener.started == [ring]
    assert await left_in_redis(redis, settings, [ring]) == []
