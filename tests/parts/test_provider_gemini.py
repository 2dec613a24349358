"""Gemini's own words: every reason to end, to block, to refuse; and its address in both forms."""

from __future__ import annotations

import base64
import gzip
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from core.vocabulary import BlockStage, ImageSize
from mintari.standins import gemini
from mintari.standins.painting import paint
from mintari.standins.running import RunningStandIn, running
from providers.base import (
    BadProviderAnswer,
    ProviderMisconfigured,
    ProviderOverloaded,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from providers.gemini import GeminiProvider
from tests.parts.standin_fixtures import (
    KEY,
    error_of,
    paint_request,
    photo,
    picture_of,
    settings_with,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from starlette.requests import Request

    from providers.base import Provider, ProviderError

FIRST, SECOND = paint(1, 64, 64), paint(2, 64, 64)


@asynccontextmanager
async def provider_at(url: str, **settings: Any) -> AsyncGenerator[Provider]:
    provider = GeminiProvider.from_settings(
        settings_with(gemini_api_key=KEY, gemini_base_url=url, **settings)
    )
    assert provider is not None
    try:
        yield provider
    finally:
        await provider.aclose()


@pytest.fixture(scope="module")
def stand_in() -> Generator[RunningStandIn]:
    with running(gemini.application()) as stand_in:
        stand_in.script(latency_s=0)
        yield stand_in


class Talker:
    """A server that answers every call in the same way."""

    def __init__(self) -> None:
        self.status, self.headers = 200, dict[str, str]()
        self.body = b""
        self.url = ""
        self.application = Starlette(
            routes=[Route("/{path:path}", self._reply, methods=["GET", "POST"])]
        )

    def says(self, answer: object, status: int = 200, **headers: str) -> None:
        self.status, self.body = status, msgspec.json.encode(answer)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    async def _reply(self, _request: Request) -> Response:
        return Response(self.body, self.status, self.headers, media_type="application/json")

    async def error(self) -> ProviderError:
        async with provider_at(self.url) as provider:
            return await error_of(provider.paint(paint_request()))


@pytest.fixture(scope="module")
def talker() -> Generator[Talker]:
    talker = Talker()
    with running(talker.application) as server:
        talker.url = server.url
        yield talker


def picture_part(content: bytes, **more: object) -> dict[str, object]:
    data = base64.b64encode(content).decode()
    return {"inlineData": {"mimeType": "image/png", "data": data}, **more}


def candidate(*parts: dict[str, object], reason: str = "STOP") -> dict[str, object]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason}]}


@pytest.mark.parametrize("path", ["", "/", "/v1beta", "/v1beta/", "/v1"])
async def test_the_address_has_its_version_or_gets_one(stand_in: RunningStandIn, path: str) -> None:
    async with provider_at(stand_in.url + path) as provider:
        finished = await picture_of(provider.paint(paint_request()))
        line = await provider.check()

    assert finished.model == "gemini-2.5-flash-image"
    assert line.endswith("/v1" if path == "/v1" else "/v1beta")


async def test_the_whole_request(stand_in: RunningStandIn) -> None:
    stand_in.reset()
    request = paint_request(
        size=ImageSize.LANDSCAPE_1536X1024,
        style_parameters={"temperature": 0.9},
        photo=photo(),
        photo_content_type="image/webp",
    )

    async with provider_at(stand_in.url) as provider:
        finished = await picture_of(provider.paint(request))

    (call,) = stand_in.calls()
    assert call["prompt"] == (
        "Painted in gouache: a fox in the snow. No text. Leave out: photorealism."
    )
    assert call["details"]["generationConfig"] == {
        "temperature": 0.9,
        "seed": 4242,
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "3:2", "imageSize": "1K"},
    }
    assert {one["category"] for one in call["details"]["safetySettings"]} == {
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
    }
    assert finished.usage["totalTokenCount"] == 1307


async def test_the_last_picture_that_is_no_thought_counts(talker: Talker) -> None:
    parts: list[dict[str, object]] = [
        picture_part(FIRST),
        {"text": "Done."},
        picture_part(SECOND),
        picture_part(FIRST, thought=True),
    ]
    talker.says(candidate(*parts))

    async with provider_at(talker.url) as provider:
        assert (await picture_of(provider.paint(paint_request()))).image == SECOND


@pytest.mark.parametrize(
    "reason",
    [
        "SAFETY",
        "IMAGE_SAFETY",
        "PROHIBITED_CONTENT",
        "IMAGE_PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "RECITATION",
        "IMAGE_RECITATION",
    ],
)
async def test_a_picture_that_is_held_back_is_refused(talker: Talker, reason: str) -> None:
    talker.says(candidate(reason=reason))

    error = await talker.error()

    assert isinstance(error, ProviderRefused)
    assert error.stage is BlockStage.OUTPUT
    assert reason in str(error)


@pytest.mark.parametrize(
    "reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "NEW_ONE"]
)
async def test_a_prompt_that_is_blocked_is_refused(talker: Talker, reason: str) -> None:
    talker.says({"promptFeedback": {"blockReason": reason}})

    error = await talker.error()

    assert isinstance(error, ProviderRefused)
    assert error.stage is BlockStage.INPUT


@pytest.mark.parametrize(
    "answer",
    [
        candidate(reason="NO_IMAGE"),
        candidate(reason="IMAGE_OTHER"),
        candidate(reason="OTHER"),
        candidate(reason="MAX_TOKENS"),
        candidate(reason="SOMETHING_NEW"),
        candidate({"text": "I cannot paint."}),
        candidate(picture_part(FIRST, thought=True)),
        {"candidates": [{"finishReason": "STOP"}]},
        {"candidates": []},
        {},
        [],
        {"candidates": [{"content": {"parts": [{"inlineData": {"data": 5}}]}}]},
    ],
)
async def test_an_answer_without_a_picture_is_worth_a_retry(talker: Talker, answer: Any) -> None:
    talker.says(answer)

    assert isinstance(await talker.error(), BadProviderAnswer)


def quota(quota_id: str, delay: str | None) -> dict[str, object]:
    details: list[object] = [
        {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
        {"@type": "google.rpc.QuotaFailure", "violations": [{"quotaId": quota_id}]},
    ]
    if delay:
        details.append({"@type": "google.rpc.RetryInfo", "retryDelay": delay})
    return {"error": {"code": 429, "message": "m", "status": "X", "details": details}}


@pytest.mark.parametrize(
    ("answer", "headers", "retry_after_s", "exhausted"),
    [
        (quota("PerMinutePerProject", "22s"), {}, 22.0, False),
        (quota("PerMinutePerProject", "22.057s"), {"retry_after": "9"}, 22.057, False),
        (quota("PerMinutePerProject", None), {"retry_after": "9"}, 9.0, False),
        (quota("PerMinutePerProject", "soon"), {"retry_after": "Mon, 01 Jan"}, None, False),
        (quota("GenerateRequestsPerDayPerProject", "36s"), {}, 36.0, True),
        ({"nonsense": True}, {"retry_after": "3"}, 3.0, False),
    ],
)
async def test_a_quota_says_when_and_whether_to_come_back(
    talker: Talker,
    answer: object,
    headers: dict[str, str],
    retry_after_s: float | None,
    exhausted: bool,
) -> None:
    talker.says(answer, 429, **headers)

    error = await talker.error()

    assert isinstance(error, ProviderOverloaded)
    assert (error.retry_after_s, error.exhausted) == (retry_after_s, exhausted)


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "INVALID_ARGUMENT", ProviderMisconfigured),
        (400, "FAILED_PRECONDITION", ProviderMisconfigured),
        (403, "PERMISSION_DENIED", ProviderMisconfigured),
        (404, "NOT_FOUND", ProviderMisconfigured),
        (500, "INTERNAL", ProviderUnavailable),
        (503, "UNAVAILABLE", ProviderUnavailable),
        (504, "DEADLINE_EXCEEDED", ProviderTimeout),
    ],
)
async def test_a_status_has_its_meaning_and_the_vendors_words(
    talker: Talker, status: int, name: str, kind: type[ProviderError]
) -> None:
    message = f"what happened to {KEY} " + "x" * 1000
    talker.says({"error": {"code": status, "message": message, "status": name}}, status)

    error = await talker.error()

    assert isinstance(error, kind)
    assert name in str(error)
    assert "what happened to ***" in str(error)
    assert len(str(error)) <= 300


async def test_an_answer_that_is_compressed_although_it_must_not_be_is_not_unpacked(
    talker: Talker,
) -> None:
    talker.says({}, content_encoding="gzip")
    talker.body = gzip.compress(bytes(10_000_000))

    error = await talker.error()

    assert isinstance(error, BadProviderAnswer)
    assert "compressed" in str(error)


async def test_a_name_that_is_not_found_names_the_setting() -> None:
    async with provider_at("https://no-such-host.invalid") as provider:
        error = await error_of(provider.paint(paint_request()))

    assert isinstance(error, ProviderUnavailable)
    assert "no-such-host.invalid" in str(error)
    assert "GEMINI_BASE_URL" in str(error)


async def test_credentials_in_an_address_are_refused() -> None:
    with pytest.raises(ProviderMisconfigured, match="GEMINI_BASE_URL"):
        GeminiProvider.from_settings(
            settings_with(gemini_api_key=KEY, gemini_base_url="https://me:secret@host")
        )
