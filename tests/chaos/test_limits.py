"""Limits hold when everything comes at once, over two API processes; crash loops end."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.crowd import START, slow
from tests.chaos.form import BANANA, BOTH_IN_LONG_FORM, GEMINI
from tests.chaos.judge import Expected

if TYPE_CHECKING:
    from tests.chaos.conftest import StrictWorld
    from tests.chaos.crowd import Wanted
    from tests.client import Answer

AT_ONCE = 40
_HITS = "SELECT count(*) AS hits FROM rate_limit_hits WHERE user_id = :user"
_ACTIVE = "SELECT count(*) AS jobs FROM jobs WHERE user_id = :user"


async def test_forty_starts_at_once(strict_world: StrictWorld) -> None:
    async with strict_world.play("40 starts at once, one user") as scenario:
        scenario.crowd.user_count = 1
        wishes = scenario.crowd.wanted(AT_ONCE, keywords=lambda: slow(1))
        answers = await _ask_at_once(strict_world, wishes, [wish.input for wish in wishes])
        for wish, answer in zip(wishes, answers, strict=True):
            if answer.status == 200:
                scenario.crowd.accepted(wish, answer.data["startGeneration"]["generation"])
        user = {"user": wishes[0].user_id}
        assert await scenario.query(_ACTIVE, **user) == [{"jobs": 3}]
        assert await scenario.query(_HITS, **user) == [{"hits": 10}]
        found = await scenario.judged()
    # Three were let in, seven counted and refused for the active ones, the rest not counted.
    assert Counter(map(_limit_of, answers)) == {None: 3, 3: 7, 10: 30}
    assert (found.jobs, found.extra_calls) == (3, 0)


async def test_forty_identical_starts_are_one(strict_world: StrictWorld) -> None:
    async with strict_world.play("40 identical starts at once") as scenario:
        (wish,) = scenario.crowd.wanted(1, keywords=lambda: slow(1))
        same = {**wish.input, "idempotencyKey": None}
        answers = await _ask_at_once(strict_world, [wish] * AT_ONCE, [same] * AT_ONCE)
        results = [answer.data["startGeneration"] for answer in answers]
        for result in results:
            scenario.crowd.accepted(wish, result["generation"])
        found = await scenario.judged()
    assert Counter(result["deduplicated"] for result in results) == {False: 1, True: 39}
    assert (found.jobs, found.extra_calls) == (1, 0)


async def _ask_at_once(
    world: StrictWorld, wishes: list[Wanted], inputs: list[dict[str, Any]]
) -> list[Answer]:
    """Send all at the same time, in turn to each API."""
    clients = world.clients(wishes[0].user_id)
    try:
        return await asyncio.gather(
            *(
                clients[number % len(clients)].ask(START, input=wanted)
                for number, wanted in enumerate(inputs)
            )
        )
    finally:
        for client in clients:
            await client.aclose()


def _limit_of(answer: Answer) -> int | None:
    """The limit that a request met, None when it was let in."""
    if answer.status == 200:
        return None
    assert (answer.status, answer.error["extensions"]["code"]) == (429, "RATE_LIMITED")
    assert int(answer.headers["retry-after"]) >= 1
    return answer.error["extensions"]["limit"]


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_a_crash_loop_ends(strict_world: StrictWorld, provider: str) -> None:
    worker = strict_world.stack.workers[0]
    async with strict_world.play("crash loop", provider=provider, latency_s=0.05) as scenario:
        (started,) = await scenario.start(1, keywords="[slow 20]")
        for number in range(1, strict_world.stack.settings.max_crashes + 1):
            await scenario.until_asked(number)
            scenario.loses(worker)
            worker.crash()
        expected = {started.wanted.tag: Expected("FAILED", "WORKER_CRASHED")}
        found = await scenario.judged(expected=expected)
    # One is asked for again and again, the other is made again.
    assert (found.extra_calls, found.unexplained) == ({GEMINI: 2, BANANA: 0}[provider], 0)
