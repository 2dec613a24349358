"""Stand-in of OpenAI's Image API: /images/generations and /images/edits, streamed or whole.

https://developers.openai.com/api/docs/guides/image-generation; errors are worded as recorded ones.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

import anyio
import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mintari.standins.calls import Asked
from mintari.standins.wire import (
    TRANSPORT,
    StandIn,
    break_connection,
    build,
    counted,
    cut_with_client,
    encode,
    encoded_picture,
    is_good,
    painted,
    reset,
    send_huge,
    until_gone,
)

if TYPE_CHECKING:
    import asyncio

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from mintari.standins.calls import Call
    from mintari.standins.scenario import Keyword

NAME = "openai"
_USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 4160,
    "total_tokens": 4210,
}
_BEFORE_THE_STREAM = ("garbage", "html", "empty", "blocked-prompt", "quota-day")


def application() -> Starlette:
    """The stand-in's application."""
    stand_in = StandIn(NAME)
    return build(
        stand_in,
        [
            Route("/v1/images/generations", ImagesEndpoint(stand_in, "image_generation")),
            Route("/v1/images/edits", ImagesEndpoint(stand_in, "image_edit")),
            Route("/v1/models/{model}", _model),
        ],
    )


async def _model(request: Request) -> Response:
    model = request.path_params["model"]
    if refusal := _refusal(request, model):
        return refusal
    return JSONResponse({"id": model, "object": "model", "created": 1, "owned_by": "stand-in"})


class ImagesEndpoint:
    """One of the two paths; `kind` begins the names of its events."""

    def __init__(self, stand_in: StandIn, kind: str) -> None:
        self._stand_in = stand_in
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            fields, photo = await _read(request)
            refusal = _refusal(request, str(fields.get("model", "")))
            asked = None if refusal else _asked(fields, photo)
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            refusal, asked = _error(400, "invalid_value", repr(error)), None
        if asked is None:
            await (refusal or _error(400, "invalid_value", "?"))(scope, receive, send)
            return
        call = self._stand_in.begin(asked)
        async with cut_with_client(receive, call):
            await self._answer(call, scope, counted(call, send))

    async def _answer(self, call: Call, scope: Scope, send: Send) -> None:
        fault = call.scene.fault
        if fault and not fault.later and (fault.status or fault.name in _BEFORE_THE_STREAM):
            await anyio.sleep(call.scene.delay_s)
            if not await break_connection(call, scope, send, _Whole()):
                await _failure(fault)(scope, until_gone, send)
        elif fault and fault.name in ("hang", "reset") and not fault.later:
            await break_connection(call, scope, send, _Whole())
        elif call.asked.details["stream"]:
            await _Stream(call, self._kind, scope, send).play()
        else:
            await anyio.sleep(call.scene.delay_s)
            if not fault or not await break_connection(call, scope, send, _Whole()):
                await (await _whole(call))(scope, until_gone, send)
        call.end("finished" if is_good(call) else "failed")


class _Whole:
    """How an answer without a stream is worded."""

    huge_opening = b'{"created":1,"data":[{"b64_json":"'

    def picture(self, call: Call, encoded: str) -> Response:
        """The whole answer."""
        data = [{"b64_json": encoded}]
        return JSONResponse({"created": int(time.time()), "data": data, "usage": _USAGE})


async def _whole(call: Call) -> Response:
    if call.scene.has("no-image"):
        return JSONResponse({"created": int(time.time()), "data": []})
    if call.scene.has("blocked-output"):
        return _blocked("output")
    return _Whole().picture(call, await encoded_picture(call))


class _Stream:
    """One streamed answer."""

    def __init__(self, call: Call, kind: str, scope: Scope, send: Send) -> None:
        self._call = call
        self._kind = kind
        self._scope = scope
        self._send = send

    async def play(self) -> None:
        """Send the previews, then the picture or what the scene makes of it."""
        call = self._call
        if call.scene.has("huge"):
            await send_huge(b"data: ", self._send, b"text/event-stream")
            return
        previews = int(cast("int", call.asked.details["partial_images"]))
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        for index in range(previews):
            await anyio.sleep(call.scene.delay_s / (previews + 1))
            left = 1 - (index + 1) / (previews + 1)
            picture = encode(await painted(call, unfinished=left))
            event = self._event("partial_image", b64_json=picture, partial_image_index=index)
            await self._body(event)
        await anyio.sleep(call.scene.delay_s / (previews + 1))
        await self._end()

    async def _end(self) -> None:
        call = self._call
        if call.scene.has("hang"):
            await anyio.sleep_forever()
        elif call.scene.has("reset"):
            reset(self._scope)
        elif call.scene.has("truncated"):
            event = self._event("completed", b64_json=await encoded_picture(call), usage=_USAGE)
            await self._body(event[: len(event) // 2])
            cast("asyncio.Transport", self._scope[TRANSPORT]).close()
        elif call.scene.has("no-image"):
            await self._body(b"", more=False)
        elif call.scene.has("blocked-output"):
            error = msgspec.json.decode(_blocked("output").body, type=dict[str, Any])["error"]
            await self._body(_sse({"type": "error", "error": error}), more=False)
        else:
            event = self._event("completed", b64_json=await encoded_picture(call), usage=_USAGE)
            await self._body(event, more=False)

    def _event(self, name: str, **fields: object) -> bytes:
        return _sse(
            {
                "type": f"{self._kind}.{name}",
                "created_at": int(time.time()),
                "size": self._call.asked.details["size"],
                "quality": "medium",
                "background": "opaque",
                "output_format": "png",
                **fields,
            }
        )

    async def _body(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


def _sse(event: dict[str, object]) -> bytes:
    return f"event: {event['type']}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"


def _failure(fault: Keyword) -> Response:
    if fault.name == "blocked-prompt":
        return _blocked("input")
    if fault.name == "quota-day":
        message = "You exceeded your current quota, please check your plan and billing details."
        return _error(429, "insufficient_quota", message, kind="insufficient_quota")
    status = fault.status or 500
    code = {429: "rate_limit_exceeded", 404: "model_not_found"}.get(status)
    headers = {"retry-after": f"{fault.argument:g}"} if fault.argument is not None else {}
    return _error(status, code, f"The stand-in was asked for {fault.name}.", headers=headers)


def _blocked(stage: str) -> Response:
    message = "Your request was rejected by the safety system."
    return _error(
        400,
        "moderation_blocked",
        message,
        kind="image_generation_user_error",
        moderation_details={"moderation_stage": stage, "categories": ["other"]},
    )


def _error(
    status: int,
    code: str | None,
    message: str,
    *,
    kind: str = "invalid_request_error",
    headers: dict[str, str] | None = None,
    **more: object,
) -> Response:
    error = {"message": message, "type": kind, "param": None, "code": code, **more}
    return JSONResponse({"error": error}, status, headers)


def _refusal(request: Request, model: str) -> Response | None:
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not key or "wrong" in key:
        return _error(401, "invalid_api_key", f"Incorrect API key provided: {key}.")
    if "unknown" in model:
        return _error(404, "model_not_found", f"The model '{model}' does not exist.")
    return None


async def _read(request: Request) -> tuple[dict[str, Any], bytes | None]:
    if request.headers.get("content-type", "").startswith("application/json"):
        return msgspec.json.decode(await request.body(), type=dict[str, Any]), None
    async with request.form() as form:
        photo = form.get("image[]") or form["image"]
        if not isinstance(photo, UploadFile):
            raise ValueError("image must be a file")
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        return texts, await photo.read()


def _asked(fields: dict[str, Any], photo: bytes | None) -> Asked:
    width, _, height = fields.get("size", "1024x1024").partition("x")
    return Asked(
        prompt=fields["prompt"],
        seed=None,
        width_px=int(width),
        height_px=int(height),
        photo=photo,
        details={
            **{name: value for name, value in fields.items() if name != "prompt"},
            "size": f"{width}x{height}",
            "stream": fields.get("stream") in (True, "true"),
            "partial_images": int(fields.get("partial_images") or 0),
        },
    )
