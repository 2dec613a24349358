"""OpenAI's own ways: a stream of events with previews in it, edits as forms, errors by code."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from core.prices import load_prices
from core.settings import Settings
from core.vocabulary import ProgressKind
from mintari.standins import openai
from mintari.standins.painting import paint, read_call_id
from mintari.standins.running import RunningStandIn, running
from providers.base import (
    BadProviderAnswer,
    Finished,
    Progress,
    ProviderMisconfigured,
    ProviderOverloaded,
    ProviderRefused,
    ProviderUnavailable,
)
from providers.openai import OpenAIProvider
from tests.parts.standin_fixtures import (
    KEY,
    error_of,
    paint_request,
    photo,
    picture_of,
    settings_with,
    size_of,
    updates_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from starlette.requests import Request

    from providers.base import Provider, ProviderError


@pytest.fixture(scope="module")
def stand_in() -> Generator[RunningStandIn]:
    with running(openai.application()) as stand_in:
        stand_in.script(latency_s=0)
        yield stand_in


@asynccontextmanager
async def provider_at(url: str, **settings: Any) -> AsyncGenerator[Provider]:
    provider = OpenAIProvider.from_settings(
        settings_with(openai_api_key=KEY, openai_base_url=f"{url}/v1", **settings)
    )
    assert provider is not None
    try:
        yield provider
    finally:
        await provider.aclose()


async def test_previews_come_on_the_way(stand_in: RunningStandIn) -> None:
    stand_in.reset()

    async with provider_at(stand_in.url, openai_previews=3) as provider:
        assert provider.capabilities.progress is ProgressKind.MEASURED
        *steps, finished = await updates_of(provider.paint(paint_request()))

    (call,) = stand_in.calls()
    assert isinstance(finished, Finished)
    assert finished.usage == {
        "input_tokens": 50,
        "input_tokens_details.text_tokens": 10,
        "input_tokens_details.image_tokens": 40,
        "output_tokens": 4160,
        "total_tokens": 4210,
    }
    model = Settings.model_fields["openai_model"].default
    cost = load_prices().cost_of("openai", model, finished.usage)
    assert cost is not None
    assert cost.usd == pytest.approx((10 * 5 + 40 * 8 + 4160 * 30) / 1e6)
    assert [step.fraction for step in steps if isinstance(step, Progress)] == [0.25, 0.5, 0.75]
    for step in steps:
        assert isinstance(step, Progress)
        assert step.preview
        assert len(step.preview) < 20_000
        assert size_of(step.preview) == (320, 320)
        assert read_call_id(step.preview) == call["number"]


@pytest.mark.parametrize("fault", ["reset later", "truncated", "no-image", "blocked-output"])
async def test_a_stream_can_end_badly_after_its_previews(
    stand_in: RunningStandIn, fault: str
) -> None:
    async with provider_at(stand_in.url) as provider:
        error = await error_of(provider.paint(paint_request(f"a fox [{fault}]")))

    kinds = {"no-image": BadProviderAnswer, "blocked-output": ProviderRefused}
    assert isinstance(error, kinds.get(fault, ProviderUnavailable))


@pytest.mark.parametrize(
    ("model", "fidelity"), [("gpt-image-1.5", "high"), ("gpt-image-2.5-flare", None)]
)
async def test_a_photo_is_edited(
    stand_in: RunningStandIn, model: str, fidelity: str | None
) -> None:
    stand_in.reset()
    style = {"quality": "medium", "input_fidelity": "high"}
    request = paint_request(photo=photo(), photo_content_type="image/webp", style_parameters=style)

    async with provider_at(stand_in.url, openai_model=model, openai_previews=0) as provider:
        await picture_of(provider.paint(request))
        await picture_of(provider.paint(paint_request(style_parameters=style)))

    edit, generation = (call["details"] for call in stand_in.calls())
    assert edit == {
        "model": model,
        "n": "1",
        "size": "1024x1024",
        "quality": "medium",
        "stream": True,
        "partial_images": 0,
        **({"input_fidelity": fidelity} if fidelity else {}),
    }
    assert "input_fidelity" not in generation
    assert generation["quality"] == "medium"


class Talker:
    """A server that answers every generation in the same way."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.content_type = "text/event-stream"
        self.url = ""
        self.application = Starlette(
            routes=[
                Route("/v1/images/generations", self._reply, methods=["POST"]),
                Route("/7.png", self._picture),
            ]
        )

    async def _reply(self, _request: Request) -> Response:
        async def body() -> AsyncGenerator[bytes]:
            for chunk in self.chunks:
                yield chunk

        return StreamingResponse(body(), media_type=self.content_type)

    async def _picture(self, _request: Request) -> Response:
        return Response(PAINTED, media_type="image/png")


@pytest.fixture(scope="module")
def talker() -> Generator[Talker]:
    talker = Talker()
    with running(talker.application) as server:
        talker.url = server.url
        yield talker


PAINTED = paint(7, 64, 64)
ENCODED = base64.b64encode(PAINTED).decode()
COMPLETED = msgspec.json.encode({"type": "image_generation.completed", "b64_json": ENCODED})


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + COMPLETED + b"\n\n"],
        [b": hello\r\n\r\nevent: x\r\ndata:" + COMPLETED + b"\r\n\r\n"],
        [b"event: x\n", b"da", b"ta: " + COMPLETED[:9], COMPLETED[9:] + b"\n", b"\n"],
        [b'data: {"type": "another"}\n\ndata: ' + COMPLETED + b"\n\ndata: [DONE]\n\n"],
    ],
)
async def test_events_are_read_however_they_are_cut(talker: Talker, chunks: list[bytes]) -> None:
    talker.content_type, talker.chunks = "text/event-stream", chunks

    async with provider_at(talker.url) as provider:
        finished = await picture_of(provider.paint(paint_request()))

    assert finished.image == PAINTED


async def error_with(talker: Talker, chunks: list[bytes]) -> ProviderError:
    talker.content_type, talker.chunks = "text/event-stream", chunks
    async with provider_at(talker.url, provider_max_answer_bytes=100_000) as provider:
        return await error_of(provider.paint(paint_request()))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b"{garbage", BadProviderAnswer),
        (b'{"type": "image_generation.completed", "b64_json": "%%%"}', BadProviderAnswer),
        (b'{"type": "error", "error": {"code": "server_error"}}', ProviderUnavailable),
        (b'{"type": "error", "error": {"code": "rate_limit_exceeded"}}', ProviderOverloaded),
        (b'{"type": "error", "error": {"code": "insufficient_quota"}}', ProviderOverloaded),
        (b'{"type": "error", "error": {"code": "moderation_blocked"}}', ProviderRefused),
    ],
)
async def test_an_event_can_be_an_error(
    talker: Talker, event: bytes, kind: type[ProviderError]
) -> None:
    assert isinstance(await error_with(talker, [b"data: " + event + b"\n\n"]), kind)


async def test_an_endless_event_is_cut(talker: Talker) -> None:
    error = await error_with(talker, [b"data: ", *[b"A" * 9_000] * 1_000])

    assert isinstance(error, BadProviderAnswer)
    assert "100000 bytes" in str(error)


async def test_servers_that_do_not_stream_are_understood(talker: Talker) -> None:
    talker.content_type = "application/json"
    talker.chunks = [msgspec.json.encode({"data": [{"b64_json": ENCODED}]})]
    async with provider_at(talker.url) as provider:
        assert (await picture_of(provider.paint(paint_request()))).image == PAINTED

    talker.chunks = [msgspec.json.encode({"data": [{"url": f"{talker.url}/7.png"}]})]
    async with provider_at(talker.url, provider_result_loopback=True) as provider:
        assert (await picture_of(provider.paint(paint_request()))).image == PAINTED
    async with provider_at(talker.url) as provider:
        error = await error_of(provider.paint(paint_request()))
    assert isinstance(error, ProviderMisconfigured)
    assert "PROVIDER_RESULT_HOSTS" in str(error)
