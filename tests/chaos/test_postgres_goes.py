"""Postgres restarts at once, without asking anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.chaos.form import by_form

if TYPE_CHECKING:
    from tests.chaos.conftest import World


async def test_postgres_restarts(world: World) -> None:
    jobs, restarts = by_form(short=(30, 1), long=(300, 2))
    async with world.play(f"Postgres immediate restart ×{restarts}") as scenario:
        for number in range(1, restarts + 1):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(scenario.start(jobs // restarts))
                tasks.create_task(scenario.until_ended(jobs * (number - 1) // restarts + 5))
            world.postgres.kill()
            world.postgres.start()
            scenario.fault()
        found = await scenario.judged()
    assert found.extra_calls == 0
