"""Postgres restarts at once, without asking anybody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.chaos.form import BOTH_IN_LONG_FORM, by_form

if TYPE_CHECKING:
    from tests.chaos.conftest import World


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_postgres_restarts(world: World, provider: str) -> None:
    jobs, restarts = by_form(short=(30, 1), long=(300, 2))
    title = f"Postgres immediate restart ×{restarts}"
    async with world.play(title, provider=provider) as scenario:
        for number in range(1, restarts + 1):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(scenario.start(jobs // restarts))
                tasks.create_task(scenario.until_ended(jobs * (number - 1) // restarts + 5))
            world.postgres.kill()
            world.postgres.start()
            scenario.fault()
        found = await scenario.judged()
    assert found.extra_calls == 0
