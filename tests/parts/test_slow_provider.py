"""A provider that takes longer than the deadline: its call is resumed, not bought again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mintari.standins import banana
from mintari.standins.running import running
from tests.conftest import running_api, running_worker
from tests.parts.standin_fixtures import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.settings import Settings


async def test_a_call_that_outlives_its_deadline_is_paid_once(
    make_settings: Callable[..., Settings],
) -> None:
    with running(banana.application()) as stand_in:
        settings = make_settings(
            gen_provider="banana",
            banana_api_key=KEY,
            banana_base_url=stand_in.url,
            banana_model_key="model",
            gen_timeout_ms=1000,
            gen_retry_delays_s=(0.05, 0.05),
        )
        async with running_api(settings) as api, running_worker(settings):
            ann = api.client("ann")
            wanted = {"size": "SQUARE_512", "variantCount": 1}
            (job,) = (await ann.started(prompt="a hill [slow 2]", **wanted))["jobs"]
            seen = await ann.follow_to_end(job["id"])
        calls = stand_in.calls()
    assert seen[-1]["state"] == "SUCCESS"
    assert seen[-1]["retryCount"] >= 1
    assert len(calls) == 1
