"""Google's Gemini image models, over their REST API.

Contract: https://ai.google.dev/api/generate-content and
https://ai.google.dev/gemini-api/docs/image-generation. There is no progress, no cancel and no
idempotency key; a seed is taken, the same picture again is not promised.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from core.vocabulary import BlockStage, ImageSize, ProgressKind, SeedSupport
from providers.base import (
    BadProviderAnswer,
    Capabilities,
    Finished,
    ProviderError,
    ProviderMisconfigured,
    ProviderOverloaded,
    ProviderRefused,
)
from providers.http import (
    Answer,
    Limits,
    Wire,
    check_base_url,
    check_picture,
    numbers_of,
    retry_after,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from core.settings import Settings
    from providers.base import PaintRequest, Update

_VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*$")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")
_ASPECT_RATIOS = {
    ImageSize.SQUARE_1024: "1:1",
    ImageSize.PORTRAIT_1024X1536: "2:3",
    ImageSize.LANDSCAPE_1536X1024: "3:2",
}
_BLOCKED = frozenset(
    {
        "SAFETY",
        "IMAGE_SAFETY",
        "PROHIBITED_CONTENT",
        "IMAGE_PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "RECITATION",
        "IMAGE_RECITATION",
    }
)
"""Finish reasons after which the same content is held back again; all others are worth a retry."""
_HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
_THRESHOLD = "BLOCK_MEDIUM_AND_ABOVE"


class _Wired(msgspec.Struct, rename="camel"):
    """Names on the wire are camelCase; unknown ones are ignored."""


class _Blob(_Wired):
    data: bytes  # base64 on the wire
    mime_type: str = ""


class _Part(_Wired):
    inline_data: _Blob | None = None
    thought: bool = False


class _Content(_Wired):
    parts: list[_Part] = []


class _Candidate(_Wired):
    content: _Content | None = None
    finish_reason: str = ""
    finish_message: str = ""


class _Feedback(_Wired):
    block_reason: str = ""


class _Reply(_Wired):
    candidates: list[_Candidate] = []
    prompt_feedback: _Feedback | None = None
    usage_metadata: dict[str, Any] = {}
    model_version: str = ""


class _Violation(_Wired):
    quota_id: str = ""


class _Detail(_Wired):
    reason: str = ""
    retry_delay: str = ""
    violations: list[_Violation] = []


class _Error(_Wired):
    message: str = ""
    status: str = ""
    details: list[_Detail] = []


class _ErrorReply(_Wired):
    error: _Error


class GeminiProvider:
    """Paints with generateContent: one call, one picture."""

    name: ClassVar[str] = "gemini"

    def __init__(self, api_key: str, base_url: str, model: str, limits: Limits) -> None:
        """Raises ProviderMisconfigured for an address that is none."""
        base_url = check_base_url(base_url, "GEMINI_BASE_URL")
        if not _VERSION.search(base_url):
            base_url += "/v1beta"
        self._model = model.removeprefix("models/")
        self._wire = Wire(
            self.name,
            base_url,
            limits,
            address_setting="GEMINI_BASE_URL",
            headers={"x-goog-api-key": api_key},
            secrets=(api_key,),
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> GeminiProvider | None:
        """None without GEMINI_API_KEY. Raises ProviderMisconfigured."""
        key = settings.gemini_api_key.get_secret_value()
        if not key:
            return None
        limits = Limits.of(settings, cls.name)
        return cls(key, settings.gemini_base_url, settings.gemini_model, limits)

    @property
    def model(self) -> str:
        """GEMINI_MODEL."""
        return self._model

    @property
    def capabilities(self) -> Capabilities:
        """Sizes are aspect ratios at some 1024 pixels a side; the real size is the picture's."""
        return Capabilities(
            sizes=tuple(_ASPECT_RATIOS),
            image_input=True,
            text_input=True,
            seed=SeedSupport.BEST_EFFORT,
            progress=ProgressKind.INDETERMINATE,
            cancel=False,
            resume=False,
        )

    async def paint(self, request: PaintRequest) -> AsyncGenerator[Update, None]:
        """Paint one picture. Raises ProviderError."""
        url = f"{self._wire.base_url}/models/{self._model}:generateContent"
        answer = await self._wire.post_json(url, _body(request))
        if answer.status != 200:
            raise self._error_of(answer)
        reply = self._wire.decode(answer, _Reply)
        image = check_picture(self.name, self._image_of(reply))
        yield Finished(
            image=image,
            model=reply.model_version or self._model,
            usage=numbers_of(reply.usage_metadata),
        )

    async def resume(self, request: PaintRequest, external_id: str) -> AsyncGenerator[Update, None]:
        """Always raises ProviderMisconfigured: an answer belongs to its connection."""
        raise ProviderMisconfigured("gemini cannot resume a call")
        yield  # pyright: ignore[reportUnreachable]  # makes this a generator

    async def check(self) -> str:
        """Ask for the model's description, which is free. Raises ProviderError."""
        answer = await self._wire.request("GET", f"{self._wire.base_url}/models/{self._model}")
        if answer.status != 200:
            raise self._error_of(answer)
        return f"model {self._model} at {self._wire.base_url}"

    async def aclose(self) -> None:
        """Close connections."""
        await self._wire.aclose()

    def _image_of(self, reply: _Reply) -> bytes:
        """The last picture that is not a thought. Raises ProviderRefused, BadProviderAnswer."""
        feedback = reply.prompt_feedback
        if feedback and feedback.block_reason and not reply.candidates:
            # OTHER is a block as well: the same prompt meets it again.
            raise ProviderRefused(
                self._wire.redact(f"gemini blocked the prompt: {feedback.block_reason}"),
                stage=BlockStage.INPUT,
            )
        for candidate in reply.candidates:
            parts = candidate.content.parts if candidate.content else []
            images = [part.inline_data for part in parts if part.inline_data and not part.thought]
            if images:
                return images[-1].data
            if candidate.finish_reason in _BLOCKED:
                raise ProviderRefused(
                    self._wire.redact(f"gemini held the picture back: {candidate.finish_reason}"),
                    stage=BlockStage.OUTPUT,
                )
        reasons = [candidate.finish_reason for candidate in reply.candidates]
        raise BadProviderAnswer(self._wire.redact(f"gemini sent no picture: {reasons}"))

    def _error_of(self, answer: Answer) -> ProviderError:
        try:
            error = msgspec.json.decode(answer.body, type=_ErrorReply).error
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._wire.error_of(answer, "(not in the provider's form)")
        detail = f"{error.status} {error.message}"
        if any(detail.reason == "API_KEY_INVALID" for detail in error.details):
            return ProviderMisconfigured("gemini does not take the key: correct GEMINI_API_KEY")
        if answer.status == 404:
            return ProviderMisconfigured(
                self._wire.redact(f"gemini: correct GEMINI_MODEL or GEMINI_BASE_URL: {detail}")
            )
        if answer.status == 429:
            return self._overload_of(answer, error)
        return self._wire.error_of(answer, detail)

    def _overload_of(self, answer: Answer, error: _Error) -> ProviderOverloaded:
        quotas = [violation.quota_id for detail in error.details for violation in detail.violations]
        delays = [
            float(match[1])
            for detail in error.details
            if (match := _DURATION.fullmatch(detail.retry_delay))
        ]
        is_of_the_day = any("PerDay" in quota for quota in quotas)
        return ProviderOverloaded(
            self._wire.redact(f"gemini answered 429: {error.message} {quotas}"),
            retry_after_s=max(delays) if delays else retry_after(answer),
            exhausted=is_of_the_day,
            resets_in_s=_until_midnight_s() if is_of_the_day else None,
        )


def _until_midnight_s() -> float | None:
    """Seconds until quotas of the day are there again; None where the time zone is unknown.

    They reset at midnight Pacific time: https://ai.google.dev/gemini-api/docs/rate-limits
    """
    try:
        now = datetime.now(ZoneInfo("America/Los_Angeles"))
    except ZoneInfoNotFoundError:
        return None
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    # By their timestamps: two days a year have another length.
    return midnight.timestamp() - now.timestamp()


def _body(request: PaintRequest) -> dict[str, object]:
    parts: list[dict[str, object]] = []
    if request.photo is not None:
        mime_type = request.photo_content_type or "image/webp"
        parts.append({"inlineData": {"mimeType": mime_type, "data": request.photo}})
    parts.append({"text": _text(request)})
    config = {
        # The style file's, which an operator wrote for this model: temperature and the like.
        **request.style_parameters,
        "seed": request.seed,
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": _ASPECT_RATIOS[request.size], "imageSize": "1K"},
    }
    return {
        "contents": [{"role": "user", "parts": parts}],
        "safetySettings": [
            {"category": f"HARM_CATEGORY_{harm}", "threshold": _THRESHOLD} for harm in _HARMS
        ],
        "generationConfig": config,
    }


def _text(request: PaintRequest) -> str:
    """These models have no negative prompt; they follow a sentence."""
    if not request.negative_prompt:
        return request.assembled_prompt
    return f"{request.assembled_prompt} Leave out: {request.negative_prompt}."
