"""Workers are killed in the middle of everything, or asked to stop; others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.form import by_form

if TYPE_CHECKING:
    from tests.chaos.conftest import World


async def test_workers_are_killed(world: World) -> None:
    jobs, kills = by_form(short=(60, 3), long=(1000, 20))
    async with world.play(f"worker SIGKILL ×{kills}") as scenario:
        await scenario.start(jobs)
        for number in range(1, kills + 1):
            await scenario.until_ended(jobs * number * 9 // (kills * 10))
            victim = await scenario.a_busy_worker()
            victim.crash()
            scenario.fault()
        found = await scenario.judged()
    assert found.extra_calls == found.cut_calls + found.paid_twice
    assert found.paid_twice <= 3
    assert found.drain_s <= world.stack.settings.lease_s + 5
