"""Redis is killed, away, hostile or silent: jobs are accepted and run all the same."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.chaos.form import BOTH_IN_LONG_FORM, by_form
from tests.chaos.redis_proxy import Mode

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.chaos.conftest import World


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_redis_comes_back_empty(world: World, provider: str) -> None:
    jobs, kills = by_form(short=(30, 1), long=(200, 4))
    with same_workers(world):
        title = f"Redis killed, back empty ×{kills}"
        async with world.play(title, provider=provider) as scenario:
            for number in range(1, kills + 1):
                await scenario.start(jobs // kills)
                await scenario.until_ended(jobs * (number - 1) // kills + 3)
                world.proxy.switch(Mode.REFUSE)
                world.valkey.kill()
                world.valkey.start()
                world.proxy.switch(Mode.FORWARD)
                scenario.fault()
            found = await scenario.judged()
    assert found.extra_calls == 0
    assert scenario.crowd.errors == []


@pytest.mark.parametrize(
    ("title", "mode", "away_s"),
    [
        ("Redis down", Mode.REFUSE, by_form(short=2, long=8)),
        ("Redis accepts, then resets", Mode.RESET, by_form(short=2, long=8)),
        ("Redis black-holed", Mode.BLACK_HOLE, by_form(short=3, long=8)),
    ],
)
async def test_redis_is_unreachable(world: World, title: str, mode: Mode, away_s: float) -> None:
    jobs = by_form(short=12, long=100)
    with same_workers(world):
        async with world.play(f"{title}, {away_s} s") as scenario:
            await scenario.start(jobs)
            world.proxy.switch(mode)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(asyncio.sleep(away_s))  # how long Redis is away
                    tasks.create_task(scenario.start(jobs))
            finally:
                world.proxy.switch(Mode.FORWARD)
            scenario.fault()
            found = await scenario.judged()
    assert found.extra_calls == 0
    assert scenario.crowd.errors == []


@contextmanager
def same_workers(world: World) -> Generator[None]:
    """The processes that were there before are there after."""
    before = [process.pid for process in world.stack.processes]
    yield
    assert [process.pid for process in world.stack.processes] == before
    assert all(process.is_running for process in world.stack.processes)
