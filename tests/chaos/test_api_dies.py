"""The API is killed while clients start generations; they repeat what was not answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.chaos.form import BOTH_IN_LONG_FORM, by_form
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.chaos.conftest import World


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_the_api_is_killed(world: World, provider: str) -> None:
    jobs, kills = by_form(short=(30, 1), long=(600, 6))
    async with world.play(f"API SIGKILL ×{kills}", provider=provider) as scenario:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(scenario.start(jobs, variants=2))
            for number in range(1, kills + 1):
                enough = jobs // 2 * number // (kills + 1)

                async def accepted(enough: int = enough) -> bool:
                    return len(scenario.crowd.started) >= enough

                await wait_until(accepted, within_s=60, what=f"{enough} generations")
                world.stack.api.crash()
                scenario.fault()
        found = await scenario.judged()
    assert scenario.crowd.errors != []
    assert found.extra_calls == 0
