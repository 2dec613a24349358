"""Stand-in of Gemini's generateContent, as its REST API words it.

https://ai.google.dev/api/generate-content; the error forms are those of google.rpc.Status.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, cast

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mintari.standins.calls import Asked
from mintari.standins.wire import CallEndpoint, StandIn, build

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.applications import Starlette
    from starlette.requests import Request

    from mintari.standins.calls import Call
    from mintari.standins.scenario import Keyword

NAME = "gemini"
_SIZES_PX = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}
_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_RPC = "type.googleapis.com/google.rpc."
_USAGE = {"promptTokenCount": 17, "candidatesTokenCount": 1290, "totalTokenCount": 1307}


def application() -> Starlette:
    """The stand-in's application."""
    stand_in = StandIn(NAME)
    call = CallEndpoint(stand_in, GeminiWire())
    paths = ("/v1beta", "/v1", "")
    return build(
        stand_in,
        [
            *(
                Route(f"{start}/models/{{model}}:generateContent", call, methods=["POST"])
                for start in paths
            ),
            *(Route(f"{start}/models/{{model}}", _model) for start in paths),
        ],
    )


async def _model(request: Request) -> Response:
    model = request.path_params["model"]
    if refusal := _refusal(request):
        return refusal
    return JSONResponse({"name": f"models/{model}", "version": "001"})


class GeminiWire:
    """Requests and answers of generateContent; both spellings of names are taken."""

    huge_opening = (
        b'{"candidates":[{"content":{"role":"model","parts":[{"inlineData":'
        b'{"mimeType":"image/png","data":"'
    )

    def read(self, request: Request, body: bytes) -> Asked | Response:
        """What was asked for, or the error of a wrong key, model or body."""
        if refusal := _refusal(request):
            return refusal
        try:
            return _asked(request.path_params["model"], _camel(msgspec.json.decode(body)))
        except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            return _error(400, f"Invalid JSON payload received: {error!r}")

    def picture(self, call: Call, encoded: str) -> Response:
        """A thought, a sentence and the picture, as the thinking models send them."""
        parts = [
            {"text": "The light should come from the left.", "thought": True},
            {"text": "Here is your picture."},
            {"inlineData": {"mimeType": "image/png", "data": encoded}},
        ]
        candidate = {
            "content": {"role": "model", "parts": parts},
            "finishReason": "STOP",
            "index": 0,
        }
        return _answer(call, candidates=[candidate])

    def failure(self, call: Call, fault: Keyword) -> Response:
        """Blocks are answers with status 200; the rest are errors."""
        if fault.name == "blocked-prompt":
            return _answer(call, promptFeedback={"blockReason": "PROHIBITED_CONTENT"})
        if fault.name == "blocked-output":
            return _answer(call, candidates=[_held_back("IMAGE_SAFETY")])
        if fault.name == "no-image":
            return _answer(call, candidates=[_held_back("NO_IMAGE")])
        if fault.name == "quota-day":
            return _quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier", None)
        if fault.name == "429":
            return _quota("GenerateRequestsPerMinutePerProjectPerModel", fault.argument)
        return _error(fault.status or 500, f"The stand-in was asked for {fault.name}.")


def _answer(call: Call, **fields: object) -> Response:
    return JSONResponse(
        {
            **fields,
            "usageMetadata": _USAGE,
            "modelVersion": call.asked.details["model"],
            "responseId": f"stand-in-{call.number}",
        }
    )


def _held_back(reason: str) -> dict[str, object]:
    return {
        "content": {"role": "model"},
        "finishReason": reason,
        "finishMessage": "Unable to show the generated image.",
        "index": 0,
    }


def _quota(quota_id: str, retry_s: float | None) -> Response:
    failure = {"@type": f"{_RPC}QuotaFailure", "violations": [{"quotaId": quota_id}]}
    details: list[Mapping[str, object]] = [failure]
    if retry_s is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{retry_s:g}s"})
    return _error(429, "You exceeded your current quota.", details)


def _error(code: int, message: str, details: Sequence[Mapping[str, object]] = ()) -> Response:
    status = _STATUS_NAMES.get(code, "UNKNOWN")
    error: dict[str, object] = {"code": code, "message": message, "status": status}
    return JSONResponse(
        {"error": {**error, **({"details": list(details)} if details else {})}}, code
    )


def _refusal(request: Request) -> Response | None:
    """A wrong key is 400 there, not 401; it is named in the message, as some servers do."""
    key = request.headers.get("x-goog-api-key") or request.query_params.get("key", "")
    if not key:
        return _error(403, "Method doesn't allow unregistered callers.")
    if "wrong" in key:
        info = {"@type": f"{_RPC}ErrorInfo", "reason": "API_KEY_INVALID"}
        return _error(400, f"API key not valid: {key}", [info])
    if "unknown" in request.path_params["model"]:
        return _error(404, f"models/{request.path_params['model']} is not found.")
    return None


def _asked(model: str, body: dict[str, Any]) -> Asked:
    parts = [part for content in body["contents"] for part in content["parts"]]
    photos = [part["inlineData"]["data"] for part in parts if "inlineData" in part]
    config = body.get("generationConfig", {})
    image: dict[str, Any] = config.get("imageConfig") or {}
    width_px, height_px = _SIZES_PX[image.get("aspectRatio", "1:1")]
    return Asked(
        prompt="\n".join(part["text"] for part in parts if "text" in part),
        seed=config.get("seed"),
        width_px=width_px,
        height_px=height_px,
        photo=_decode(photos[-1]) if photos else None,
        details={
            "model": model,
            "generationConfig": config,
            "safetySettings": body.get("safetySettings", []),
        },
    )


def _decode(encoded: str) -> bytes:
    """Both alphabets, with padding or without: Google's own SDK sends the URL-safe one."""
    return base64.urlsafe_b64decode(encoded.replace("+", "-").replace("/", "_") + "==")


def _camel(value: object) -> Any:
    """Google's servers take snake_case names as well."""
    if isinstance(value, list):
        return [_camel(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        named = cast("dict[str, object]", value)
        return {_camel_name(name): _camel(item) for name, item in named.items()}
    return value


def _camel_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.title() for other in others)
