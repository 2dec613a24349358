"""What all stand-ins share: the life of a call, failures of the connection, control routes."""

from __future__ import annotations

import base64
import socket
import struct
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mintari.standins.calls import Asked, Call, CallBook
from mintari.standins.painting import paint
from mintari.standins.scenario import Script, ScriptError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import Lifespan, Receive, Scope, Send

    from mintari.standins.scenario import Keyword

TRANSPORT = "stand-in.transport"
"""Where the server puts the connection's transport into the scope, so that we can cut it."""
LATENCY_S = 0.05
"""How long a call takes when nothing else is said."""
HUGE_BYTES = 200 * 2**20
HUGE_CHUNK = b"A" * 2**18
NOT_AN_IMAGE = b"This is no picture, whatever its label says. " * 20
PROXY_PAGE = "<!doctype html><html><head><title>502</title></head><body>Bad gateway</body></html>"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class StandIn:
    """One stand-in's state: the script that it follows and the calls that it has seen."""

    def __init__(self, name: str, latency_s: float = LATENCY_S) -> None:
        self.name = name
        self.latency_s = latency_s
        self.script = Script(latency_s)
        self.book = CallBook()

    def reset(self) -> None:
        """Forget all calls and the script."""
        self.script = Script(self.latency_s)
        self.book.reset()

    def begin(self, asked: Asked) -> Call:
        """Write a new call down and decide what happens to it."""
        return self.book.begin(asked, self.script.next_scene(asked.prompt, asked.seed))


class Answers(Protocol):
    """How one provider words an answer with a picture."""

    def picture(self, call: Call, encoded: str) -> Response:
        """The answer with a picture (base64)."""
        ...

    @property
    def huge_opening(self) -> bytes:
        """How an answer begins whose picture never ends."""
        ...


class Wire(Answers, Protocol):
    """How one provider words a one-shot call: request in, whole answer out."""

    def read(self, request: Request, body: bytes) -> Asked | Response:
        """What was asked for, or the answer to a request that is wrong."""
        ...

    def failure(self, call: Call, fault: Keyword) -> Response:
        """The answer for `no-image`, `blocked-*`, `quota-day` or a status."""
        ...


class CallEndpoint:
    """Serves one-shot calls and notes how each ended."""

    def __init__(self, stand_in: StandIn, wire: Wire) -> None:
        self._stand_in = stand_in
        self._wire = wire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        body = await request.body()
        asked = self._wire.read(request, body)
        if isinstance(asked, Response):
            await asked(scope, receive, send)
            return
        call = self._stand_in.begin(asked)
        async with cut_with_client(receive, call):
            await self._answer(call, scope, counted(call, send))

    async def _answer(self, call: Call, scope: Scope, send: Send) -> None:
        await anyio.sleep(call.scene.delay_s)
        if call.scene.fault and await break_connection(call, scope, send, self._wire):
            call.end("failed")
            return
        response = await self._response(call)
        await response(scope, until_gone, send)
        call.end("finished" if is_good(call) else "failed")

    async def _response(self, call: Call) -> Response:
        fault = call.scene.fault
        if fault is None or fault.name in ("wrong-size", "bad-base64", "not-an-image"):
            return self._wire.picture(call, await encoded_picture(call))
        return self._wire.failure(call, fault)


def is_good(call: Call) -> bool:
    """Whether a client gets a picture from this call."""
    fault = call.scene.fault
    return fault is None or fault.later or fault.name == "wrong-size"


@asynccontextmanager
async def cut_with_client(receive: Receive, call: Call | None) -> AsyncGenerator[None]:
    """Run the block until its end or until the client goes away, which ends the call as cut.

    Without a call only the block ends: the work goes on elsewhere.
    """
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
                pass
            if call:
                call.end("cut")
            group.cancel_scope.cancel()

        group.start_soon(watch)
        yield
        group.cancel_scope.cancel()


async def break_connection(call: Call, scope: Scope, send: Send, wire: Answers) -> bool:
    """Play the failures that are no answer of the provider; True if it was one of them."""
    fault = call.scene.fault
    match fault.name if fault else "":
        case "hang":
            await anyio.sleep_forever()
        case "reset":
            reset(scope)
        case "truncated":
            response = wire.picture(call, await encoded_picture(call))
            await _send_half(response, scope, send)
        case "garbage":
            await Response('{"candidates": [{"con', media_type="application/json")(
                scope, until_gone, send
            )
        case "html":
            await Response(PROXY_PAGE, media_type="text/html")(scope, until_gone, send)
        case "empty":
            await Response(b"", media_type="application/json")(scope, until_gone, send)
        case "huge":
            await send_huge(wire.huge_opening, send)
        case _:
            return False
    return True


async def encoded_picture(call: Call) -> str:
    """The call's picture in base64, or what its scene makes of it."""
    if call.scene.has("not-an-image"):
        return encode(NOT_AN_IMAGE)
    encoded = encode(await painted(call))
    # A sign that no alphabet has, in the middle.
    return f"{encoded[:100]}*{encoded[101:]}" if call.scene.has("bad-base64") else encoded


def encode(content: bytes) -> str:
    """Base64, as all these APIs send pictures."""
    return base64.b64encode(content).decode()


async def painted(call: Call, *, unfinished: float = 0.0, shrink: int = 1) -> bytes:
    """The call's picture, encoded; `unfinished` and `shrink` make a preview of it."""
    asked = call.asked
    smaller = 2 if call.scene.has("wrong-size") else 1
    work = partial(
        paint,
        call.number,
        asked.width_px // smaller // shrink,
        asked.height_px // smaller // shrink,
        seed=asked.seed or 0,
        photo=asked.photo,
        unfinished=unfinished,
        encoding="JPEG" if shrink > 1 else "PNG",
    )
    return await anyio.to_thread.run_sync(work)


def reset(scope: Scope) -> None:
    """Cut the connection with a TCP reset, as a crashing server does."""
    transport = cast("asyncio.Transport", scope[TRANSPORT])
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


async def _send_half(response: Response, scope: Scope, send: Send) -> None:
    headers = list(response.raw_headers)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    half = bytes(response.body)[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    cast("asyncio.Transport", scope[TRANSPORT]).close()


async def send_huge(opening: bytes, send: Send, content_type: bytes = b"application/json") -> None:
    """Send an answer of HUGE_BYTES, as fast as the client takes it."""
    headers = [(b"content-type", content_type)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": opening, "more_body": True})
    for _ in range(HUGE_BYTES // len(HUGE_CHUNK)):
        await send({"type": "http.response.body", "body": HUGE_CHUNK, "more_body": True})
        # Lets the watcher see that the client has gone.
        await anyio.lowlevel.checkpoint()
    await send({"type": "http.response.body", "body": b""})


def counted(call: Call, send: Send) -> Send:
    """Count the bytes of an answer in its call."""

    async def count(message: object) -> None:
        event = cast("dict[str, object]", message)
        if event["type"] == "http.response.body":
            call.sent_bytes += len(cast("bytes", event.get("body", b"")))
        await send(event)

    return count


async def until_gone() -> dict[str, object]:
    """A `receive` for responses: the watcher is the only one that really receives."""
    await anyio.sleep_forever()
    raise AssertionError


class _ScriptBody(msgspec.Struct):
    """The body of POST /stand-in/script; what is left out stays as it is."""

    latency_s: float | None = None
    sequence: list[str] | None = None


def build(
    stand_in: StandIn, routes: Sequence[BaseRoute], lifespan: Lifespan[Starlette] | None = None
) -> Starlette:
    """A stand-in's application: its wire's routes and the ones that control it."""

    async def calls(_request: Request) -> Response:
        return JSONResponse(stand_in.book.as_json())

    async def forget(_request: Request) -> Response:
        stand_in.reset()
        return Response(status_code=204)

    async def script(request: Request) -> Response:
        try:
            wanted = msgspec.json.decode(await request.body(), type=_ScriptBody)
            stand_in.script.change(wanted.latency_s, wanted.sequence)
        except (msgspec.MsgspecError, ScriptError) as error:
            return PlainTextResponse(str(error), 400)
        return Response(status_code=204)

    application = Starlette(
        routes=[
            Route("/stand-in/calls", calls),
            Route("/stand-in/reset", forget, methods=["POST"]),
            Route("/stand-in/script", script, methods=["POST"]),
            *routes,
        ],
        lifespan=lifespan,
    )
    application.state.stand_in = stand_in
    application.state.has_lifespan = lifespan is not None
    return application
