"""The API process: uvicorn with uvloop and httptools around the application."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import uvicorn

from core.log import configure_logging
from mintari.asgi import build_asgi
from mintari.ports import claimable_port
from mintari.tokens import SetupError
from mintari.workers import shared_socket
from transport.http_protocol import HttpProtocol
from transport.websocket import WebSocket

if TYPE_CHECKING:
    from core.settings import Settings

SHUTDOWN_S = 5


def serve(settings: Settings, *, share_port: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. Raises SetupError or EmbeddedError when settings forbid it."""
    check_schema_package()
    if settings.metrics_port:
        # Opened once the application starts, where an error would come with uvicorn's traceback.
        claimable_port(settings.metrics_host, settings.metrics_port, "METRICS")
    configure_logging(settings)
    sockets = [shared_socket(settings)] if share_port else None
    uvicorn.Server(server_config(settings)).run(sockets)


def server_config(settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application. Raises SetupError when settings forbid it."""
    return uvicorn.Config(
        build_asgi(settings),
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        http=HttpProtocol,
        ws=WebSocket,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


def check_schema_package() -> None:
    """Raise SetupError if another installed package called `schema` hides ours."""
    module = importlib.import_module("schema")
    if not getattr(module, "MINTARI_SCHEMA", False):
        raise SetupError(
            f"Another package called `schema` was imported, from {module.__file__}."
            " Uninstall it (pip uninstall schema), or give Mintari an environment of its own."
        )
