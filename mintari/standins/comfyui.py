"""Stand-in of ComfyUI: one machine that runs one graph after the other and talks about it.

https://docs.comfy.org/development/comfyui-server/comms_routes. Failures of the connection and
statuses meet POST /prompt; with `later` they meet the websocket ("[reset later]") or the questions
about the run ("[500 later once]"); "[hang later]" is a run that makes no more steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from mintari.standins.calls import Asked
from mintari.standins.wire import (
    NOT_AN_IMAGE,
    TRANSPORT,
    StandIn,
    break_connection,
    build,
    cut_with_client,
    is_good,
    painted,
    until_gone,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send

    from mintari.standins.calls import Call

NAME = "comfyui"
CHECKPOINTS = ["sd_xl_base_1.0.safetensors", "another.safetensors"]
_NODE_FAULTS = ("no-image", "bad-base64", "not-an-image", "wrong-size")
_BLOCKS = ("blocked-prompt", "blocked-output")
_PREVIEW, _PREVIEW_WITH_METADATA, _JPEG = 1, 4, 1


@dataclass(slots=True)
class _Run:
    """One graph in the queue, running, or in the history."""

    run_id: str
    client_id: str
    graph: dict[str, Any]
    call: Call
    state: str = "pending"
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    messages: list[tuple[str, dict[str, Any]]] = field(
        default_factory=list[tuple[str, dict[str, Any]]]
    )
    picture: bytes = b""
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Listener:
    """One websocket, and whether it wants previews that name their run."""

    socket: WebSocket
    names_runs: bool = False


class Machine:
    """The server: its uploads, its runs, who listens."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        self.uploads: dict[str, bytes] = {}
        self.runs: dict[str, _Run] = {}
        self.listeners: dict[str, _Listener] = {}
        self._gpu = asyncio.Lock()
        self._group: asyncio.TaskGroup | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, _application: Starlette) -> AsyncGenerator[None]:
        """Run graphs until the server ends."""
        async with asyncio.TaskGroup() as self._group:
            yield
            for run in self.runs.values():
                if run.task:
                    run.task.cancel()

    def queue(self, run: _Run) -> None:
        """Take a run; it starts when the ones before it are over."""
        self.runs[run.run_id] = run
        assert self._group is not None
        run.task = self._group.create_task(self._work(run))

    def stop(self, run: _Run) -> None:
        """Interrupt a run, or take it off the queue."""
        if run.task:
            run.task.cancel()

    async def _work(self, run: _Run) -> None:
        try:
            async with self._gpu:
                run.state = "running"
                await _Play(self, run).play()
        except asyncio.CancelledError:
            run.call.end("cut")
            was_running = run.state == "running"
            run.state = "error"
            if not was_running:
                del self.runs[run.run_id]
                return
            data = {"prompt_id": run.run_id, "node_id": "sampler", "node_type": "KSampler"}
            run.messages.append(("execution_interrupted", data))
            await self.tell(run, "execution_interrupted", data)

    async def tell(self, run: _Run, kind: str, data: dict[str, Any]) -> None:
        """Send an event to whoever started the run, if they still listen."""
        if listener := self.listeners.get(run.client_id):
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await listener.socket.send_json({"type": kind, "data": data})

    async def show(self, run: _Run, preview: bytes) -> None:
        """Send a preview, in the form that the listener knows."""
        if not (listener := self.listeners.get(run.client_id)):
            return
        head = struct.pack(">II", _PREVIEW, _JPEG)
        if listener.names_runs:
            metadata = msgspec.json.encode(
                {"prompt_id": run.run_id, "node_id": "sampler", "image_type": "image/jpeg"}
            )
            head = struct.pack(">II", _PREVIEW_WITH_METADATA, len(metadata)) + metadata
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await listener.socket.send_bytes(head + preview)


class _Play:
    """One run, from its first event to its place in the history."""

    def __init__(self, machine: Machine, run: _Run) -> None:
        self._machine = machine
        self._run = run

    async def play(self) -> None:
        """Take the steps, then end as the scene wants."""
        run, call = self._run, self._run.call
        await self._tell("execution_start")
        await self._tell("execution_cached", nodes=[])
        for node in run.graph:
            if node == "sampler":
                await self._tell("executing", node=node)
                await self._sample()
        if call.scene.has(*_BLOCKS):
            await self._fail("NSFW content detected")
            return
        run.picture = await self._picture()
        file = {"filename": f"mintari_{call.number:05}_.png", "subfolder": "", "type": "output"}
        run.outputs = {} if call.scene.has("no-image") else {"save": {"images": [file]}}
        await self._tell("executed", node="save", output=run.outputs.get("save", {}))
        await self._tell("execution_success")
        run.state = "success"
        call.end("finished" if is_good(call) else "failed")
        await self._tell("executing", node=None)

    async def _sample(self) -> None:
        run, scene = self._run, self._run.call.scene
        steps = int(run.graph["sampler"]["inputs"].get("steps", 20))
        for step in range(1, steps + 1):
            await asyncio.sleep(scene.delay_s / steps)
            if step == steps // 2:
                await self._go_wrong()
            await self._tell("progress", value=step, max=steps, node="sampler")
            if step % 5 == 0:
                preview = await painted(run.call, unfinished=1 - step / steps, shrink=4)
                await self._machine.show(run, preview)

    async def _go_wrong(self) -> None:
        """In the middle of the steps: the connection breaks, or the steps stop."""
        call = self._run.call
        if not call.scene.has("reset", "truncated", "hang") or not call.meets_later_fault():
            return
        if call.scene.has("hang"):
            await asyncio.Event().wait()
        if listener := self._machine.listeners.pop(self._run.client_id, None):
            cast("asyncio.Transport", listener.socket.scope[TRANSPORT]).abort()

    async def _picture(self) -> bytes:
        call = self._run.call
        return NOT_AN_IMAGE if call.scene.has("bad-base64", "not-an-image") else await painted(call)

    async def _fail(self, reason: str) -> None:
        run = self._run
        data: dict[str, Any] = {
            "prompt_id": run.run_id,
            "node_id": "sampler",
            "node_type": "KSampler",
            "exception_message": reason,
            "exception_type": "RuntimeError",
            "traceback": [],
        }
        run.state = "error"
        run.messages.append(("execution_error", data))
        run.call.end("failed")
        await self._machine.tell(run, "execution_error", data)

    async def _tell(self, kind: str, **data: object) -> None:
        await self._machine.tell(self._run, kind, {"prompt_id": self._run.run_id, **data})


def application() -> Starlette:
    """The stand-in's application."""
    machine = Machine(StandIn(NAME))
    routes = _Routes(machine)
    return build(
        machine.stand_in,
        [
            WebSocketRoute("/ws", routes.listen),
            Route("/prompt", PromptEndpoint(machine), methods=["POST"]),
            Route("/upload/image", routes.upload, methods=["POST"]),
            Route("/queue", routes.queue, methods=["GET"]),
            Route("/queue", routes.delete, methods=["POST"]),
            Route("/interrupt", routes.interrupt, methods=["POST"]),
            Route("/history/{run_id}", routes.history),
            Route("/view", routes.view),
            Route("/models/checkpoints", routes.checkpoints),
        ],
        lifespan=machine.lifespan,
    )


class PromptEndpoint:
    """POST /prompt: takes a graph."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        body: dict[str, Any] = await request.json()
        if refusal := _refusal(request) or _invalid(body["prompt"]):
            await refusal(scope, receive, send)
            return
        call = self._machine.stand_in.begin(_asked(body["prompt"], self._machine.uploads))
        fault = call.scene.fault
        if fault and not fault.later and fault.name not in (*_NODE_FAULTS, *_BLOCKS):
            async with cut_with_client(receive, call):
                if not await break_connection(call, scope, send, _Answers()):
                    status = 429 if fault.name == "quota-day" else fault.status or 500
                    await _status_error(status, fault.argument)(scope, until_gone, send)
                call.end("failed")
            return
        run_id = str(body.get("prompt_id") or uuid.uuid4())
        self._machine.queue(_Run(run_id, body.get("client_id", ""), body["prompt"], call))
        answer: dict[str, Any] = {"prompt_id": run_id, "number": call.number, "node_errors": {}}
        await JSONResponse(answer)(scope, receive, send)


class _Answers:
    """What a broken connection carries a part of."""

    huge_opening = b'{"prompt_id":"'

    def picture(self, call: Call, encoded: str) -> Response:
        """An answer to a graph; there are no pictures in it."""
        return JSONResponse({"prompt_id": encoded[:200], "number": call.number})


class _Routes:
    """All other routes."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def listen(self, socket: WebSocket) -> None:
        """The websocket of one client; a newer one of the same id takes its place."""
        if "wrong" in socket.headers.get("authorization", ""):
            await socket.close()
            return
        await socket.accept()
        client_id = socket.query_params.get("clientId") or uuid.uuid4().hex
        listener = _Listener(socket)
        self._machine.listeners[client_id] = listener
        status = {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client_id}
        try:
            await socket.send_json({"type": "status", "data": status})
            while True:
                message = await socket.receive_json()
                if message.get("type") == "feature_flags":
                    listener.names_runs = bool(message["data"].get("supports_preview_metadata"))
        except WebSocketDisconnect:
            pass
        finally:
            if self._machine.listeners.get(client_id) is listener:
                del self._machine.listeners[client_id]

    async def upload(self, request: Request) -> Response:
        """POST /upload/image."""
        if refusal := _refusal(request):
            return refusal
        async with request.form() as form:
            image = form["image"]
            if not isinstance(image, UploadFile) or not image.filename:
                return Response(status_code=400)
            self._machine.uploads[image.filename] = await image.read()
            name = {"name": image.filename, "subfolder": "", "type": "input"}
        return JSONResponse(name)

    async def queue(self, request: Request) -> Response:
        """GET /queue."""
        if refusal := _refusal(request):
            return refusal
        runs = self._machine.runs.values()
        items = {
            state: [[run.call.number, run.run_id, run.graph, {}, ["save"]] for run in runs
                    if run.state == state]
            for state in ("running", "pending")
        }  # fmt: skip
        return JSONResponse({f"queue_{state}": found for state, found in items.items()})

    async def delete(self, request: Request) -> Response:
        """POST /queue: takes runs off the queue that have not begun."""
        body: dict[str, Any] = await request.json()
        for run_id in body.get("delete", []):
            run = self._machine.runs.get(run_id)
            if run and run.state == "pending":
                self._machine.stop(run)
        return Response()

    async def interrupt(self, request: Request) -> Response:
        """POST /interrupt: stops the run of that id, if it runs."""
        body: dict[str, Any] = await request.json()
        run = self._machine.runs.get(body.get("prompt_id", ""))
        if run and run.state == "running":
            self._machine.stop(run)
        return Response()

    async def history(self, request: Request) -> Response:
        """GET /history/{run_id}: empty until the run is over."""
        run = self._machine.runs.get(request.path_params["run_id"])
        if refusal := _refusal(request) or _later_status(run):
            return refusal
        if run is None or run.state not in ("success", "error"):
            return JSONResponse({})
        status = {
            "status_str": run.state,
            "completed": run.state == "success",
            "messages": run.messages,
        }
        return JSONResponse({run.run_id: {"outputs": run.outputs, "status": status, "meta": {}}})

    async def view(self, request: Request) -> Response:
        """GET /view: a file by its name."""
        name = request.query_params.get("filename", "")
        for run in self._machine.runs.values():
            if f"mintari_{run.call.number:05}_.png" == name and run.picture:
                return Response(run.picture, media_type="image/png")
        return Response(status_code=404)

    async def checkpoints(self, request: Request) -> Response:
        """GET /models/checkpoints."""
        return _refusal(request) or JSONResponse(CHECKPOINTS)


def _later_status(run: _Run | None) -> Response | None:
    fault = run.call.scene.fault if run else None
    if run is None or fault is None or fault.status is None or not run.call.meets_later_fault():
        return None
    return _status_error(fault.status, None)


def _status_error(status: int, retry_s: float | None) -> Response:
    headers = {"retry-after": f"{retry_s:g}"} if retry_s is not None else {}
    return Response("a proxy in front of ComfyUI says so", status, headers)


def _refusal(request: Request) -> Response | None:
    if "wrong" in request.headers.get("authorization", ""):
        return Response("unauthorized", 401)
    return None


def _invalid(graph: dict[str, Any]) -> Response | None:
    loaded = [node["inputs"].get("ckpt_name") for node in graph.values()]
    missing = [name for name in loaded if name and name not in CHECKPOINTS]
    if not missing:
        return None
    error: dict[str, Any] = {
        "type": "prompt_outputs_failed_validation",
        "message": "Prompt outputs failed validation",
        "details": f"ckpt_name: '{missing[0]}' not in {CHECKPOINTS}",
        "extra_info": {},
    }
    return JSONResponse({"error": error, "node_errors": {}}, 400)


def _asked(graph: dict[str, Any], uploads: dict[str, bytes]) -> Asked:
    sampler = graph["sampler"]["inputs"]
    canvas = graph.get("scale", graph["canvas"])["inputs"]
    photo = graph.get("photo", {}).get("inputs", {}).get("image")
    return Asked(
        prompt=graph["positive"]["inputs"]["text"],
        seed=sampler["seed"],
        width_px=canvas["width"],
        height_px=canvas["height"],
        photo=uploads.get(photo) if photo else None,
        details={"sampler": sampler, "negative": graph["negative"]["inputs"]["text"]},
    )
