"""Stand-in of Banana's start/v4 and check/v4, and of a project's own URL (any other path).

Failures of the connection and HTTP statuses meet the start of a call: nothing was bought then.
With `later` they meet the questions about it instead, as in "[500 later once]"; "[hang later]" is
a call that never ends. Wrong keys and blocked content are errors inside of good answers.
"""

from __future__ import annotations

import base64
import time
import uuid
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mintari.standins.calls import Asked
from mintari.standins.wire import (
    CallEndpoint,
    StandIn,
    break_connection,
    build,
    cut_with_client,
    encoded_picture,
    is_good,
    until_gone,
)

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from mintari.standins.calls import Call
    from mintari.standins.scenario import Keyword

NAME = "banana"
LONG_POLL_S = 50.0
_API_VERSION = "26 Nov 2021"
_MODEL_FAULTS = (
    "no-image",
    "bad-base64",
    "not-an-image",
    "wrong-size",
    "blocked-prompt",
    "blocked-output",
    "quota-day",
)
"""What goes wrong in the model, after the call was taken."""


def application() -> Starlette:
    """The stand-in's application."""
    stand_in = StandIn(NAME)
    calls: dict[str, Call] = {}
    project = CallEndpoint(stand_in, ProjectWire())
    return build(
        stand_in,
        [
            Route("/start/v4/", StartEndpoint(stand_in, calls), methods=["POST"]),
            Route("/check/v4/", CheckEndpoint(calls), methods=["POST"]),
            Route("/{route:path}", project, methods=["POST"]),
            Route("/", _hello),
        ],
    )


async def _hello(_request: Request) -> Response:
    return JSONResponse({"started": True})


class StartEndpoint:
    """Takes a call and hands out its id."""

    def __init__(self, stand_in: StandIn, calls: dict[str, Call]) -> None:
        self._stand_in = stand_in
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await _json(Request(scope, receive))
        if refusal := _refusal(body):
            await _message(refusal)(scope, receive, send)
            return
        call = self._stand_in.begin(_asked(body.get("modelInputs") or {}, body))
        fault = call.scene.fault
        if fault and not fault.later and fault.name not in _MODEL_FAULTS:
            async with cut_with_client(receive, call):
                if not await break_connection(call, scope, send, _Answers()):
                    await _status_error(fault)(scope, until_gone, send)
                call.end("failed")
            return
        call_id = f"call_{uuid.uuid4()}"
        self._calls[call_id] = call
        await _message("", callID=call_id, finished=False)(scope, receive, send)


class CheckEndpoint:
    """Says how a call stands; a long poll is held until there is something to say."""

    def __init__(self, calls: dict[str, Call]) -> None:
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await _json(Request(scope, receive))
        call = self._calls.get(body.get("callID", ""))
        if refusal := _refusal(body):
            await _message(refusal)(scope, receive, send)
        elif call is None:
            await _message(f"error: no such call {body.get('callID')}")(scope, receive, send)
        else:
            hold_s = LONG_POLL_S if body.get("longPoll") else 0.0
            # The call goes on whether anybody waits for it or not: only the question is cut.
            async with cut_with_client(receive, None):
                await self._answer(call, hold_s, scope, send)

    async def _answer(self, call: Call, hold_s: float, scope: Scope, send: Send) -> None:
        left_s = call.started_at_s + call.scene.delay_s - time.time()
        await anyio.sleep(max(0.0, min(left_s, hold_s)))
        fault = call.scene.fault
        if fault and call.meets_later_fault():
            if fault.name == "hang":
                await anyio.sleep(hold_s)
                await _message("running...")(scope, until_gone, send)
            elif not await break_connection(call, scope, send, _Answers()):
                await _status_error(fault)(scope, until_gone, send)
        elif left_s > hold_s:
            await _message("running...")(scope, until_gone, send)
        else:
            await (await _done(call))(scope, until_gone, send)
            call.end("finished" if is_good(call) else "failed")


async def _done(call: Call) -> Response:
    fault = call.scene.fault
    match fault.name if fault and not fault.later else "":
        case "blocked-prompt":
            return _message("error: prompt rejected by the safety checker")
        case "quota-day":
            return _message("error: you have used up the credits of today")
        case "no-image":
            return _message("success", modelOutputs=[{"caption": "a fox"}])
        case "blocked-output":
            output = {"image_base64": await encoded_picture(call), "nsfw_content_detected": [True]}
            return _message("success", modelOutputs=[output])
        case _:
            return _Answers().picture(call, await encoded_picture(call))


class _Answers:
    """How a finished call is worded; broken connections carry a part of it."""

    huge_opening = b'{"message":"success","modelOutputs":[{"image_base64":"'

    def picture(self, call: Call, encoded: str) -> Response:
        """A whole answer."""
        return _message("success", modelOutputs=[{"image_base64": encoded}])


class ProjectWire:
    """A project's own URL: model inputs in, the model's output out, the key in a header."""

    huge_opening = b'{"image_base64":"'

    def read(self, request: Request, body: bytes) -> Asked | Response:
        """What was asked for, or the error of a wrong key or body."""
        if "wrong" in request.headers.get("x-banana-api-key", "wrong"):
            return JSONResponse({"message": "unauthorized"}, 401)
        if "unknown" in request.headers.get("x-banana-model-key", ""):
            return JSONResponse({"message": "not found"}, 404)
        try:
            details = {"id": request.headers.get("x-banana-request-id", "")}
            return _asked(msgspec.json.decode(body), details)
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            return JSONResponse({"message": repr(error)}, 500)

    def picture(self, call: Call, encoded: str) -> Response:
        """The output as the model returned it."""
        return JSONResponse({"image_base64": encoded})

    def failure(self, call: Call, fault: Keyword) -> Response:
        """Statuses as they are; blocks and quotas are the model's own matter."""
        if fault.name == "blocked-prompt":
            return JSONResponse({"message": "error: prompt rejected by the safety checker"})
        if fault.name == "quota-day":
            return JSONResponse({"message": "error: you have used up the credits of today"})
        if fault.name == "no-image":
            return JSONResponse({"caption": "a fox"})
        if fault.name == "blocked-output":
            return JSONResponse({"image_base64": "", "nsfw_content_detected": [True]})
        return _status_error(fault)


def _message(message: str, **fields: object) -> Response:
    return JSONResponse(
        {
            "id": str(uuid.uuid4()),
            "message": message,
            "created": int(time.time()),
            "apiVersion": _API_VERSION,
            **fields,
        }
    )


def _status_error(fault: Keyword) -> Response:
    headers = {"retry-after": f"{fault.argument:g}"} if fault.argument is not None else {}
    if fault.status and fault.status < 400:
        headers["location"] = "/elsewhere"
    text = {"message": f"the stand-in was asked for {fault.name}"}
    return JSONResponse(text, fault.status or 500, headers)


def _refusal(body: dict[str, Any]) -> str | None:
    key = body.get("apiKey") or ""
    if not key or "wrong" in key:
        return f"error: invalid api key {key}"
    if "unknown" in (body.get("modelKey") or ""):
        return "error: no such model key"
    return None


def _asked(inputs: dict[str, Any], details: dict[str, Any]) -> Asked:
    photo = inputs.get("init_image")
    return Asked(
        prompt=inputs["prompt"],
        seed=inputs.get("seed"),
        width_px=inputs.get("width", 512),
        height_px=inputs.get("height", 512),
        photo=base64.b64decode(photo) if photo else None,
        details={
            "id": details.get("id", ""),
            "inputs": {name: value for name, value in inputs.items() if name != "init_image"},
        },
    )


async def _json(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = await request.json()
    return body
