"""Progress of a provider that reports none: honest about where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from db.history import Durations
from jobs.estimate import Estimate, estimate_of
from mintari.standins import gemini
from mintari.standins.running import running
from tests.conftest import running_api, running_worker
from tests.parts.standin_fixtures import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from core.settings import Settings


def at(monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> list[int]:
    """What an estimate of 10 s (p50) and 20 s (p90) says after so many seconds."""
    clock = [0.0]
    monkeypatch.setattr("jobs.estimate.time.monotonic", lambda: clock[0])
    estimate = Estimate(Durations(sample_size=9, p50_ms=10_000, p90_ms=20_000), clock[0])
    said: list[int] = []
    for elapsed_s in seconds:
        clock[0] = elapsed_s
        said.append(estimate.percent())
    return said


def test_an_estimate_slows_down_and_never_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    assert at(monkeypatch, [0, 5, 10, 15, 20, 40, 10_000]) == [0, 30, 60, 72, 85, 90, 94]


def test_without_enough_history_there_is_no_estimate() -> None:
    assert estimate_of(None, 0) is None
    assert estimate_of(Durations(sample_size=4, p50_ms=1, p90_ms=2), 0) is None


async def test_first_no_bar_then_an_estimated_one(make_settings: Callable[..., Settings]) -> None:
    with running(gemini.application()) as stand_in:
        settings = make_settings(
            gen_provider="gemini",
            gemini_api_key=KEY,
            gemini_base_url=stand_in.url,
            max_active_jobs=9,
            rate_limit_max_requests=99,
            gen_max_variants=5,
            # Heartbeats carry the estimate: let them come often.
            lease_s=0.6,
        )
        async with running_api(settings) as api, running_worker(settings):
            ann = api.client("ann")

            async def painted(prompt: str, count: int) -> list[dict[str, Any]]:
                generation = await ann.started(prompt=prompt, variantCount=count)
                return await ann.follow_to_end(*(job["id"] for job in generation["jobs"]))

            first = await painted("a hill [slow 1]", 5)
            assert {job["progressKind"] for job in first} == {"INDETERMINATE"}
            assert {job["progress"] for job in first} == {0, 100}

            then = await painted("a lake [slow 1]", 1)
            kinds = [job["progressKind"] for job in then]
            assert kinds == sorted(kinds, reverse=True)
            assert kinds[-1] == "ESTIMATED"
            estimated = [job["progress"] for job in then if job["state"] == "RUNNING"]
            assert estimated == sorted(estimated)
            assert len(set(estimated)) > 2
            assert max(estimated) < 100
