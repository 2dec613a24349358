"""The provider does everything that it must not do: the right end and code, at most three calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.form import BANANA, BOTH_IN_LONG_FORM, GEMINI, by_form
from tests.chaos.judge import Expected

if TYPE_CHECKING:
    from tests.chaos.conftest import StrictWorld, World

MAX_RSS_MB = 600
"""Three answers of 200 MB at a time would be more; one is cut off after 40 MB."""


@dataclass(frozen=True)
class Fault:
    """A keyword of the stand-in, how a job with it ends, and after how many calls."""

    keyword: str
    error_code: str | None
    calls: int

    @property
    def expected(self) -> Expected:
        return Expected("FAILED" if self.error_code else "SUCCESS", self.error_code)


FAULTS = {
    GEMINI: (
        Fault("hang", "TIMEOUT", 3),
        Fault("hang once", None, 2),
        Fault("500", "PROVIDER_UNAVAILABLE", 3),
        Fault("500 2 times", None, 3),
        Fault("503", "PROVIDER_UNAVAILABLE", 3),
        Fault("429", "PROVIDER_OVERLOADED", 3),
        Fault("429 retry 1 once", None, 2),
        Fault("429 retry 300", "PROVIDER_OVERLOADED", 1),
        Fault("quota-day", "PROVIDER_OVERLOADED", 1),
        Fault("reset", "PROVIDER_UNAVAILABLE", 3),
        Fault("truncated", "PROVIDER_UNAVAILABLE", 3),
        Fault("garbage", "BAD_PROVIDER_ANSWER", 3),
        Fault("html", "BAD_PROVIDER_ANSWER", 3),
        Fault("empty", "BAD_PROVIDER_ANSWER", 3),
        Fault("bad-base64", "BAD_PROVIDER_ANSWER", 3),
        Fault("not-an-image", "BAD_PROVIDER_ANSWER", 3),
        Fault("wrong-size", None, 1),
        Fault("no-image", "BAD_PROVIDER_ANSWER", 3),
        Fault("blocked-prompt", "CONTENT_BLOCKED", 1),
        Fault("blocked-output", "CONTENT_BLOCKED", 1),
        Fault("401", "PROVIDER_MISCONFIGURED", 1),
        Fault("huge", "BAD_PROVIDER_ANSWER", 3),
    ),
    # One call, whatever keeps us from its picture: it is asked for again.
    BANANA: (
        Fault("hang", "TIMEOUT", 3),
        Fault("hang later", "TIMEOUT", 1),
        Fault("hang later once", None, 1),
        Fault("500 2 times", None, 3),
        Fault("500 later 2 times", None, 1),
        Fault("reset later once", None, 1),
        Fault("truncated later once", None, 1),
        Fault("garbage later once", None, 1),
        Fault("html later", "BAD_PROVIDER_ANSWER", 1),
        Fault("429 retry 1 once", None, 2),
        Fault("quota-day", "PROVIDER_OVERLOADED", 1),
        Fault("bad-base64", "BAD_PROVIDER_ANSWER", 3),
        Fault("wrong-size", None, 1),
        Fault("no-image", "BAD_PROVIDER_ANSWER", 3),
        Fault("blocked-prompt", "CONTENT_BLOCKED", 1),
        Fault("blocked-output", "CONTENT_BLOCKED", 1),
        Fault("401", "PROVIDER_MISCONFIGURED", 1),
    ),
}


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_every_fault_has_its_end(strict_world: StrictWorld, provider: str) -> None:
    times = by_form(short=1, long=10)
    known = FAULTS[provider]
    title = f"{len(known)} provider faults ×{times}"
    async with strict_world.play(title, provider=provider) as scenario:
        scenario.crowd.user_count = len(known) * times
        faults: dict[str, Fault] = {}
        for fault in known * times:
            (started,) = await scenario.start(1, keywords=f"[{fault.keyword}]")
            faults[started.wanted.tag] = fault
        expected = {tag: fault.expected for tag, fault in faults.items()}
        found = await scenario.judged(expected=expected, drained_within_s=120)
        calls = await scenario.calls()
    assert found.unexplained == 0
    made = Counter(tag for call in calls for tag in faults if tag in call["prompt"])
    assert made == {tag: fault.calls for tag, fault in faults.items()}
    _check_pause(calls)
    _check_memory(strict_world.stack.workers[0].pid)


@pytest.mark.parametrize("provider", BOTH_IN_LONG_FORM)
async def test_a_provider_that_is_down_costs_no_job(world: World, provider: str) -> None:
    jobs, failures = by_form(short=(12, 15), long=(100, 60))
    title = f"provider down, {failures} × 503"
    async with world.play(title, provider=provider) as scenario:
        scenario.stand_in.control.script(sequence=["503"] * failures)
        await scenario.start(jobs)
        found = await scenario.judged(drained_within_s=120)
    # Most of them one by one: jobs were held, and those that tried it lost none of their tries.
    assert (found.extra_calls, found.unexplained) == (failures, 0)
    assert found.paid_twice == 0


def _check_pause(calls: list[dict[str, Any]]) -> None:
    """A provider that asks for a second gets one, from each job."""
    started_s: dict[str, list[float]] = {}
    for call in calls:
        if "[429 retry 1 once]" in call["prompt"]:
            started_s.setdefault(call["prompt"], []).append(call["started_at_s"])
    assert started_s
    for first, second in started_s.values():
        assert second - first >= 1.0


def _check_memory(pid: int) -> None:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("the peak of a process's memory can only be read on Linux")
    (peak,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    assert int(peak.split()[1]) / 1024 <= MAX_RSS_MB
