"""Stand-in of Supabase: Storage with its errors in status 400, and Auth's keys and tokens.

https://supabase.github.io/storage. There is a bucket `pictures`; a script's steps meet the next
requests: "quota-day" is a full project, "413" and "415" are limits of the bucket, "429" and 5xx
are real statuses. POST /stand-in/token makes a user's token (ES256) for its JSON claims.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mintari.standins.calls import Asked
from mintari.standins.wire import StandIn, build, is_good, reset

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.applications import Starlette
    from starlette.requests import Request

NAME = "supabase"
BUCKET = "pictures"
_SIGNING_SECRET = "the stand-in's own secret, for URLs"  # noqa: S105  # it protects nothing
_KEY_ID = "stand-in-1"
_REFUSALS = {
    "quota-day": (402, "exceed_storage_size_quota", "Storage quota exceeded", "QuotaExceeded"),
    "413": (413, "Payload too large", "The object exceeded the maximum size", "EntityTooLarge"),
    "415": (415, "invalid_mime_type", "mime type image/webp is not supported", "InvalidMimeType"),
    "401": (401, "Unauthorized", "jwt expired", "InvalidJWT"),
    "403": (403, "Unauthorized", "new row violates row-level security policy", "AccessDenied"),
}


@dataclass(slots=True)
class _Stored:
    content: bytes
    content_type: str
    cache_control: str


def application() -> Starlette:
    """The stand-in's application."""
    stand_in = StandIn(NAME, latency_s=0)
    storage, auth = _Storage(stand_in), _Auth()
    path = "/storage/v1/object"

    def guarded(serve: Callable[[Request], Awaitable[Response]]) -> Any:
        return storage.guarded(serve)

    return build(
        stand_in,
        [
            Route(f"{path}/sign/{{bucket}}", guarded(storage.sign_many), methods=["POST"]),
            Route(f"{path}/sign/{{bucket}}/{{key:path}}", storage.read_signed, methods=["GET"]),
            Route(
                f"{path}/sign/{{bucket}}/{{key:path}}", guarded(storage.sign_one), methods=["POST"]
            ),
            Route(f"{path}/{{bucket}}", guarded(storage.remove), methods=["DELETE"]),
            Route(f"{path}/{{bucket}}/{{key:path}}", guarded(storage.read), methods=["GET"]),
            Route(
                f"{path}/{{bucket}}/{{key:path}}", guarded(storage.write), methods=["POST", "PUT"]
            ),
            Route("/auth/v1/.well-known/jwks.json", auth.keys),
            Route("/stand-in/token", auth.token, methods=["POST"]),
        ],
    )


class _Storage:
    """The bucket and what is in it."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in
        self._objects: dict[str, _Stored] = {}

    def guarded(
        self, serve: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Check the key and the bucket, write the request down, and let the script fail it."""

        async def guard(request: Request) -> Response:
            key = request.path_params.get("key", "")
            call = self._stand_in.begin(Asked(f"{request.method} {key}", None, 0, 0))
            fault = call.scene.fault
            call.end("finished" if is_good(call) else "failed")
            if fault is None:
                refusal = _refusal(request) or _no_bucket(request)
                return refusal or await serve(request)
            if fault.name == "reset":
                reset(request.scope)
            if fault.name in _REFUSALS:
                return _error(*_REFUSALS[fault.name])
            if fault.name == "html":
                return PlainTextResponse("<html>", media_type="text/html")
            return _error(fault.status or 500, "Internal", "The stand-in was asked for it")

        return guard

    async def write(self, request: Request) -> Response:
        """POST and PUT /object/{bucket}/{key}: a raw body, or a form as the SDKs send it."""
        key = request.path_params["key"]
        is_taken = key in self._objects and request.headers.get("x-upsert") != "true"
        if request.method == "POST" and is_taken:
            return _error(409, "Duplicate", "The resource already exists", "KeyAlreadyExists")
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            async with request.form() as form:
                (file,) = [item for item in form.values() if isinstance(item, UploadFile)]
                stored = _Stored(
                    await file.read(), file.content_type or "", f"max-age={form['cacheControl']}"
                )
        else:
            stored = _Stored(
                await request.body(),
                request.headers.get("content-type", ""),
                request.headers.get("cache-control", "no-cache"),
            )
        self._objects[key] = stored
        return JSONResponse({"Id": f"id-of-{key}", "Key": f"{BUCKET}/{key}"})

    async def read(self, request: Request) -> Response:
        """GET /object/{bucket}/{key}."""
        return self._found(request.path_params["key"])

    async def remove(self, request: Request) -> Response:
        """DELETE /object/{bucket}: answers with what there was."""
        body = msgspec.json.decode(await request.body(), type=dict[str, list[str]])
        gone = [key for key in body["prefixes"] if self._objects.pop(key, None)]
        return JSONResponse([{"name": key, "bucket_id": BUCKET} for key in gone])

    async def sign_many(self, request: Request) -> Response:
        """POST /object/sign/{bucket}: one item for each path."""
        body: dict[str, Any] = msgspec.json.decode(await request.body())
        return JSONResponse(
            [
                {"error": None, "path": key, "signedURL": self._signed(key, body["expiresIn"])}
                if key in self._objects
                else {"error": "Either the object does not exist or you do not have access to it",
                      "path": key, "signedURL": None}
                for key in body["paths"]
            ]
        )  # fmt: skip

    async def sign_one(self, request: Request) -> Response:
        """POST /object/sign/{bucket}/{key}."""
        key = request.path_params["key"]
        body: dict[str, Any] = msgspec.json.decode(await request.body())
        if key not in self._objects:
            return _not_found()
        return JSONResponse({"signedURL": self._signed(key, body["expiresIn"])})

    async def read_signed(self, request: Request) -> Response:
        """GET /object/sign/{bucket}/{key}?token=...: for browsers, without a key."""
        key = request.path_params["key"]
        try:
            claims = jwt.decode(
                request.query_params.get("token", ""), _SIGNING_SECRET, algorithms=["HS256"]
            )
        except jwt.InvalidTokenError as error:
            return _error(400, "InvalidJWT", str(error), "InvalidJWT")
        if claims["url"] != f"{BUCKET}/{key}":
            return _error(400, "InvalidSignature", "The url do not match the signature")
        return self._found(key)

    def _signed(self, key: str, life_s: str | int) -> str:
        now_s = int(time.time())
        # Microseconds make each one new, as the true server's do within a second or two.
        claims = {
            "url": f"{BUCKET}/{key}",
            "iat": now_s,
            "exp": now_s + int(life_s),
            "n": time.time_ns(),
        }
        token = jwt.encode(claims, _SIGNING_SECRET, algorithm="HS256")
        return f"/object/sign/{BUCKET}/{key}?token={token}"

    def _found(self, key: str) -> Response:
        stored = self._objects.get(key)
        if stored is None:
            return _not_found()
        headers = {"cache-control": stored.cache_control}
        return Response(stored.content, headers=headers, media_type=stored.content_type)


class _Auth:
    """The project's signing key for users' tokens."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())

    async def keys(self, _request: Request) -> Response:
        """GET /auth/v1/.well-known/jwks.json."""
        key: dict[str, Any] = ECAlgorithm.to_jwk(self._private.public_key(), as_dict=True)
        return JSONResponse({"keys": [{**key, "kid": _KEY_ID, "alg": "ES256", "use": "sig"}]})

    async def token(self, request: Request) -> Response:
        """POST /stand-in/token: the claims of a signed-in user, changed by the body's."""
        given: dict[str, Any] = msgspec.json.decode(await request.body() or b"{}")
        claims = {
            "iss": f"{str(request.base_url).rstrip('/')}/auth/v1",
            "aud": "authenticated",
            "role": "authenticated",
            "sub": "0b0e7a32-0000-4000-8000-000000000001",
            "exp": int(time.time()) + 3600,
            "is_anonymous": False,
            **given,
        }
        headers = {"kid": _KEY_ID}
        return JSONResponse(
            {"access_token": jwt.encode(claims, self._private, algorithm="ES256", headers=headers)}
        )


def _error(status: int, error: str, message: str, code: str = "") -> Response:
    """HTTP 400 with the true status as a text; overload and crashes are real statuses."""
    body = {"statusCode": str(status), "error": error, "message": message, "code": code or error}
    return JSONResponse(body, status if status == 429 or status >= 500 else 400)


def _not_found() -> Response:
    return _error(404, "not_found", "Object not found", "NoSuchKey")


def _no_bucket(request: Request) -> Response | None:
    if request.path_params["bucket"] == BUCKET:
        return None
    return _error(404, "Bucket not found", "Bucket not found", "NoSuchBucket")


def _refusal(request: Request) -> Response | None:
    """Old keys are tokens and sent as such too; new ones are no tokens and go alone."""
    key = request.headers.get("apikey", "")
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not key or "wrong" in key:
        return _error(403, "Unauthorized", f"Invalid Compact JWS: {key}", "AccessDenied")
    if (token == "") != key.startswith("sb_secret_"):
        return _error(403, "Unauthorized", "Invalid Compact JWS", "AccessDenied")
    return None
