"""Banana's own ways: a call that is started once and asked for until it is there."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from core.vocabulary import BlockStage
from mintari.standins.painting import paint, read_call_id
from mintari.standins.running import running
from providers.banana import BananaProvider
from providers.base import (
    Accepted,
    BadProviderAnswer,
    Finished,
    ProviderMisconfigured,
    ProviderOverloaded,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from tests.parts.standin_fixtures import (
    CASES,
    KEY,
    Setup,
    accepted_by,
    error_of,
    paint_request,
    picture_of,
    running_case,
    settings_with,
    updates_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from starlette.requests import Request

    from providers.base import Provider, ProviderError


@pytest.fixture(scope="module")
def running_setup() -> Generator[Setup]:
    (case,) = [case for case in CASES if case.name == "banana"]
    with running_case(case) as setup:
        yield setup


@pytest.fixture
def setup(running_setup: Setup) -> Setup:
    running_setup.stand_in.reset()
    running_setup.stand_in.script(latency_s=0)
    return running_setup


async def test_the_call_id_comes_before_the_picture(setup: Setup) -> None:
    async with setup.provider() as provider:
        first, last = await updates_of(provider.paint(paint_request()))

    assert isinstance(first, Accepted)
    assert first.external_id.startswith("call_")
    assert isinstance(last, Finished)


@pytest.mark.parametrize("fault", ["500", "503", "504", "429", "reset", "truncated", "garbage"])
async def test_a_lost_answer_is_asked_for_again_and_nothing_is_bought_twice(
    setup: Setup, fault: str
) -> None:
    async with setup.provider() as provider:
        finished = await picture_of(provider.paint(paint_request(f"a fox [{fault} later once]")))

    (call,) = setup.stand_in.calls()
    assert read_call_id(finished.image) == call["number"]


async def test_a_key_that_expires_meanwhile_is_said_at_once(setup: Setup) -> None:
    async with setup.provider() as provider:
        error = await error_of(provider.paint(paint_request("a fox [401 later]")))

    assert isinstance(error, ProviderMisconfigured)


async def test_answers_that_stay_bad_are_given_up(setup: Setup) -> None:
    async with setup.provider() as provider:
        error = await error_of(provider.paint(paint_request("a fox [html later]")))

    assert isinstance(error, BadProviderAnswer)


async def test_a_call_that_never_ends_meets_our_own_deadline(setup: Setup) -> None:
    async with setup.provider(gen_timeout_ms=400) as provider:
        error = await error_of(provider.paint(paint_request("a fox [hang later]")))
        slow = await error_of(provider.paint(paint_request("a fox [slow 30]")))

    assert isinstance(error, ProviderTimeout)
    assert isinstance(slow, ProviderTimeout)


async def test_a_call_outlives_whoever_started_it(setup: Setup) -> None:
    request = paint_request("a fox [slow 0.3]")
    async with setup.provider() as before:
        external_id = await accepted_by(before.paint(request))

    async with setup.provider() as after:
        first = await picture_of(after.resume(request, external_id))
        again = await picture_of(after.resume(request, external_id))

    assert first.image == again.image
    assert setup.stand_in.counts()["started"] == 1


async def test_retries_of_one_attempt_carry_one_id(setup: Setup) -> None:
    async with setup.provider() as provider:
        for request_id in ("job-1:1", "job-1:1", "job-1:2"):
            await picture_of(provider.paint(paint_request(request_id=request_id)))

    one, same, other = (call["details"]["id"] for call in setup.stand_in.calls())
    assert one == same != other


async def test_the_models_inputs(setup: Setup) -> None:
    async with setup.provider() as provider:
        await picture_of(provider.paint(paint_request(style_parameters={"steps": 30})))

    (call,) = setup.stand_in.calls()
    assert call["details"]["inputs"] == {
        "prompt": "Painted in gouache: a fox in the snow. No text.",
        "negative_prompt": "photorealism",
        "width": 1024,
        "height": 1024,
        "seed": 4242,
        "steps": 30,
    }


class Talker:
    """A server that answers every start in the same way; URL stands for its own address."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        self.url = ""
        self.application = Starlette(
            routes=[
                Route("/start/v4/", self._reply, methods=["POST"]),
                Route("/7.png", self._picture),
            ]
        )

    async def _reply(self, request: Request) -> Response:
        text = json.dumps(self.answer).replace("URL/", str(request.base_url))
        return Response(text, media_type="application/json")

    async def _picture(self, _request: Request) -> Response:
        return Response(paint(7, 128, 128), media_type="image/png")

    @asynccontextmanager
    async def provider(self, **settings: Any) -> AsyncGenerator[Provider]:
        provider = BananaProvider.from_settings(
            settings_with(banana_api_key=KEY, banana_base_url=self.url, **settings)
        )
        assert provider is not None
        try:
            yield provider
        finally:
            await provider.aclose()

    async def error(self) -> ProviderError:
        async with self.provider() as provider:
            return await error_of(provider.paint(paint_request()))


@pytest.fixture(scope="module")
def talker() -> Generator[Talker]:
    talker = Talker()
    with running(talker.application) as server:
        talker.url = server.url
        yield talker


ENCODED = base64.b64encode(paint(7, 128, 128)).decode()


@pytest.mark.parametrize(
    ("output", "key"),
    [
        ({"image_base64": ENCODED}, "image_base64"),
        ({"output": f"data:image/png;base64,{ENCODED}"}, "output"),
        ({"images": [ENCODED, "another"]}, "images.0"),
        ({"result": {"image": ENCODED}}, "result.image"),
    ],
)
async def test_the_picture_is_where_the_setting_says(
    talker: Talker, output: dict[str, Any], key: str
) -> None:
    talker.answer = {"message": "success", "callID": "call_1", "modelOutputs": [output]}

    async with talker.provider(banana_output_key=key) as provider:
        finished = await picture_of(provider.paint(paint_request()))

    assert read_call_id(finished.image) == 7


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("error: invalid api key", ProviderMisconfigured),
        ("Error: no such model key", ProviderMisconfigured),
        ("ERROR: NSFW content detected", ProviderRefused),
        ("error: account has no credits left", ProviderOverloaded),
        ("error: too many requests", ProviderOverloaded),
        ("error: inference timed out", ProviderTimeout),
        ("error: CUDA out of memory", ProviderUnavailable),
    ],
)
async def test_errors_come_inside_of_good_answers(
    talker: Talker, message: str, kind: type[ProviderError]
) -> None:
    talker.answer = {"message": message, "callID": "call_1"}

    error = await talker.error()

    assert isinstance(error, kind)
    if isinstance(error, ProviderOverloaded):
        assert error.exhausted == ("credits" in message)
    if isinstance(error, ProviderRefused):
        assert error.stage is BlockStage.INPUT


async def test_the_picture_may_be_behind_a_url_that_is_allowed(talker: Talker) -> None:
    output = {"image_base64": "URL/7.png"}
    talker.answer = {"message": "success", "callID": "call_1", "modelOutputs": [output]}

    async with talker.provider(provider_result_loopback=True) as provider:
        finished = await picture_of(provider.paint(paint_request()))
    async with talker.provider() as provider:
        error = await error_of(provider.paint(paint_request()))

    assert read_call_id(finished.image) == 7
    assert isinstance(error, ProviderMisconfigured)
    assert "PROVIDER_RESULT_HOSTS" in str(error)


async def test_an_output_that_is_only_an_error_says_so(talker: Talker) -> None:
    talker.answer = {
        "message": "success",
        "callID": "call_1",
        "modelOutputs": [{"message": "error: CUDA out of memory"}],
    }

    error = await talker.error()

    assert isinstance(error, ProviderUnavailable)
    assert "CUDA out of memory" in str(error)


@pytest.mark.parametrize("call_id", ["", "x" * 201])
async def test_a_call_needs_an_id_that_can_be_kept(talker: Talker, call_id: str) -> None:
    talker.answer = {"message": "", "callID": call_id, "finished": False}

    assert isinstance(await talker.error(), BadProviderAnswer)


def test_a_projects_address_is_recognised() -> None:
    def capabilities(address: str, route: str = "") -> bool:
        provider = BananaProvider.from_settings(
            settings_with(banana_api_key=KEY, banana_base_url=address, banana_route=route)
        )
        assert provider is not None
        return provider.capabilities.resume

    assert capabilities("https://api.banana.dev")
    assert not capabilities("https://painter.run.banana.dev")
    assert not capabilities("http://10.0.0.7:8000", "/paint")


async def test_a_project_gets_its_headers_and_the_inputs_alone(setup: Setup) -> None:
    async with setup.provider(banana_route="/paint") as provider:
        await picture_of(provider.paint(paint_request()))
        error = await error_of(provider.paint(paint_request("a fox [423 retry 2]")))

    assert isinstance(error, ProviderOverloaded)
    assert error.retry_after_s == 2
    assert setup.stand_in.calls()[0]["details"]["id"]
