"""Clients cancel much at once, and come and go while their frames are painted."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tests.chaos.form import by_form
from tests.chaos.judge import Expected
from tests.chaos.watch import Flapping

if TYPE_CHECKING:
    from tests.chaos.conftest import World

CANCEL = """
mutation Cancel($id: ID!) {
  cancelGeneration(id: $id) { __typename }
}
"""


async def test_running_jobs_are_cancelled(world: World) -> None:
    jobs = 30
    async with world.play(f"cancel of {jobs} running") as scenario:
        started = await scenario.start(jobs, keywords="[slow 30]")
        await scenario.until_calls(running=jobs)
        cancelled_at_s = time.time()
        scenario.fault()
        async with asyncio.TaskGroup() as tasks:
            for one in started:
                client = scenario.crowd.client(one.wanted.user_id)
                tasks.create_task(client.ask(CANCEL, id=one.generation_id))
        await scenario.until_calls(cut=jobs, within_s=10)
        # One more job, started later, shows that the workers have come past the cancelled ones.
        await scenario.start(1)
        expected = {one.wanted.tag: Expected("CANCELLED") for one in started}
        found = await scenario.judged(expected=expected)
        calls = await scenario.calls()
    assert found.extra_calls == 0
    assert len(calls) == jobs + 1
    closed_after_s = [call["ended_at_s"] - cancelled_at_s for call in calls[:jobs]]
    assert max(closed_after_s) <= by_form(short=3.0, long=1.0)


async def test_subscribers_come_and_go(world: World) -> None:
    subscribers, jobs = by_form(short=(24, 8), long=(90, 30))
    async with world.play(f"{subscribers} subscribers, 40 % away") as scenario:
        started = await scenario.start(jobs, spread_s=2)
        for number in range(subscribers):
            scenario.crowd.follow(
                started[number % jobs], scenario.followers, Flapping(scenario.dice.random())
            )
        found = await scenario.judged()
    assert found.extra_calls == 0
    assert sum(watch.connections for watch in scenario.crowd.watches[jobs:]) > subscribers
