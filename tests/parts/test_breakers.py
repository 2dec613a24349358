"""Circuit breakers in a real Valkey: shared by processes, gone with time, local without Redis."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from core.redis import open_redis
from core.vocabulary import ProviderStatus
from jobs.breakers import Breakers, ProviderPaused
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
