"""Workers are killed, asked to stop, frozen; the others go on, and nothing is bought twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.chaos.conftest import CLOCKS_OFF_S
from tests.chaos.crowd import slow
from tests.chaos.folders import file_in_place_of
from tests.chaos.form import BANANA, BOTH_IN_LONG_FORM, GEMINI, by_form
from tests.chaos.stack import LEASE_S
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.chaos.conftest import World
    from tests.chaos.processes import Process
    from tests.chaos.scenario import Scenario

# How fast it goes is the machine's speed as well, and the short form runs beside anything.
DRAIN_S = by_form(short=30.0, long=LEASE_S + 5)
ROLLING_DRAIN_S = by_form(short=30.0, long=10.0)
PAID_TWICE = 3
UNKNOWN_IDS = by_form(short=2, long=10)
"""Calls that were taken, and whose ids were not stored yet: some 5 ms on a quiet machine."""
STOPS = ("lease lost, outcome dropped", "job stopped")
_HELD = "SELECT id::text FROM jobs WHERE state = 'RUNNING' AND worker_name = :worker"
_JOBS = "SELECT * FROM jobs WHERE id::text = ANY(:ids) ORDER BY id"
# But for an id that comes late: that is kept, for whoever has not made the call again yet.
_LEDGER = """
    SELECT job_id, attempt, outcome, error_code, resumed_from, ended_at FROM provider_calls
    WHERE job_id::text = ANY(:ids) ORDER BY job_id, attempt
"""


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_workers_are_killed(world: World, provider: str) -> None:
    jobs, kills = by_form(short=(60, 3), long=(1000, 20))
    latency_s, spread_s = by_form(short=(0.3, 0.6), long=(0.5, 2.5))
    title = f"worker SIGKILL ×{kills}"
    async with world.play(title, provider=provider, latency_s=latency_s) as scenario:
        for number in range(1, kills + 1):
            await scenario.start(jobs // kills, spread_s=spread_s)
            # In the middle of a wave, so that some are painted, some stored, some committed.
            await scenario.until_ended((2 * number - 1) * jobs // (2 * kills))
            victim = await scenario.a_busy_worker()
            scenario.loses(victim)
            victim.crash()
        found = await scenario.judged()
    assert found.unexplained == found.paid_twice <= PAID_TWICE
    if provider == BANANA:
        assert found.extra_calls <= UNKNOWN_IDS
        assert found.resumed > 0
    assert found.drain_s <= DRAIN_S


async def test_calls_of_killed_workers_are_resumed(world: World) -> None:
    jobs = by_form(short=6, long=40)
    title = "all workers SIGKILL, all calls running"
    async with world.play(title, provider=BANANA, latency_s=0) as scenario:
        await scenario.start(jobs, keywords=slow(by_form(short=3, long=8)))
        await scenario.until_asked(jobs)
        for worker in world.stack.workers:
            scenario.loses(worker)
            worker.stop()
        for worker in world.stack.workers:
            worker.start()
        found = await scenario.judged()
    assert (found.resumed, found.extra_calls) == (jobs, 0)


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_workers_are_asked_to_stop(world: World, provider: str) -> None:
    jobs, stops = by_form(short=(40, 2), long=(400, 10))
    async with world.play(f"rolling SIGTERM ×{stops}", provider=provider) as scenario:
        await scenario.start(jobs)
        for number in range(1, stops + 1):
            await scenario.until_ended(jobs * number // (stops + 1), within_s=200)
            scenario.fault()
            await _roll(world.stack.workers[number % len(world.stack.workers)])
        found = await scenario.judged()
    assert found.extra_calls == 0
    assert found.drain_s <= ROLLING_DRAIN_S


async def _roll(worker: Process) -> None:
    """SIGTERM, and a new one when it has gone."""
    worker.wait_ready("worker ready")
    worker.terminate()
    assert await asyncio.to_thread(worker.program.wait, within_s=ROLLING_DRAIN_S) == 0
    worker.stop()
    worker.start()


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_a_worker_freezes(world: World, provider: str) -> None:
    jobs = by_form(short=24, long=120)
    lease_s = world.stack.settings.lease_s
    title = "worker SIGSTOP, 2 × lease"
    async with world.play(title, provider=provider, latency_s=1) as scenario:
        await scenario.start(jobs)
        worker = await scenario.a_busy_worker()
        scenario.loses(worker)
        worker.freeze()
        try:
            held = [row["id"] for row in await scenario.query(_HELD, worker=worker.name)]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.sleep(2 * lease_s))  # how long it is frozen
                tasks.create_task(scenario.until_ended(jobs))
            written = await _written(scenario, held)
        finally:
            worker.thaw()
        await _until_given_up(worker, len(held))
        assert await _written(scenario, held) == written
        found = await scenario.judged()
    assert held
    assert found.extra_calls <= (len(held) if provider == GEMINI else UNKNOWN_IDS)
    # As with a kill: an answer that had come in, and was not kept yet.
    assert found.unexplained == found.paid_twice <= PAID_TWICE


async def _written(scenario: Scenario, job_ids: list[str]) -> list[object]:
    return [await scenario.query(statement, ids=job_ids) for statement in (_JOBS, _LEDGER)]


async def _until_given_up(worker: Process, count: int) -> None:
    """Wait until a thawed worker has noticed for each of its jobs that it is too late."""

    async def enough() -> bool:
        return sum(any(word in line for word in STOPS) for line in worker.lines) >= count

    await wait_until(enough, what="the end of all stale attempts")


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_death_between_storing_and_the_commit(world: World, provider: str) -> None:
    jobs = by_form(short=8, long=40)
    title = "death between store and commit"
    async with world.play(title, provider=provider, latency_s=1.5) as scenario:
        ids = [job for started in await scenario.start(jobs, spread_s=0.2) for job in started.seeds]
        await scenario.until_calls(started=jobs)
        async with scenario.database.transaction() as lock:
            await scenario.lock_jobs(lock, ids)
            await scenario.until_stored(ids)
            for worker in world.stack.workers:
                worker.stop()
        for worker in world.stack.workers:
            worker.start()
        scenario.fault()
        found = await scenario.judged()
    assert found.extra_calls == 0
    assert found.drain_s <= DRAIN_S


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_death_before_the_answer_is_stored_as_a_picture(world: World, provider: str) -> None:
    jobs = by_form(short=6, long=40)
    title = "death between answer and store"
    async with world.play(title, provider=provider, latency_s=1.5) as scenario:
        await scenario.warm_up()
        ids = [job for started in await scenario.start(jobs, spread_s=0.2) for job in started.seeds]
        await scenario.until_calls(started=jobs + 1)
        with file_in_place_of(scenario.pictures / "images"):
            await scenario.until_kept(ids)
            for worker in world.stack.workers:
                scenario.loses(worker)
                worker.stop()
        for worker in world.stack.workers:
            worker.start()
        found = await scenario.judged()
    assert found.extra_calls == 0
    assert found.drain_s <= DRAIN_S


async def test_clocks_are_off(world: World) -> None:
    jobs = by_form(short=18, long=200)
    for name, off_s in CLOCKS_OFF_S.items():
        assert world.stack.worker(name).wait_ready("clock off by").endswith(f"by {round(off_s)} s")
    async with world.play("worker clocks ±5 s") as scenario:
        await scenario.start(jobs)
        found = await scenario.judged()
    assert found.extra_calls == 0
