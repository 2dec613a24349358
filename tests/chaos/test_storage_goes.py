"""Storage is gone or full while results come in: they are held, and nothing new is accepted."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.chaos.crowd import START
from tests.chaos.folders import file_in_place_of
from tests.chaos.form import BOTH_IN_LONG_FORM, by_form
from tests.parts.standin_fixtures import photo
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.chaos.conftest import World
    from tests.chaos.scenario import Scenario
    from tests.chaos.stack import Stack
    from tests.client import Answer


@contextmanager
def folder_gone(stack: Stack, pictures: Path) -> Generator[None]:
    """Nothing can be written or read."""
    del stack
    with file_in_place_of(pictures):
        yield


@contextmanager
def disk_full(stack: Stack, pictures: Path) -> Generator[None]:
    """No process of ours can write a byte to a file."""
    del pictures
    before = {
        process.pid: resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        for process in stack.processes
    }
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ("title", "broken"),
    [
        ("storage gone", folder_gone),
        pytest.param(
            "disk full",
            disk_full,
            marks=pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux"),
        ),
    ],
)
@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_results_are_held(
    world: World,
    title: str,
    broken: Callable[[Stack, Path], AbstractContextManager[None]],
    provider: str,
) -> None:
    jobs = by_form(short=12, long=48)
    latency_s = by_form(short=1.0, long=4.0)
    async with world.play(title, provider=provider, latency_s=latency_s) as scenario:
        await scenario.start(jobs)
        await scenario.until_calls(started=jobs)
        with broken(world.stack, scenario.pictures):
            await scenario.until_calls(finished=jobs)
            await _until_refused(scenario)
            assert await scenario.ended() == 0
        scenario.fault()
        found = await scenario.judged()
        await _until_accepted(scenario)
    assert found.extra_calls == 0
    assert found.drain_s <= by_form(short=30, long=10)


async def _until_refused(scenario: Scenario) -> None:
    """Uploads are refused, and so are generations once the API has noticed."""
    crowd = scenario.crowd
    # The API's opinion may be five seconds old; an upload that fails tells it at once.
    upload = await crowd.client("nobody").http.post("/uploads", content=photo())
    assert upload.status_code == 503

    async def refusal() -> Answer | None:
        (wish,) = crowd.wanted(1)
        answer = await crowd.client(wish.user_id).ask(START, input=wish.input)
        if answer.status == 200:
            # The API has not noticed yet: this one is held and judged like all others.
            crowd.accepted(wish, answer.data["startGeneration"]["generation"])
            return None
        return answer

    answer = await wait_until(refusal, within_s=15, what="a refusal")
    assert answer is not None
    assert (answer.status, answer.error["extensions"]["code"]) == (503, "OVERLOADED")
    assert int(answer.headers["retry-after"]) >= 1


async def _until_accepted(scenario: Scenario) -> None:
    client = scenario.crowd.client("nobody")

    async def accepted() -> bool:
        return (await client.http.post("/uploads", content=photo())).status_code == 201

    await wait_until(accepted, within_s=15, what="an accepted upload")
