"""Two APIs behind a balancer, and four workers: a grid moves from node to node, nothing is lost."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import websockets

from core.auth import issue_token
from mintari.standins import banana
from mintari.standins.running import running
from mintari.standins.settings import SETTINGS
from tests.balancer import balancing
from tests.client import Client
from tests.conftest import SECRET, free_port, running_api, running_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings
    from tests.client import Json


async def test_a_grid_moves_when_its_api_goes(make_settings: Callable[..., Settings]) -> None:
    with running(banana.application()) as stand_in:
        stand_in.script(latency_s=0.5)
        provider = {name.lower(): value for name, value in SETTINGS["banana"](stand_in.url).items()}
        ports = free_port(), free_port()

        def settings(number: int) -> Settings:
            return make_settings(
                **provider,
                gen_provider="banana",
                api_port=ports[number % 2],
                worker_name=f"node-{number}",
                worker_concurrency=1,
                max_active_jobs=9,
                gen_max_variants=8,
            )

        async with AsyncExitStack() as stack, AsyncExitStack() as first_node:
            balancer = await stack.enter_async_context(balancing(ports[1], ports[0]))
            await stack.enter_async_context(running_api(settings(1)))
            await first_node.enter_async_context(running_api(settings(0)))
            for number in range(4):
                await stack.enter_async_context(running_worker(settings(number)))
            token = issue_token(SECRET, user_id="ann", ttl_s=600)
            ann = Client(balancer.url, token)
            stack.push_async_callback(ann.aclose)
            generation = await ann.started(prompt="a hill", size="SQUARE_512", variantCount=8)
            ids = [job["id"] for job in generation["jobs"]]

            # The request above went to the second API, so the first socket goes to the first one.
            seen: list[Json] = []
            async with asyncio.timeout(90):
                while not ended(seen, ids):
                    try:
                        async for job in ann.follow(*ids):
                            seen.append(job)
                            if balancer.taken[-1] == ports[0] and has_begun(seen):
                                await first_node.aclose()
                    except websockets.ConnectionClosed:
                        assert balancer.taken[-1] == ports[0]
            calls = len(stand_in.calls())
    assert set(balancer.taken) == set(ports)
    assert balancer.taken[-1] == ports[1]
    for job_id in ids:
        versions = [job["version"] for job in seen if job["id"] == job_id]
        # A snapshot after the move may show what was shown before it, and nothing older.
        assert versions == sorted(versions)
    assert {last(seen, job_id)["state"] for job_id in ids} == {"SUCCESS"}
    # Four workers, and each picture was asked for once.
    assert calls == len(ids)


def has_begun(seen: list[Json]) -> bool:
    return any(job["state"] == "RUNNING" for job in seen)


def last(seen: list[Json], job_id: str) -> Json:
    return [job for job in seen if job["id"] == job_id][-1]


def ended(seen: list[Json], ids: list[str]) -> bool:
    told = {job["id"] for job in seen}
    return told == set(ids) and all(last(seen, one)["finishedAt"] for one in ids)
