"""Banana (banana.dev) and servers that speak like it: start/v4 and check/v4, or one project's URL.

Contract: https://github.com/bananaml/banana-python-sdk (`generics.py` for start and check,
`client.py` for projects). A started call has an id of the provider's: it is stored at once, and
whoever comes later asks for its picture instead of buying another one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import time
import uuid
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlsplit

import msgspec

from core.vocabulary import BlockStage, ImageSize, ProgressKind, SeedSupport
from providers.base import (
    Accepted,
    BadProviderAnswer,
    CallLost,
    Capabilities,
    Finished,
    ProviderError,
    ProviderMisconfigured,
    ProviderOverloaded,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from providers.http import Answer, Limits, Wire, check_base_url, decode_picture, retry_after
from providers.results import ResultFetcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from core.settings import Settings
    from providers.base import PaintRequest, Update

PROJECT_HOSTS = ".run.banana.dev"
# A server that does not hold a long poll must not be asked in a tight loop.
LEAST_PAUSE_S = 0.5
MAX_BAD_ANSWERS = 3
_MAX_CALL_ID_CHARS = 200

_NO_SUCH_CALL = re.compile(
    r"(?:no such|unknown|invalid) call|call\w* .{0,40}not found", re.IGNORECASE
)
_WRONG_KEY = re.compile(r"api.?key|unauthori[sz]ed|forbidden", re.IGNORECASE)
_WRONG_MODEL = re.compile(r"model.?key|no such model|model .{0,40}not found", re.IGNORECASE)
_BLOCKED = re.compile(r"nsfw|safety|prohibited|content policy", re.IGNORECASE)
_USED_UP = re.compile(r"quota|credit|billing", re.IGNORECASE)
_BUSY = re.compile(r"rate limit|too many|busy|capacity|overload", re.IGNORECASE)
_TOO_SLOW = re.compile(r"timed? ?out", re.IGNORECASE)


class _Reply(msgspec.Struct):
    """Both start/v4 and check/v4 answer so; errors come with status 200, in `message`."""

    message: str = ""
    call_id: str = msgspec.field(name="callID", default="")
    model_outputs: list[Any] | None = msgspec.field(name="modelOutputs", default=None)

    @property
    def is_error(self) -> bool:
        return "error" in self.message.lower()

    @property
    def is_done(self) -> bool:
        return self.message.lower() == "success" and bool(self.model_outputs)


class BananaProvider:
    """Starts a call, then asks for its picture; or, with a project's URL, asks once and waits."""

    name: ClassVar[str] = "banana"

    def __init__(self, settings: Settings, limits: Limits) -> None:
        """Raises ProviderMisconfigured for an address that is none."""
        base_url = check_base_url(settings.banana_base_url, "BANANA_BASE_URL")
        self._key = settings.banana_api_key.get_secret_value()
        self._model_key = settings.banana_model_key
        self._output_path = settings.banana_output_key.split(".")
        self._photo_key = settings.banana_photo_key
        is_project = (urlsplit(base_url).hostname or "").endswith(PROJECT_HOSTS)
        self._route = settings.banana_route or ("/" if is_project else "")
        self._results = ResultFetcher.from_settings(self.name, settings, limits)
        self._deadline_s = settings.timeout_s(self.name)
        self._wire = Wire(
            self.name,
            base_url,
            limits,
            address_setting="BANANA_BASE_URL",
            secrets=(self._key, self._model_key),
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> BananaProvider | None:
        """None without BANANA_API_KEY. Raises ProviderMisconfigured."""
        if not settings.banana_api_key.get_secret_value():
            return None
        return cls(settings, Limits.of(settings, cls.name))

    @property
    def model(self) -> str:
        """BANANA_MODEL_KEY, shortened: it works like a password for the model."""
        digest = uuid.uuid5(uuid.NAMESPACE_URL, self._model_key).hex[:8] if self._model_key else ""
        return f"banana-{digest}" if digest else "banana"

    @property
    def capabilities(self) -> Capabilities:
        """Width and height are passed on as they are; the model decides what it makes of them."""
        return Capabilities(
            sizes=tuple(ImageSize),
            image_input=bool(self._photo_key),
            text_input=True,
            seed=SeedSupport.BEST_EFFORT,
            progress=ProgressKind.INDETERMINATE,
            cancel=False,
            resume=not self._route,
        )

    async def paint(self, request: PaintRequest) -> AsyncGenerator[Update, None]:
        """Paint one picture. Raises ProviderError."""
        if self._route:
            yield await self._finished(await self._call_project(request))
            return
        reply = await self._start(request)
        yield Accepted(reply.call_id)
        if not reply.is_done:
            reply = await self._wait(reply.call_id)
        yield await self._finished(_first_output(reply))

    async def resume(self, request: PaintRequest, external_id: str) -> AsyncGenerator[Update, None]:
        """Ask for the picture of a call that was started before. Raises ProviderError."""
        if self._route:
            raise ProviderMisconfigured("banana cannot resume a call of a project's URL")
        reply = await self._wait(external_id)
        yield await self._finished(_first_output(reply))

    async def check(self) -> str:
        """Ask for a call that does not exist: an answer shows the address, a refusal the key."""
        if self._route:
            async with self._wire.stream("GET", self._wire.base_url):
                return f"project at {self._wire.base_url}; the key shows with the first call"
        with contextlib.suppress(CallLost):
            await self._ask("call_mintari_check", long_poll=False)
        return f"start/v4 and check/v4 at {self._wire.base_url}"

    async def aclose(self) -> None:
        """Close connections."""
        await self._wire.aclose()

    async def _start(self, request: PaintRequest) -> _Reply:
        body = {
            "id": _id_of(request),
            "created": int(time.time()),
            "apiKey": self._key,
            "modelKey": self._model_key,
            "modelInputs": self._inputs(request),
            "startOnly": True,
        }
        reply = await self._post("/start/v4/", body)
        if not 0 < len(reply.call_id) <= _MAX_CALL_ID_CHARS:
            raise BadProviderAnswer("banana started a call without a usable callID")
        return reply

    async def _wait(self, call_id: str) -> _Reply:
        """Ask until the picture is there or the deadline is over.

        The call is paid for: an answer that gets lost on the way is asked for again, and whatever
        keeps us from the answer says nothing about the call.
        """
        deadline_s = time.monotonic() + self._deadline_s
        bad_answers = 0
        while True:
            asked_at_s = time.monotonic()
            pause_s = LEAST_PAUSE_S
            failure: ProviderError = ProviderTimeout("banana still says that the call is running")
            try:
                reply = await self._ask(call_id, long_poll=True)
                if reply.is_done:
                    return reply
            except (_CallFailed, CallLost):
                raise
            except (ProviderUnavailable, ProviderTimeout) as error:
                failure = error
            except ProviderOverloaded as error:
                if error.exhausted:
                    raise
                failure, pause_s = error, max(pause_s, error.retry_after_s or 0.0)
            except BadProviderAnswer as error:
                failure, bad_answers = error, bad_answers + 1
            pause_s = max(0.0, asked_at_s + pause_s - time.monotonic())
            if bad_answers > MAX_BAD_ANSWERS or time.monotonic() + pause_s > deadline_s:
                raise failure.without_outcome()
            await asyncio.sleep(pause_s)

    async def _ask(self, call_id: str, *, long_poll: bool) -> _Reply:
        body = {
            "id": str(uuid.uuid4()),
            "created": int(time.time()),
            "longPoll": long_poll,
            "callID": call_id,
            "apiKey": self._key,
        }
        return await self._post("/check/v4/", body)

    async def _post(self, path: str, body: Mapping[str, object]) -> _Reply:
        answer = await self._wire.post_json(self._wire.base_url + path, body)
        if answer.status != 200:
            raise self._status_error(answer)
        reply = self._wire.decode(answer, _Reply)
        if reply.is_error:
            raise self._error_of(reply.message)
        return reply

    async def _call_project(self, request: PaintRequest) -> object:
        answer = await self._wire.post_json(
            f"{self._wire.base_url}/{self._route.lstrip('/')}",
            self._inputs(request),
            {
                "x-banana-api-key": self._key,
                "x-banana-model-key": self._model_key,
                "x-banana-request-id": _id_of(request),
            },
        )
        if answer.status in (400, 423):
            # There, 400 is a quota and 423 says that all replicas are at work.
            raise ProviderOverloaded(
                f"banana answered {answer.status}: all replicas busy",
                retry_after_s=retry_after(answer),
            )
        if answer.status != 200:
            raise self._status_error(answer)
        return self._wire.decode(answer, dict[str, Any])

    def _inputs(self, request: PaintRequest) -> dict[str, object]:
        width_px, height_px = request.size.px
        inputs: dict[str, object] = {
            **request.style_parameters,
            "prompt": request.assembled_prompt,
            "negative_prompt": request.negative_prompt,
            "width": width_px,
            "height": height_px,
            "seed": request.seed,
        }
        if request.photo is not None:
            inputs[self._photo_key] = base64.b64encode(request.photo).decode()
        return inputs

    async def _finished(self, output: object) -> Finished:
        """The picture in the model's own output. Raises ProviderError."""
        if _is_flagged(output):
            raise ProviderRefused(
                "banana's model held the picture back: nsfw", stage=BlockStage.OUTPUT
            )
        value = output
        for name in self._output_path:
            value = _item(value, name)
        if not isinstance(value, str) or not value:
            if message := _item(output, "error") or _item(output, "message"):
                raise self._error_of(str(message))
            names = sorted(cast("dict[str, object]", output)) if isinstance(output, dict) else []
            raise BadProviderAnswer(
                self._wire.redact(
                    f"banana sent no picture at BANANA_OUTPUT_KEY={'.'.join(self._output_path)};"
                    f" the output has {names}"
                )
            )
        if value.startswith(("https://", "http://")):
            return Finished(image=await self._results.fetch(value), model=self.model)
        return Finished(image=decode_picture(self.name, value), model=self.model)

    def _status_error(self, answer: Answer) -> ProviderError:
        if answer.status in (401, 403):
            return ProviderMisconfigured("banana does not take the key: correct BANANA_API_KEY")
        if answer.status == 404:
            return ProviderMisconfigured(
                "banana answered 404: correct BANANA_BASE_URL, BANANA_ROUTE or BANANA_MODEL_KEY"
            )
        return self._wire.error_of(answer, answer.body.decode(errors="replace"))

    def _error_of(self, message: str) -> ProviderError:
        """What an error inside of a good answer means: there are only words to go by."""
        text = self._wire.redact(f"banana: {message}")
        if _NO_SUCH_CALL.search(message):
            return CallLost(text)
        if _WRONG_KEY.search(message):
            return ProviderMisconfigured(f"{text}: correct BANANA_API_KEY")
        if _WRONG_MODEL.search(message):
            return ProviderMisconfigured(f"{text}: correct BANANA_MODEL_KEY")
        if _BLOCKED.search(message):
            return ProviderRefused(text, stage=BlockStage.INPUT)
        if _USED_UP.search(message):
            return ProviderOverloaded(text, exhausted=True)
        if _BUSY.search(message):
            return ProviderOverloaded(text)
        return ProviderTimeout(text) if _TOO_SLOW.search(message) else _CallFailed(text)


class _CallFailed(ProviderUnavailable):
    """The call itself has failed, as opposed to a question about it."""


def _id_of(request: PaintRequest) -> str:
    """A UUID of our own id: the same for every retry of one attempt."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mintari:{request.request_id}"))


def _first_output(reply: _Reply) -> object:
    return reply.model_outputs[0] if reply.model_outputs else None


def _is_flagged(output: object) -> bool:
    """Diffusers pipelines say so in a flag, or in one flag a picture."""
    flag = _item(output, "nsfw_content_detected")
    return any(cast("list[object]", flag)) if isinstance(flag, list) else flag is True


def _item(value: object, name: str) -> object:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).get(name)
    if isinstance(value, list) and name.isdigit():
        items = cast("list[object]", value)
        return items[int(name)] if int(name) < len(items) else None
    return None
