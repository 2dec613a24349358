"""What every provider keeps, whatever its wire: one suite for all, against their stand-ins."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from core.vocabulary import BlockStage, ImageSize, SizePx
from mintari.standins.painting import read_call_id
from mintari.standins.wire import HUGE_BYTES
from providers.base import (
    BadProviderAnswer,
    CallLost,
    Finished,
    ProviderMisconfigured,
    ProviderOverloaded,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from tests.parts.standin_fixtures import (
    CASES,
    WRONG_KEY,
    Setup,
    accepted_by,
    error_of,
    paint_request,
    photo,
    picture_of,
    running_case,
    size_of,
    updates_of,
)
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from providers.base import Provider, ProviderError


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def running_setup(request: pytest.FixtureRequest) -> Generator[Setup]:
    with running_case(request.param) as setup:
        yield setup


@pytest.fixture
def setup(running_setup: Setup) -> Setup:
    running_setup.stand_in.reset()
    running_setup.stand_in.script(latency_s=0)
    return running_setup


@pytest.fixture
async def provider(setup: Setup) -> AsyncGenerator[Provider]:
    async with setup.provider() as provider:
        yield provider


LEAVES_IT_OPEN = ("reset", "truncated", "408", "502", "504")
"""After these, the picture may be painted and billed all the same."""


async def until_running(setup: Setup, count: int, *, within_s: float = 10) -> None:
    async def is_so() -> bool:
        return setup.stand_in.counts()["running"] == count

    await wait_until(is_so, within_s=within_s, what=f"{count} running calls")


async def test_a_sentence_becomes_a_picture(setup: Setup, provider: Provider) -> None:
    finished = await picture_of(provider.paint(paint_request("a fox in the snow")))

    (call,) = setup.stand_in.calls()
    assert read_call_id(finished.image) == call["number"]
    assert "a fox in the snow" in call["prompt"]
    assert (call["photo_bytes"], call["outcome"]) == (0, "finished")
    assert size_of(finished.image) == setup.case.sizes[ImageSize.SQUARE_1024]
    assert finished.model


async def test_a_photo_arrives_as_it_was(setup: Setup, provider: Provider) -> None:
    sent = photo()

    await picture_of(provider.paint(paint_request(photo=sent, photo_content_type="image/webp")))

    (call,) = setup.stand_in.calls()
    assert call["photo_bytes"] == len(sent)


async def test_every_size_that_is_offered_is_asked_for(setup: Setup, provider: Provider) -> None:
    assert set(provider.capabilities.sizes) == set(setup.case.sizes)

    for size in provider.capabilities.sizes:
        finished = await picture_of(provider.paint(paint_request(size=size)))
        assert size_of(finished.image) == setup.case.sizes[size]


async def test_the_seed_is_passed_on(setup: Setup, provider: Provider) -> None:
    for seed in (0, 2**31 - 1):
        await picture_of(provider.paint(paint_request(seed=seed)))

    seeds = [call["seed"] for call in setup.stand_in.calls()]
    assert seeds == ([0, 2**31 - 1] if setup.case.keeps_seed else [None, None])


async def test_progress_is_what_the_capabilities_say(setup: Setup, provider: Provider) -> None:
    updates = await updates_of(provider.paint(paint_request()))

    assert provider.capabilities.progress is setup.case.progress
    assert [update for update in updates if isinstance(update, Finished)] == updates[-1:]


async def test_a_picture_of_another_size_is_taken_as_it_is(
    setup: Setup, provider: Provider
) -> None:
    finished = await picture_of(provider.paint(paint_request("a fox [wrong-size]")))

    asked = setup.case.sizes[ImageSize.SQUARE_1024]
    assert size_of(finished.image) == SizePx(asked.width // 2, asked.height // 2)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("reset", ProviderUnavailable),
        ("truncated", ProviderUnavailable),
        ("garbage", BadProviderAnswer),
        ("html", BadProviderAnswer),
        ("empty", BadProviderAnswer),
        ("bad-base64", BadProviderAnswer),
        ("not-an-image", BadProviderAnswer),
        ("no-image", BadProviderAnswer),
        ("302", ProviderMisconfigured),
        ("400", ProviderMisconfigured),
        ("401", ProviderMisconfigured),
        ("403", ProviderMisconfigured),
        ("404", ProviderMisconfigured),
        ("408", ProviderTimeout),
        ("429", ProviderOverloaded),
        ("500", ProviderUnavailable),
        ("502", ProviderUnavailable),
        ("503", ProviderUnavailable),
        ("504", ProviderTimeout),
        ("quota-day", ProviderOverloaded),
        ("blocked-prompt", ProviderRefused),
        ("blocked-output", ProviderRefused),
    ],
)
async def test_a_failure_has_its_type(
    setup: Setup, provider: Provider, fault: str, kind: type[ProviderError]
) -> None:
    error = await error_of(provider.paint(paint_request(f"a fox [{fault}]")))

    assert isinstance(error, setup.case.unlike.get(fault, kind)), repr(error)
    assert error.outcome_known == (fault not in LEAVES_IT_OPEN)
    assert str(error).startswith(provider.name)
    (call,) = setup.stand_in.calls()
    assert call["outcome"] == "failed"


async def test_the_next_try_can_go_well(setup: Setup, provider: Provider) -> None:
    request = paint_request("a fox [500 once]")

    assert isinstance(await error_of(provider.paint(request)), ProviderUnavailable)
    await picture_of(provider.paint(request))

    assert [call["outcome"] for call in setup.stand_in.calls()] == ["failed", "finished"]


@pytest.mark.parametrize(("fault", "asked_s"), [("429 retry 7", 7.0), ("429", None)])
async def test_a_provider_may_say_when_to_come_back(
    provider: Provider, fault: str, asked_s: float | None
) -> None:
    error = await error_of(provider.paint(paint_request(f"a fox [{fault}]")))

    assert isinstance(error, ProviderOverloaded)
    assert (error.retry_after_s, error.exhausted) == (asked_s, False)


async def test_a_quota_of_the_day_is_not_worth_a_retry(setup: Setup, provider: Provider) -> None:
    error = await error_of(provider.paint(paint_request("a fox [quota-day]")))

    if "quota-day" not in setup.case.unlike:
        assert isinstance(error, ProviderOverloaded)
        assert error.exhausted
        # Only Gemini says when: at midnight there, so 25 hours at the most.
        says_when = setup.case.name == "gemini"
        assert (0 < error.resets_in_s <= 25 * 3600) if error.resets_in_s else not says_when


@pytest.mark.parametrize(
    ("fault", "stage"),
    [("blocked-prompt", BlockStage.INPUT), ("blocked-output", BlockStage.OUTPUT)],
)
async def test_a_block_says_where(
    setup: Setup, provider: Provider, fault: str, stage: BlockStage
) -> None:
    error = await error_of(provider.paint(paint_request(f"a fox [{fault}]")))

    if fault not in setup.case.unlike:
        assert isinstance(error, ProviderRefused)
        assert error.stage is stage


async def test_silence_ends_at_the_deadline(setup: Setup) -> None:
    async with setup.provider(gen_timeout_ms=300) as provider:
        error = await error_of(provider.paint(paint_request("a fox [hang]")))

    assert isinstance(error, ProviderTimeout)


async def test_an_endless_answer_is_cut_with_bounded_memory(setup: Setup) -> None:
    cap_bytes = 4 * 2**20
    tracemalloc.start()
    try:
        async with setup.provider(provider_max_answer_bytes=cap_bytes) as provider:
            error = await error_of(provider.paint(paint_request("a fox [huge]")))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(error, BadProviderAnswer)
    assert peak_bytes < 4 * cap_bytes
    (call,) = setup.stand_in.calls()
    assert call["sent_bytes"] < HUGE_BYTES / 4


async def test_cancelling_closes_the_connection_at_once(setup: Setup, provider: Provider) -> None:
    painting = asyncio.create_task(updates_of(provider.paint(paint_request("a fox [hang]"))))
    await until_running(setup, 1)

    painting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await painting

    await until_running(setup, 0, within_s=1)
    assert setup.stand_in.counts()["cut"] == 1


async def test_a_cancelled_call_leaves_the_provider_usable(
    setup: Setup, provider: Provider
) -> None:
    async with asyncio.timeout(60):
        for _ in range(3):
            painting = asyncio.create_task(updates_of(provider.paint(paint_request("[hang]"))))
            await until_running(setup, 1)
            painting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await painting
            await until_running(setup, 0)
        await picture_of(provider.paint(paint_request()))


async def test_calls_side_by_side_get_their_own_pictures(setup: Setup, provider: Provider) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(picture_of(provider.paint(paint_request(f"fox {n}", seed=n))))
            for n in range(6)
        ]

    prompts = {call["number"]: call["prompt"] for call in setup.stand_in.calls()}
    for n, task in enumerate(tasks):
        assert f"fox {n}" in prompts[read_call_id(task.result().image)]


async def test_a_call_is_taken_up_again_by_its_id(setup: Setup) -> None:
    request = paint_request()
    async with setup.provider() as before:
        assert before.capabilities.resume == setup.case.resumes
        if not setup.case.resumes:
            assert isinstance(await error_of(before.resume(request, "id")), ProviderMisconfigured)
            return
        # Nobody closes the first call: the process that made it has crashed.
        crashed = before.paint(request)
        external_id = await accepted_by(crashed)
        async with setup.provider() as after:
            finished = await picture_of(after.resume(request, external_id))
        await crashed.aclose()

    (call,) = setup.stand_in.calls()
    assert read_call_id(finished.image) == call["number"]


async def test_a_lost_call_cannot_be_taken_up_again(setup: Setup, provider: Provider) -> None:
    if not setup.case.resumes:
        return
    resumed = provider.resume(paint_request(), "call_that_nobody_knows")
    if setup.case.starts_anew:
        assert (await picture_of(resumed)).image
    else:
        error = await error_of(resumed)
        assert isinstance(error, CallLost)
        assert not error.outcome_known


async def test_a_check_costs_nothing(setup: Setup, provider: Provider) -> None:
    line = await provider.check()

    assert setup.stand_in.url in line
    assert setup.stand_in.counts()["started"] == 0


async def test_a_wrong_key_names_its_setting(setup: Setup) -> None:
    if setup.case.key_setting is None:
        pytest.skip("has no key")
    async with setup.provider(**{setup.case.key_setting: WRONG_KEY}) as provider:
        error = await error_of(provider.paint(paint_request()))

    assert isinstance(error, ProviderMisconfigured)
    assert setup.case.key_setting.upper() in str(error)
    assert setup.stand_in.counts()["started"] == 0


async def test_a_wrong_model_names_its_setting(setup: Setup) -> None:
    if setup.case.model_setting is None:
        pytest.skip("has no model setting")
    async with setup.provider(**{setup.case.model_setting: "unknown-model"}) as provider:
        error = await error_of(provider.paint(paint_request()))

    assert isinstance(error, ProviderMisconfigured)
    assert setup.case.model_setting.upper() in str(error)


async def test_a_server_that_is_away_names_its_address(setup: Setup) -> None:
    provider = setup.case.provider("http://127.0.0.1:1")

    error = await error_of(provider.paint(paint_request()))

    await provider.aclose()
    assert isinstance(error, ProviderUnavailable)
    assert "127.0.0.1" in str(error)
    assert "_BASE_URL" in str(error)


async def test_an_address_that_is_none_is_found_before_any_call(setup: Setup) -> None:
    for address in ("ftp://host", "nonsense", "http://"):
        with pytest.raises(ProviderMisconfigured, match="_BASE_URL"):
            setup.case.provider(address)
