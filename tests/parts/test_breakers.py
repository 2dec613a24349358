"""Circuit breakers in a real Valkey: shared by processes, gone with time, local without Redis."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from core.pubsub import Subscriber
from core.redis import open_redis
from core.vocabulary import ProviderStatus
from jobs.breakers import LOOK_INTERVAL_S, Breakers, ProviderPaused
from jobs.channels import Channels
from jobs.circuit import Permit
from providers.base import ProviderUnavailable
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from redis.asyncio import Redis

    from core.settings import Settings

DOWN = ProviderUnavailable("down")
ORDINARY = Permit()


@asynccontextmanager
async def breakers_of(settings: Settings) -> AsyncGenerator[tuple[Breakers, Redis]]:
    async with open_redis(settings) as redis:
        yield Breakers(redis, Channels(settings.redis_prefix), settings), redis


async def keys_of(redis: Redis, settings: Settings) -> list[bytes]:
    pattern = f"{{{settings.redis_prefix}:breaker}}:*"
    return await cast("Any", redis).keys(pattern)


async def fail_often(breakers: Breakers, times: int) -> None:
    for _ in range(times):
        await breakers.failed("gemini", DOWN, ORDINARY)


async def test_processes_count_together(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(gen_breaker_failures=40)
    async with breakers_of(settings) as (one, redis), breakers_of(settings) as (other, _):
        # All at once: none of them may be lost.
        await asyncio.gather(*(fail_often(one if n % 2 else other, 1) for n in range(39)))
        await one.enter("gemini")
        await other.failed("gemini", DOWN, ORDINARY)

        with pytest.raises(ProviderPaused):
            await one.enter("gemini")
        assert await one.paused(["gemini", "banana"]) == {"gemini"}
        await one.enter("banana")
        health = await one.health(["gemini", "banana"])
        assert health["gemini"].status is ProviderStatus.UNAVAILABLE
        assert health["gemini"].until is not None
        assert health["banana"].status is ProviderStatus.AVAILABLE
        keys = await keys_of(redis, settings)
        assert len(keys) == 1
        assert await redis.pttl(keys[0]) > 0


async def test_one_of_many_tries_a_paused_provider(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(gen_breaker_failures=1, gen_breaker_pause_s=0.2)
    async with breakers_of(settings) as (one, redis), breakers_of(settings) as (other, _):
        await one.failed("gemini", DOWN, ORDINARY)

        async def is_over() -> bool:
            return (await one.health(["gemini"]))["gemini"].status is ProviderStatus.DEGRADED

        await wait_until(is_over, what="the end of the pause")
        asked = await asyncio.gather(
            *((one if n % 2 else other).enter("gemini") for n in range(20)),
            return_exceptions=True,
        )

        (permit,) = [answer for answer in asked if isinstance(answer, Permit)]
        assert permit.is_probe
        assert {type(answer) for answer in asked} == {Permit, ProviderPaused}
        # It was given up: somebody else tries, and it goes well.
        await one.left("gemini", permit)
        assert await other.succeeded("gemini", await other.enter("gemini"))
        assert not await one.succeeded("gemini", await one.enter("gemini"))
        assert await keys_of(redis, settings) == []


async def test_without_redis_each_process_has_its_own_view(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(redis_url="redis://127.0.0.1:1", gen_breaker_failures=3)
    async with breakers_of(settings) as (one, _), breakers_of(settings) as (other, _):
        await fail_often(one, 2)
        await one.enter("gemini")
        await fail_often(one, 1)

        with pytest.raises(ProviderPaused) as raised:
            await one.enter("gemini")
        assert 0 < raised.value.pause.for_s <= settings.gen_breaker_pause_s
        await other.enter("gemini")


async def test_it_can_be_turned_off(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(gen_breaker_failures=0)
    async with breakers_of(settings) as (breakers, _):
        await fail_often(breakers, 20)

        assert await breakers.enter("gemini") == ORDINARY
        assert await breakers.paused(["gemini"]) == frozenset()


@asynccontextmanager
async def watching(breakers: Breakers) -> AsyncGenerator[None]:
    """As in a worker whose providers are these; waits until they are known to be well."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(breakers.watch(["gemini", "banana"]))
        await wait_until(lambda: known_well(breakers, "gemini", "banana"))
        yield
        task.cancel()


async def known_well(breakers: Breakers, *providers: str) -> bool:
    return breakers.well == frozenset(providers)


async def test_nobody_asks_redis_about_a_provider_that_is_well(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(gen_breaker_failures=1)
    async with breakers_of(settings) as (one, _), breakers_of(settings) as (other, _):
        async with watching(one):
            assert await one.enter("gemini") == ORDINARY
        # It looks no more, and is told of nothing: had it asked, it would know.
        await other.failed("gemini", DOWN, ORDINARY)
        assert await one.enter("gemini") == ORDINARY
        one.heard_of_change("gemini")
        with pytest.raises(ProviderPaused):
            await one.enter("gemini")


async def test_a_failure_anywhere_makes_all_ask_again_at_once(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(gen_breaker_failures=1)
    channels = Channels(settings.redis_prefix)
    async with breakers_of(settings) as (one, _), breakers_of(settings) as (other, _):
        heard: list[bytes] = []

        def hear(_channel: bytes, data: bytes) -> None:
            heard.append(data)
            one.heard_of_change(data.decode().removeprefix("breaker "))

        ears = Subscriber(settings, hear)
        async with watching(one), asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(ears.run())
            await ears.subscribe([channels.control])
            await wait_until(lambda: connected(ears))
            await other.failed("gemini", DOWN, ORDINARY)
            await wait_until(lambda: known_well(one, "banana"))
            assert heard == [b"breaker gemini"]
            with pytest.raises(ProviderPaused):
                await one.enter("gemini")
            listening.cancel()


async def connected(ears: Subscriber) -> bool:
    return ears.connected


async def test_a_failure_that_nobody_told_of_is_found(settings: Settings) -> None:
    two = breakers_of(settings), breakers_of(settings)
    async with two[0] as (one, _), two[1] as (other, _), watching(one):
        await other.failed("gemini", DOWN, ORDINARY)
        await wait_until(lambda: known_well(one, "banana"), within_s=LOOK_INTERVAL_S + 5)
        await other.succeeded("gemini", ORDINARY)
        await wait_until(lambda: known_well(one, "gemini", "banana"))


async def test_its_own_failure_is_known_without_redis(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(gen_breaker_failures=1)
    async with breakers_of(settings) as (breakers, redis), watching(breakers):
        # From now on it reaches no Redis.
        pool = cast("Any", redis).connection_pool
        await pool.disconnect()
        pool.connection_kwargs["path"] = "/nowhere"
        await breakers.failed("gemini", DOWN, ORDINARY)
        with pytest.raises(ProviderPaused):
            await breakers.enter("gemini")
