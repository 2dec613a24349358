"""Redis as sentinels and a Cluster run it: grids go on through fail-overs, nothing is lost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import UUID

import pytest

from jobs.channels import Channels
from mintari.standins import banana
from mintari.standins.running import running
from mintari.standins.settings import SETTINGS
from tests.conftest import free_port, running_api, running_worker
from tests.redis_servers import (
    OF_FIRST,
    PASSWORD,
    PRIMARIES,
    SENTINELS_PASSWORD,
    doctors_line,
    sentinel_set,
    valkey_cluster,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractContextManager

    from core.settings import Settings
    from mintari.standins.running import RunningStandIn
    from tests.client import Client, Json
    from tests.redis_servers import SentinelSet, ValkeyCluster

FAIL_OVER_S = 3.0
"""How long a frame takes while servers go: longer than they need."""


@dataclass
class Grid:
    """Three frames that are followed from their start."""

    ids: list[str]
    seen: list[Json]
    following: asyncio.Task[None] | None = None

    async def begun(self) -> None:
        async def all_run() -> bool:
            return {job["id"] for job in self.seen if job["state"] == "RUNNING"} == set(self.ids)

        await wait_until(all_run, what="the start of all frames")

    async def ended_well(self) -> None:
        assert self.following
        await asyncio.wait_for(self.following, 30)
        for job_id in self.ids:
            of_one = [job for job in self.seen if job["id"] == job_id]
            versions = [job["version"] for job in of_one]
            assert versions == sorted(set(versions))
            assert of_one[-1]["state"] == "SUCCESS", of_one[-1]


@dataclass(frozen=True)
class Product:
    """An API and a worker at some Redis."""

    settings: Settings
    ann: Client
    provider: RunningStandIn

    async def grid(self, prompt: str) -> Grid:
        """Start a grid and follow it."""
        generation = await self.ann.started(prompt=prompt, size="SQUARE_512")
        grid = Grid([job["id"] for job in generation["jobs"]], [])
        grid.following = asyncio.create_task(self._follow(grid))
        return grid

    async def _follow(self, grid: Grid) -> None:
        async for job in self.ann.follow(*grid.ids):
            grid.seen.append(job)

    async def healed(self) -> None:
        """Wait until the API says that Redis is there."""

        async def is_ready() -> bool:
            answer = await self.ann.http.get("/readyz")
            return answer.json()["status"] == "ok"

        await wait_until(is_ready, what="the way back to Redis")


@asynccontextmanager
async def product(
    make_settings: Callable[..., Settings], redis_url: str, **changes: object
) -> AsyncGenerator[Product, None]:
    """The product with that REDIS_URL. Only the doorbell starts jobs: no sweep comes in time."""
    with running(banana.application()) as stand_in:
        stand_in.script(latency_s=FAIL_OVER_S)
        provider = {name.lower(): value for name, value in SETTINGS["banana"](stand_in.url).items()}
        settings = make_settings(
            **provider,
            **changes,
            gen_provider="banana",
            redis_url=redis_url,
            sweep_interval_s=600,
        )
        async with running_api(settings) as api, running_worker(settings):
            yield Product(settings, api.client("ann"), stand_in)


def channels_of(grid: Grid, settings: Settings) -> list[str]:
    channels = Channels(settings.redis_prefix)
    return [channels.job(UUID(job_id)) for job_id in grid.ids]


@pytest.mark.parametrize(
    ("layout", "changes"),
    [
        pytest.param(sentinel_set, {}, id="sentinels"),
        # A hash tag in the prefix: everything is on the node that dies.
        pytest.param(valkey_cluster, {"redis_prefix": f"{{{OF_FIRST}}}"}, id="cluster"),
    ],
)
async def test_a_primary_dies(
    make_settings: Callable[..., Settings],
    layout: Callable[[], AbstractContextManager[SentinelSet | ValkeyCluster]],
    changes: dict[str, object],
) -> None:
    with layout() as servers:
        async with product(make_settings, servers.url, **changes) as there:
            first = await there.grid("a lake")
            await first.begun()
            await asyncio.to_thread(servers.primary.kill)
            await asyncio.to_thread(servers.wait_failed_over)
            await first.ended_well()
            await there.healed()
            there.provider.script(latency_s=1)
            second = await there.grid("a hill")
            await second.begun()
            await wait_for_followers(servers, channels_of(second, there.settings))
            await second.ended_well()
            assert len(there.provider.calls()) == 6


async def test_slots_of_a_cluster_move(make_settings: Callable[..., Settings]) -> None:
    with valkey_cluster() as servers:
        async with product(make_settings, servers.url) as there:
            first = await there.grid("a lake")
            channels = channels_of(first, there.settings)
            await first.begun()
            await wait_for_followers(servers, channels)
            queue = Channels(there.settings.redis_prefix).queue
            for name in (*channels, queue):
                to = (servers.owner_of(name) + 1) % PRIMARIES
                await asyncio.to_thread(servers.move_slot, name, to=to)
            await wait_for_followers(servers, channels)
            await first.ended_well()
            there.provider.script(latency_s=1)
            second = await there.grid("a hill")
            await second.begun()
            await second.ended_well()
            assert len(there.provider.calls()) == 6


def test_the_doctor_knows_sentinels(make_settings: Callable[..., Settings]) -> None:
    with sentinel_set() as servers:

        def said_of(url: str) -> str:
            return doctors_line(make_settings(redis_url=url))

        url = servers.url
        assert said_of(url).startswith("ok    redis       Valkey 9")
        assert "knows no service 'prints'" in said_of(url.replace("=pictures", "=prints"))
        assert "unexpected keyword argument 'nonsense'" in said_of(url + "&nonsense=1")
        for password in (PASSWORD, SENTINELS_PASSWORD):
            refused = said_of(url.replace(quote(password, safe=""), "hidden"))
            assert "invalid username-password pair" in refused
            assert "hidden" not in refused
        nobody = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{free_port()}/0"
        assert "127.0.0.1:1: Error 111 connecting" in said_of(nobody)
        assert "a sentinel answers there" in said_of(servers.sentinel.url)
        assert "a replica answers there" in said_of(servers.replica.url)


async def wait_for_followers(servers: SentinelSet | ValkeyCluster, channels: list[str]) -> None:
    async def all_are_followed() -> bool:
        counts = [await asyncio.to_thread(servers.followers, channel) for channel in channels]
        return counts == [1] * len(channels)

    await wait_until(all_are_followed, what="subscriptions in Redis")
