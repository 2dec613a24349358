"""ComfyUI: graphs on a machine of one's own, with measured steps and live previews.

Contract: https://docs.comfy.org/development/comfyui-server/comms_routes and comms_messages, and
https://github.com/comfyanonymous/ComfyUI/blob/master/script_examples/websockets_api_example.py.
The id of a run is ours, so it is known before the run is: nothing is ever started twice.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from core.vocabulary import BlockStage, ImageSize, ProgressKind, SeedSupport
from providers.base import (
    Accepted,
    BadProviderAnswer,
    Capabilities,
    Finished,
    Progress,
    ProviderError,
    ProviderMisconfigured,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from providers.comfyui_events import FEATURES, Steps, event_in, preview_in, step_in
from providers.comfyui_workflow import FROM_A_PHOTO, FROM_WORDS, fill, load_graph, samplers
from providers.http import Answer, Limits, Wire, check_base_url, check_picture
from providers.previews import small_preview

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from websockets.asyncio.client import ClientConnection

    from core.settings import Settings
    from providers.base import PaintRequest, Update
from providers.comfyui_workflow import Graph

T = TypeVar("T")
ASK_EVERY_S = 5.0
"""After so much silence the history is asked: an event may have been lost."""
PAUSE_S = 0.5
TRIES = 3
WITHDRAW_DEADLINE_S = 2.0
_BLOCKED = re.compile(r"nsfw|safety", re.IGNORECASE)


class _File(msgspec.Struct):
    filename: str
    subfolder: str = ""
    type: str = "output"


class _Output(msgspec.Struct):
    images: list[_File] = []


class _Status(msgspec.Struct):
    status_str: str = ""
    messages: list[tuple[str, dict[str, Any]]] = []


class _Run(msgspec.Struct):
    outputs: dict[str, _Output] = {}
    status: _Status | None = None


class _Queue(msgspec.Struct):
    queue_running: list[list[Any]] = []
    queue_pending: list[list[Any]] = []


class ComfyUIProvider:
    """Runs a graph on a ComfyUI server and listens to it."""

    name: ClassVar[str] = "comfyui"

    def __init__(self, settings: Settings, limits: Limits) -> None:
        """Raises ProviderMisconfigured for an address or a workflow that is none."""
        token = settings.comfyui_token.get_secret_value()
        own, own_photo = settings.comfyui_workflow, settings.comfyui_photo_workflow
        self._words = load_graph(own, "COMFYUI_WORKFLOW") if own else FROM_WORDS
        self._photos = FROM_A_PHOTO if own is None else None
        if own_photo:
            self._photos = load_graph(own_photo, "COMFYUI_PHOTO_WORKFLOW")
        self._checkpoint = settings.comfyui_checkpoint
        self._model = own.stem if own else self._checkpoint
        self._deadline_s = settings.timeout_s(self.name)
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._wire = Wire(
            self.name,
            check_base_url(settings.comfyui_base_url, "COMFYUI_BASE_URL"),
            limits,
            address_setting="COMFYUI_BASE_URL",
            headers=self._headers,
            secrets=(token,),
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> ComfyUIProvider | None:
        """None without COMFYUI_BASE_URL. Raises ProviderMisconfigured."""
        return cls(settings, Limits.of(settings, cls.name)) if settings.comfyui_base_url else None

    @property
    def model(self) -> str:
        """The checkpoint, or the name of the operator's workflow."""
        return self._model

    @property
    def capabilities(self) -> Capabilities:
        """The same seed gives the same picture on the same machine only."""
        return Capabilities(
            sizes=tuple(ImageSize),
            image_input=self._photos is not None,
            text_input=True,
            seed=SeedSupport.BEST_EFFORT,
            progress=ProgressKind.MEASURED,
            cancel=True,
            resume=True,
        )

    async def paint(self, request: PaintRequest) -> AsyncGenerator[Update, None]:
        """Paint one picture. Raises ProviderError."""
        run_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"mintari:{request.request_id}"))
        yield Accepted(run_id)
        async with aclosing(self._run(request, run_id)) as updates:
            async for update in updates:
                yield update

    async def resume(self, request: PaintRequest, external_id: str) -> AsyncGenerator[Update, None]:
        """Go on with a run, or start it if the server has never heard of it."""
        async with aclosing(self._run(request, external_id)) as updates:
            async for update in updates:
                yield update

    async def check(self) -> str:
        """Look for the server and for the checkpoint. Raises ProviderError."""
        answer = await self._get("/models/checkpoints")
        known = self._wire.decode(answer, list[str])
        if self._words is FROM_WORDS and self._checkpoint not in known:
            raise ProviderMisconfigured(
                f"comfyui has no {self._checkpoint}: COMFYUI_CHECKPOINT may be {known[:5]}"
            )
        return f"{self._model} at {self._wire.base_url}"

    async def aclose(self) -> None:
        """Close connections."""
        await self._wire.aclose()

    async def _run(self, request: PaintRequest, run_id: str) -> AsyncGenerator[Update, None]:
        try:
            graph = await self._graph(request, run_id)
            async with aclosing(self._watch(graph, run_id)) as updates:
                async for update in updates:
                    yield update
            image = await self._patiently(lambda: self._picture(run_id))
        except (asyncio.CancelledError, GeneratorExit, ProviderTimeout):
            with suppress(TimeoutError, ProviderError):
                async with asyncio.timeout(WITHDRAW_DEADLINE_S):
                    await self._withdraw(run_id)
            raise
        yield Finished(image=image, model=self._model)

    async def _graph(self, request: PaintRequest, run_id: str) -> Graph:
        graph = self._words if request.photo is None else self._photos
        if graph is None:
            raise ProviderMisconfigured("comfyui: COMFYUI_PHOTO_WORKFLOW is not set")
        width_px, height_px = request.size.px
        return fill(
            graph,
            {
                **request.style_parameters,
                "prompt": request.assembled_prompt,
                "negative": request.negative_prompt,
                "seed": request.seed,
                "width": width_px,
                "height": height_px,
                "checkpoint": self._checkpoint,
                "photo": await self._upload(request, run_id) if request.photo else "",
            },
        )

    async def _upload(self, request: PaintRequest, run_id: str) -> str:
        """Send the photo; the name under which graphs find it."""
        photo, content_type = request.photo or b"", request.photo_content_type or "image/webp"
        name = f"mintari-{run_id}.{content_type.rpartition('/')[2]}"
        async with self._wire.stream(
            "POST",
            f"{self._wire.base_url}/upload/image",
            fields={"overwrite": "true", "type": "input"},
            files={"image": (name, photo, content_type)},
        ) as response:
            body = await self._wire.read(response, self._wire.limits.answer_bytes)
            answer = Answer(response.status_code, dict(response.headers), body)
        if answer.status != 200:
            raise self._status_error(answer)
        uploaded = self._wire.decode(answer, dict[str, Any])
        return "/".join(part for part in (uploaded.get("subfolder"), uploaded.get("name")) if part)

    async def _watch(self, graph: Graph, run_id: str) -> AsyncGenerator[Update, None]:
        """Start the run unless it is there, and follow it to its end, over lost connections."""
        steps = Steps(samplers(graph))
        deadline_s = time.monotonic() + self._deadline_s
        is_there = await self._is_known(run_id)
        while True:
            # The socket comes first: what happens before it is there would be missed.
            with suppress(OSError, TimeoutError, WebSocketException):
                async with self._socket(run_id) as socket:
                    await socket.send(FEATURES)
                    if not is_there:
                        is_there = True
                        await self._start(graph, run_id)
                    elif await self._is_over(run_id):
                        return
                    async with aclosing(self._listen(socket, steps, run_id)) as updates:
                        async for update in updates:
                            yield update
                    return
            if not is_there:
                is_there = True
                await self._start(graph, run_id)
            if await self._is_over(run_id):
                return
            if time.monotonic() > deadline_s:
                raise ProviderTimeout("comfyui still says that the run is not over")
            await asyncio.sleep(PAUSE_S)

    def _socket(self, run_id: str) -> connect:
        base_url = self._wire.base_url.replace("http", "ws", 1)
        return connect(
            f"{base_url}/ws?clientId={run_id}",
            additional_headers=self._headers,
            open_timeout=self._wire.limits.connect_s,
            close_timeout=1,
            max_size=self._wire.limits.answer_bytes,
            proxy=None,
        )

    async def _start(self, graph: Graph, run_id: str) -> None:
        body = {"prompt": graph, "client_id": run_id, "prompt_id": run_id}
        try:
            answer = await self._wire.post_json(f"{self._wire.base_url}/prompt", body)
        except (ProviderUnavailable, ProviderTimeout):
            if await self._is_known(run_id):
                return
            raise
        if answer.status != 200:
            raise self._status_error(answer)
        if self._wire.decode(answer, dict[str, Any]).get("prompt_id") != run_id:
            raise ProviderMisconfigured("comfyui is too old: it does not take our prompt_id")

    async def _listen(
        self, socket: ClientConnection, steps: Steps, run_id: str
    ) -> AsyncGenerator[Update, None]:
        """Updates until the run is over. Raises what the run failed of, and for a lost socket."""
        deadline_s = time.monotonic() + self._deadline_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left_s, ASK_EVERY_S)):
                    message = await socket.recv()
            except TimeoutError:
                if await self._is_over(run_id):
                    return
                continue
            if isinstance(message, bytes):
                if (image := preview_in(message, run_id)) and steps.wants_preview():
                    yield Progress(steps.fraction, await small_preview(image))
                continue
            event = event_in(message)
            if event.data.get("prompt_id") != run_id:
                continue
            if event.type in ("execution_error", "execution_interrupted"):
                raise self._run_error(event.type, event.data)
            if event.type == "executing" and event.data.get("node") is None:
                return
            if event.type == "progress" and (update := step_in(event.data, steps)):
                yield update
        raise ProviderTimeout("comfyui still says that the run is not over")

    async def _is_known(self, run_id: str) -> bool:
        return await self._history(run_id) is not None or await self._is_queued(run_id)

    async def _is_over(self, run_id: str) -> bool:
        """Raises ProviderUnavailable for a run that is lost or has failed."""
        run = await self._patiently(lambda: self._history(run_id))
        if run is None:
            # Between the queue and the history there is a moment in which it is in neither.
            if await self._patiently(lambda: self._is_queued(run_id)):
                return False
            run = await self._patiently(lambda: self._history(run_id))
        if run is None:
            raise ProviderUnavailable("comfyui has lost the run; it was restarted")
        if run.status and run.status.status_str == "error":
            for name, data in reversed(run.status.messages):
                if name in ("execution_error", "execution_interrupted"):
                    raise self._run_error(name, data)
            raise ProviderUnavailable("comfyui: the run has failed")
        return True

    async def _history(self, run_id: str) -> _Run | None:
        answer = await self._get(f"/history/{run_id}")
        return self._wire.decode(answer, dict[str, _Run]).get(run_id)

    async def _is_queued(self, run_id: str) -> bool:
        queue = await self._queue()
        return any(run_id in item for item in (*queue.queue_running, *queue.queue_pending))

    async def _queue(self) -> _Queue:
        return self._wire.decode(await self._get("/queue"), _Queue)

    async def _picture(self, run_id: str) -> bytes:
        """Download the last picture that the run has saved. Raises BadProviderAnswer."""
        run = await self._history(run_id)
        files = [file for output in (run.outputs if run else {}).values() for file in output.images]
        # Nodes that only preview leave files of the type `temp`.
        files.sort(key=lambda file: file.type == "output")
        if not files:
            raise BadProviderAnswer("comfyui: the run has no picture; does it end in SaveImage?")
        place = {name: getattr(files[-1], name) for name in ("filename", "subfolder", "type")}
        answer = await self._get(f"/view?{urlencode(place)}")
        return check_picture(self.name, answer.body)

    async def _withdraw(self, run_id: str) -> None:
        """Take the run off the queue, or stop it.

        Old servers stop whatever runs, so they are asked only while it is ours that runs.
        """
        queue = await self._queue()
        if any(run_id in item for item in queue.queue_pending):
            await self._wire.post_json(f"{self._wire.base_url}/queue", {"delete": [run_id]})
        if any(run_id in item for item in queue.queue_running):
            await self._wire.post_json(f"{self._wire.base_url}/interrupt", {"prompt_id": run_id})

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The work is done or under way: a lost answer is asked for again."""
        for _ in range(TRIES - 1):
            with suppress(ProviderUnavailable, ProviderTimeout):
                return await ask()
            await asyncio.sleep(PAUSE_S)
        return await ask()

    async def _get(self, path: str) -> Answer:
        answer = await self._wire.request("GET", self._wire.base_url + path)
        if answer.status != 200:
            raise self._status_error(answer)
        return answer

    def _status_error(self, answer: Answer) -> ProviderError:
        detail = answer.body.decode(errors="replace")
        if answer.status in (401, 403):
            return ProviderMisconfigured("comfyui does not take us: correct COMFYUI_TOKEN")
        if answer.status == 400:
            text = self._wire.redact(f"comfyui does not take the graph: {detail}")
            return ProviderMisconfigured(f"{text}: correct COMFYUI_CHECKPOINT or COMFYUI_WORKFLOW")
        return self._wire.error_of(answer, detail)

    def _run_error(self, kind: str, data: dict[str, Any]) -> ProviderError:
        reason = data.get("exception_message") or kind
        text = self._wire.redact(f"comfyui: {data.get('node_type')}: {reason}")
        if _BLOCKED.search(str(reason)):
            return ProviderRefused(text, stage=BlockStage.OUTPUT)
        return ProviderUnavailable(text)
