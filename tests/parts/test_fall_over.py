"""Another provider paints what the one that was asked for cannot: when, which, and when not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from mintari.standins import banana, gemini
from mintari.standins.painting import read_call_id
from mintari.standins.running import RunningStandIn, running
from tests.conftest import running_api, running_worker
from tests.parts.standin_fixtures import KEY
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from core.settings import Settings
    from tests.client import Client, Json
    from tests.conftest import Api

PAINTED = {"prompt": "a hill [wrong-size]", "variantCount": 1}
FALL_OVER = """
query FallOver($id: ID!) {
  job(id: $id) {
    provider model fallOver { requestedProvider reason } generation { provider } image { url }
  }
}
"""
PROVIDERS = "{ providers { name status statusUntil } }"
REGENERATE = """
mutation Again($input: RegenerateInput!) {
  regenerate(input: $input) {
    ... on JobRegenerated { job { id provider seed } }
    ... on UserError { code message }
  }
}
"""


@dataclass(frozen=True)
class StandIns:
    """The provider that is asked for, and the one after it."""

    gemini: RunningStandIn
    banana: RunningStandIn

    @property
    def calls(self) -> tuple[int, int]:
        """How many calls each got."""
        return self.gemini.counts()["started"], self.banana.counts()["started"]

    def reset(self) -> None:
        for one in (self.gemini, self.banana):
            one.reset()
            one.script(latency_s=0)


@pytest.fixture(scope="module")
def running_stand_ins() -> Generator[StandIns]:
    with running(gemini.application()) as first, running(banana.application()) as second:
        yield StandIns(first, second)


@pytest.fixture
def stand_ins(running_stand_ins: StandIns) -> StandIns:
    running_stand_ins.reset()
    return running_stand_ins


@pytest.fixture
def with_both(
    make_settings: Callable[..., Settings], stand_ins: StandIns
) -> Callable[..., Settings]:
    """Settings with both providers; keyword arguments change them."""

    def make(**changes: Any) -> Settings:
        values: dict[str, Any] = {
            "gen_provider": "gemini",
            "gen_fallback_providers": "banana",
            "gemini_api_key": KEY,
            "gemini_base_url": stand_ins.gemini.url,
            "banana_api_key": KEY,
            "banana_base_url": stand_ins.banana.url,
            "banana_model_key": "model",
            "gen_retry_delays_s": (0.02, 0.02),
            "sweep_interval_s": 0.1,
            **changes,
        }
        return make_settings(**values)

    return make


@asynccontextmanager
async def service(settings: Settings) -> AsyncGenerator[Api]:
    async with running_api(settings) as api, running_worker(settings):
        yield api


async def ended(client: Client, **wanted: Any) -> Json:
    """A job from its start to its end; a followed job says it all, as does a read one."""
    (job,) = (await client.started(**{**PAINTED, **wanted}))["jobs"]
    last = (await client.follow_to_end(job["id"]))[-1]
    read = (await client.ask(FALL_OVER, id=job["id"])).data["job"]
    assert last["fallOver"] == read["fallOver"]
    assert (last["provider"], last["model"]) == (read["provider"], read["model"])
    return {**last, "requested": read["generation"]["provider"]}


async def painted_by(client: Client, job: Json) -> int:
    """The number of the call that painted a frame."""
    answer = await client.http.get(job["image"]["url"])
    return read_call_id(answer.content)


async def test_after_its_tries_the_next_provider_paints(
    with_both: Callable[..., Settings], stand_ins: StandIns
) -> None:
    stand_ins.gemini.script(sequence=["500", "503", "500"])
    async with service(with_both()) as api:
        ann = api.client("ann")
        job = await ended(ann)
        (call,) = stand_ins.banana.calls()
        assert await painted_by(ann, job) == call["number"]
        again = (await ann.ask(REGENERATE, input={"jobId": job["id"], "lockSeed": True})).data

    assert job["state"] == "SUCCESS"
    assert job["fallOver"] == {"requestedProvider": "gemini", "reason": "UNAVAILABLE"}
    assert (job["requested"], job["provider"]) == ("gemini", "banana")
    assert job["model"].startswith("banana-")
    assert job["retryCount"] == 3
    assert call["seed"] == job["seed"]
    assert len(stand_ins.gemini.calls()) == 3
    # Its seed means something to its painter only.
    made_again = again["regenerate"]["job"]
    assert (made_again["provider"], made_again["seed"]) == ("banana", job["seed"])


async def test_a_used_up_day_is_not_tried_again(
    with_both: Callable[..., Settings], stand_ins: StandIns
) -> None:
    stand_ins.gemini.script(sequence=["quota-day"])
    async with service(with_both()) as api:
        ann = api.client("ann")
        jobs = [await ended(ann, prompt=f"a hill {n} [wrong-size]") for n in range(2)]
        found = {one["name"]: one for one in (await ann.ask(PROVIDERS)).data["providers"]}

    assert [job["fallOver"]["reason"] for job in jobs] == ["QUOTA_USED_UP"] * 2
    # The second one was never asked of the first provider.
    assert [job["retryCount"] for job in jobs] == [1, 0]
    assert stand_ins.calls == (1, 2)
    assert found["gemini"]["status"] == "UNAVAILABLE"
    assert found["gemini"]["statusUntil"] is not None
    assert (found["banana"]["status"], found["banana"]["statusUntil"]) == ("AVAILABLE", None)


async def test_a_paused_provider_is_passed_by(
    with_both: Callable[..., Settings], stand_ins: StandIns
) -> None:
    stand_ins.gemini.script(sequence=["503"])
    async with service(with_both(gen_breaker_failures=1)) as api:
        ann = api.client("ann")
        reasons = [(await ended(ann, seed=n, fallOver=True))["fallOver"]["reason"] for n in (1, 2)]

    assert reasons == ["UNAVAILABLE", "PAUSED"]
    assert stand_ins.calls == (1, 2)


NOBODY_ELSE: dict[str, tuple[dict[str, Any], list[str], str]] = {
    # Nobody knows whether these were painted and billed.
    "cut off": ({}, ["reset"] * 3, "PROVIDER_UNAVAILABLE"),
    "cut off before": ({}, ["truncated", "500", "500"], "PROVIDER_UNAVAILABLE"),
    "timed out": ({}, ["504"] * 3, "TIMEOUT"),
    "not retryable": ({}, ["401"], "PROVIDER_MISCONFIGURED"),
    "blocked": ({}, ["blocked-prompt"], "CONTENT_BLOCKED"),
    "provider chosen": ({"provider": "gemini"}, ["500"] * 3, "PROVIDER_UNAVAILABLE"),
    "seed chosen": ({"seed": 7}, ["500"] * 3, "PROVIDER_UNAVAILABLE"),
    "not wanted": ({"fallOver": False}, ["500"] * 3, "PROVIDER_UNAVAILABLE"),
}
"""By name: what is asked for, what happens to its calls, and the code at the end."""


async def test_nobody_else_is_asked(
    with_both: Callable[..., Settings], stand_ins: StandIns
) -> None:
    found: dict[str, object] = {}
    async with service(with_both(gen_breaker_failures=0)) as api:
        ann = api.client("ann")
        for name, (wanted, faults, _) in NOBODY_ELSE.items():
            stand_ins.reset()
            stand_ins.gemini.script(sequence=faults)
            job = await ended(ann, **wanted)
            found[name] = (job["provider"], job["fallOver"], job["error"]["code"], stand_ins.calls)

    assert found == {
        name: ("gemini", None, code, (len(faults), 0))
        for name, (_, faults, code) in NOBODY_ELSE.items()
    }


async def test_who_cannot_paint_it_is_left_out(
    with_both: Callable[..., Settings], stand_ins: StandIns
) -> None:
    stand_ins.banana.script(sequence=["500"] * 3)
    settings = with_both(gen_provider="banana", gen_fallback_providers="banana,gemini")
    async with service(settings) as api:
        job = await ended(api.client("ann"), size="SQUARE_512")

    assert (job["provider"], job["fallOver"]) == ("banana", None)
    assert job["error"]["code"] == "PROVIDER_UNAVAILABLE"
    assert stand_ins.calls == (0, 3)


async def test_held_jobs_are_neither_lost_nor_burned(
    with_both: Callable[..., Settings], stand_ins: StandIns
) -> None:
    stand_ins.gemini.script(sequence=["503"] * 4)
    settings = with_both(gen_fallback_providers="", gen_breaker_failures=2, gen_breaker_pause_s=0.3)
    async with service(settings) as api:
        ann = api.client("ann")
        jobs = (await ann.started(**{**PAINTED, "variantCount": 3}))["jobs"]
        seen = await ann.follow_to_end(*(job["id"] for job in jobs))

    last = {one["id"]: one for one in seen}
    assert [one["state"] for one in last.values()] == ["SUCCESS"] * 3
    # Two calls opened it, maybe with a third one under way; those that tried it were not counted.
    calls = stand_ins.gemini.calls()
    assert len(calls) == 7
    assert sum(one["retryCount"] for one in last.values()) <= 2


async def test_nobody_waits_for_ever(
    with_both: Callable[..., Settings], stand_ins: StandIns
) -> None:
    stand_ins.gemini.script(sequence=["quota-day"])
    async with service(with_both(gen_fallback_providers="")) as api:
        ann = api.client("ann")
        jobs = [await ended(ann, prompt=f"a hill {n} [wrong-size]") for n in range(2)]

    # Until midnight is longer than a job waits: the first one has tried, the second need not.
    codes = [(job["state"], job["error"]["code"]) for job in jobs]
    assert codes == [("FAILED", "PROVIDER_OVERLOADED"), ("FAILED", "PROVIDER_PAUSED")]
    assert all(job["error"]["retryable"] for job in jobs)
    assert stand_ins.calls == (1, 0)


async def test_a_cancelled_job_that_is_held_stays_cancelled(
    with_both: Callable[..., Settings], stand_ins: StandIns
) -> None:
    stand_ins.gemini.script(sequence=["503"])
    settings = with_both(gen_fallback_providers="", gen_breaker_failures=1)
    async with service(settings) as api:
        ann = api.client("ann")
        (job,) = (await ann.started(**PAINTED))["jobs"]

        async def is_held() -> bool:
            now = await ann.job(job["id"])
            return now["state"] == "PENDING" and stand_ins.calls == (1, 0)

        await wait_until(is_held, what="a held job")
        await ann.ask("mutation($id: ID!) { cancelJob(id: $id) { __typename } }", id=job["id"])
        assert (await ann.job(job["id"]))["state"] == "CANCELLED"
    assert stand_ins.calls == (1, 0)
