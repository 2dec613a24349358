"""Running a stand-in: in a thread of this process, or until a signal."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import httpx
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from mintari.standins.wire import TRANSPORT

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator, Mapping, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

START_DEADLINE_S = 10.0


class _CuttableProtocol(HttpToolsProtocol):
    """Tells the application which transport a request came over, so that it can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app = cast("Any", partial(_with_transport, self.app, transport))
        super().connection_made(transport)


class _CuttableSocketProtocol(WebSocketsSansIOProtocol):
    """The same for websockets."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app = cast("Any", partial(_with_transport, self.app, transport))
        super().connection_made(transport)


async def _with_transport(
    app: ASGIApp, transport: asyncio.Transport, scope: Scope, receive: Receive, send: Send
) -> None:
    await app({**scope, TRANSPORT: transport}, receive, send)


def server_for(app: ASGIApp, **options: Any) -> uvicorn.Server:
    """A server for a stand-in's application; give it a bound socket. Options are uvicorn's."""
    config = uvicorn.Config(
        app,
        lifespan="on" if _has_lifespan(app) else "off",
        http=_CuttableProtocol,
        ws=_CuttableSocketProtocol,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        **options,
    )
    return uvicorn.Server(config)


def _has_lifespan(app: ASGIApp) -> bool:
    return isinstance(app, Starlette) and bool(getattr(app.state, "has_lifespan", False))


class RunningStandIn:
    """A stand-in that runs in a thread; `url` is its address, without a slash at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=10)

    def book(self) -> dict[str, Any]:
        """Counts and calls, see `CallBook.as_json`."""
        return self._client.get("/stand-in/calls").raise_for_status().json()

    def calls(self) -> list[dict[str, Any]]:
        """All calls since the last reset, the oldest first."""
        return self.book()["calls"]

    def counts(self) -> Mapping[str, int]:
        """How many calls were started, and of these: running, finished, failed, cut."""
        return self.book()["counts"]

    def script(
        self, *, latency_s: float | None = None, sequence: Sequence[str] | None = None
    ) -> None:
        """Set the latency, or what happens to the next calls ("500", "429 retry 1", "ok")."""
        wanted = {"latency_s": latency_s, "sequence": sequence}
        self._client.post("/stand-in/script", json=wanted).raise_for_status()

    def reset(self) -> None:
        """Forget all calls and the script."""
        self._client.post("/stand-in/reset").raise_for_status()

    def close(self) -> None:
        """Close the connection that these methods use."""
        self._client.close()


@contextlib.contextmanager
def running(app: ASGIApp, **options: Any) -> Generator[RunningStandIn]:
    """Run an application in a thread, on a free port of this machine."""
    server = server_for(app, **options)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    stand_in = RunningStandIn(f"http://127.0.0.1:{listening.getsockname()[1]}")
    try:
        _wait_for_start(server)
        yield stand_in
    finally:
        stand_in.close()
        server.force_exit = server.should_exit = True
        thread.join(START_DEADLINE_S)
        listening.close()


def _wait_for_start(server: uvicorn.Server) -> None:
    deadline_s = time.monotonic() + START_DEADLINE_S
    while not server.started:
        if time.monotonic() > deadline_s:
            raise TimeoutError("the stand-in did not start")
        time.sleep(0.005)
