"""A process's own small server for those who watch it: /metrics, /healthz and /readyz.

On a port of its own, so that no proxy in front of the API can show it to the world by mistake, and
so that workers have one, too. In the process's event loop on purpose: when that hangs, a probe of
/healthz finds out.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from core.log import get_logger
from mintari.tokens import SetupError
from transport.health import answer_readiness, healthz

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

    from core.settings import Settings
    from jobs.readiness import Readiness
    from mintari.scrape import Scrape

_log = get_logger(__name__)


@contextlib.asynccontextmanager
async def open_monitor(
    settings: Settings, scrape: Scrape, readiness: Readiness
) -> AsyncGenerator[None, None]:
    """Serve on METRICS_PORT, if it is set. Raises SetupError when it cannot be had."""
    if settings.metrics_port is None:
        yield
        return
    listening = _listen(settings.metrics_host, settings.metrics_port)
    _log.info("metrics served", host=settings.metrics_host, port=listening.getsockname()[1])
    server = _Server(_config(scrape, readiness))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.attend(listening))
        try:
            yield
        finally:
            server.should_exit = True


def _config(scrape: Scrape, readiness: Readiness) -> uvicorn.Config:
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        await scrape.read()
        return Response(encode(scrape), headers={"content-type": content_type})

    async def readyz(_request: Request) -> Response:
        return answer_readiness(await readiness.look())

    routes = [Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)]
    return uvicorn.Config(
        Starlette(routes=routes),
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


class _Server(uvicorn.Server):
    """A guest in its process: signals are the host's, and so are lines about coming and going."""

    async def attend(self, listening: socket.socket) -> None:
        """As `serve`, until `should_exit` is set."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listening])
        await self.main_loop()
        await self.shutdown(sockets=[listening])

    def _log_started_message(self, listeners: Any) -> None:
        del listeners


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises SetupError: two processes of one machine cannot share a port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return _bound(socket.socket(family, kind, protocol), address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SetupError(
                f"METRICS_PORT={port} on {host} is in use. Every process of a machine needs its"
                " own: another number, or 0 for any free one, which the log names."
            ) from error
        raise SetupError(
            f"METRICS_PORT={port} on METRICS_HOST={host} cannot be opened: {error.strerror}."
        ) from error


def _bound(listening: socket.socket, address: Any) -> socket.socket:
    try:
        # As uvicorn does: connections that are closing do not count.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening
