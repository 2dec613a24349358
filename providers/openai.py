"""OpenAI's image models, over the Image API: generations, edits, and previews on the way.

Contract: https://developers.openai.com/api/docs/guides/image-generation and the reference of
/v1/images. The answer is a stream of events; unfinished pictures come in it. There is no seed.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from core.vocabulary import BlockStage, ImageSize, ProgressKind, SeedSupport
from providers.base import (
    BadProviderAnswer,
    Capabilities,
    Finished,
    Progress,
    ProviderError,
    ProviderMisconfigured,
    ProviderOverloaded,
    ProviderRefused,
    ProviderUnavailable,
)
from providers.http import (
    MAX_ERROR_BYTES,
    Answer,
    Limits,
    Wire,
    check_base_url,
    decode_picture,
    numbers_of,
)
from providers.previews import small_preview
from providers.results import ResultFetcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    import httpx

    from core.settings import Settings
    from providers.base import PaintRequest, Update

_SIZES = {
    ImageSize.SQUARE_1024: "1024x1024",
    ImageSize.PORTRAIT_1024X1536: "1024x1536",
    ImageSize.LANDSCAPE_1536X1024: "1536x1024",
}
_BLOCKED_CODES = ("moderation_blocked", "content_policy_violation")
_USED_UP_CODES = ("insufficient_quota", "billing_hard_limit_reached")


class _Moderation(msgspec.Struct):
    moderation_stage: str = ""


class _Error(msgspec.Struct):
    message: str | None = None
    code: str | int | None = None
    type: str | None = None
    moderation_details: _Moderation | None = None


class _ErrorReply(msgspec.Struct):
    error: _Error


class _Event(msgspec.Struct):
    type: str = ""
    b64_json: str = ""
    partial_image_index: int = 0
    usage: dict[str, Any] | None = None
    error: _Error | None = None


class _Image(msgspec.Struct):
    b64_json: str | None = None
    url: str | None = None


class _Images(msgspec.Struct):
    """The answer of servers that do not stream."""

    data: list[_Image] = []
    usage: dict[str, Any] | None = None


class OpenAIProvider:
    """Paints sentences with /images/generations and photos with /images/edits."""

    name: ClassVar[str] = "openai"

    def __init__(self, settings: Settings, limits: Limits) -> None:
        """Raises ProviderMisconfigured for an address that is none."""
        key = settings.openai_api_key.get_secret_value()
        self._model = settings.openai_model
        self._previews = settings.openai_previews
        self._results = ResultFetcher.from_settings(self.name, settings, limits)
        self._wire = Wire(
            self.name,
            check_base_url(settings.openai_base_url, "OPENAI_BASE_URL"),
            limits,
            address_setting="OPENAI_BASE_URL",
            headers={"authorization": f"Bearer {key}"},
            secrets=(key,),
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> OpenAIProvider | None:
        """None without OPENAI_API_KEY. Raises ProviderMisconfigured."""
        if not settings.openai_api_key.get_secret_value():
            return None
        return cls(settings, Limits.of(settings, cls.name))

    @property
    def model(self) -> str:
        """OPENAI_MODEL."""
        return self._model

    @property
    def capabilities(self) -> Capabilities:
        """Progress counts the previews: coarse steps, but steps that were taken."""
        measured = self._previews > 0
        return Capabilities(
            sizes=tuple(_SIZES),
            image_input=True,
            text_input=True,
            seed=SeedSupport.NONE,
            progress=ProgressKind.MEASURED if measured else ProgressKind.INDETERMINATE,
            cancel=False,
            resume=False,
        )

    async def paint(self, request: PaintRequest) -> AsyncGenerator[Update, None]:
        """Paint one picture. Raises ProviderError."""
        async with self._ask(request) as response:
            if response.status_code != 200:
                body = await self._wire.read(response, MAX_ERROR_BYTES)
                raise self._error_of(Answer(response.status_code, dict(response.headers), body))
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                yield await self._whole_answer(response)
                return
            async with aclosing(self._wire.events(response)) as events:
                async for data in events:
                    update = await self._update_of(data)
                    if update:
                        yield update
                    if isinstance(update, Finished):
                        return
        raise BadProviderAnswer("openai ended its stream without a picture")

    async def resume(self, request: PaintRequest, external_id: str) -> AsyncGenerator[Update, None]:
        """Always raises ProviderMisconfigured: an answer belongs to its connection."""
        raise ProviderMisconfigured("openai cannot resume a call")
        yield  # makes this a generator, as the protocol says

    async def check(self) -> str:
        """Ask for the model's description, which is free. Raises ProviderError."""
        answer = await self._wire.request("GET", f"{self._wire.base_url}/models/{self._model}")
        if answer.status != 200:
            raise self._error_of(answer)
        return f"model {self._model} at {self._wire.base_url}"

    async def aclose(self) -> None:
        """Close connections."""
        await self._wire.aclose()

    def _ask(self, request: PaintRequest) -> Any:
        fields = self._fields(request)
        if request.photo is None:
            return self._wire.stream(
                "POST",
                f"{self._wire.base_url}/images/generations",
                content=msgspec.json.encode(fields),
                headers={"content-type": "application/json"},
            )
        content_type = request.photo_content_type or "image/webp"
        name = f"photo.{content_type.rpartition('/')[2]}"
        return self._wire.stream(
            "POST",
            f"{self._wire.base_url}/images/edits",
            fields={name: _form_value(value) for name, value in fields.items()},
            files={"image[]": (name, request.photo, content_type)},
        )

    def _fields(self, request: PaintRequest) -> dict[str, object]:
        own = dict(request.style_parameters)
        # Only edits with this family of models know it; the others refuse it.
        if request.photo is None or not self._model.startswith("gpt-image-1.5"):
            own.pop("input_fidelity", None)
        return {
            **own,
            "model": self._model,
            "prompt": _text(request),
            "n": 1,
            "size": _SIZES[request.size],
            "stream": True,
            "partial_images": self._previews,
        }

    async def _update_of(self, data: bytes) -> Update | None:
        """What one event means; None for events of no interest. Raises ProviderError."""
        try:
            event = msgspec.json.decode(data, type=_Event)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadProviderAnswer(f"openai sent an event that is none: {error}") from None
        if event.error is not None:
            raise self._typed(event.error, status=None)
        if event.type.endswith(".partial_image"):
            preview = await small_preview(decode_picture(self.name, event.b64_json))
            steps = min(event.partial_image_index + 1, self._previews)
            return Progress(steps / (self._previews + 1), preview)
        if event.type.endswith(".completed"):
            return self._finished(decode_picture(self.name, event.b64_json), event.usage)
        return None

    async def _whole_answer(self, response: httpx.Response) -> Finished:
        body = await self._wire.read(response, self._wire.limits.answer_bytes)
        answer = Answer(200, dict(response.headers), body)
        images = self._wire.decode(answer, _Images)
        for image in images.data:
            if image.b64_json:
                return self._finished(decode_picture(self.name, image.b64_json), images.usage)
            if image.url:
                return self._finished(await self._results.fetch(image.url), images.usage)
        raise BadProviderAnswer("openai answered without a picture")

    def _finished(self, image: bytes, usage: Mapping[str, object] | None) -> Finished:
        return Finished(image=image, model=self._model, usage=numbers_of(usage or {}))

    def _error_of(self, answer: Answer) -> ProviderError:
        try:
            error = msgspec.json.decode(answer.body, type=_ErrorReply).error
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._wire.error_of(answer, "(not in the provider's form)")
        return self._typed(error, status=answer.status, answer=answer)

    def _typed(
        self, error: _Error, *, status: int | None, answer: Answer | None = None
    ) -> ProviderError:
        """What an error means, by its code first; an event of the stream has no status."""
        text = self._wire.redact(f"openai: {error.code or error.type}: {error.message}")
        if error.code in _BLOCKED_CODES:
            details = error.moderation_details
            is_output = details is not None and details.moderation_stage == "output"
            stage = BlockStage.OUTPUT if is_output else BlockStage.INPUT
            return ProviderRefused(text, stage=stage)
        if error.code in _USED_UP_CODES or error.type in _USED_UP_CODES:
            return ProviderOverloaded(text, exhausted=True)
        if status == 401:
            return ProviderMisconfigured(f"{text}: correct OPENAI_API_KEY")
        if status == 404:
            return ProviderMisconfigured(f"{text}: correct OPENAI_MODEL or OPENAI_BASE_URL")
        if answer is not None:
            return self._wire.error_of(answer, text.removeprefix("openai: "))
        if error.code == "rate_limit_exceeded":
            return ProviderOverloaded(text)
        return ProviderUnavailable(text)


def _text(request: PaintRequest) -> str:
    """These models have no negative prompt; they follow a sentence."""
    if not request.negative_prompt:
        return request.assembled_prompt
    return f"{request.assembled_prompt} Leave out: {request.negative_prompt}."


def _form_value(value: object) -> str:
    return "true" if value is True else str(value)
