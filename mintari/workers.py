"""`mintari api --workers N`: N API processes on one port, started again when one ends.

Each binds the port for itself (SO_REUSEPORT), so the kernel spreads new connections over them.
They share nothing but Postgres and Redis, like processes on N machines, and each subscribes in
Redis only to what its own sockets follow.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import TYPE_CHECKING

from core.log import configure_logging, get_logger
from mintari.parts import Part
from mintari.ports import claimable_port
from mintari.supervisor import supervise

if TYPE_CHECKING:
    from core.settings import Settings

BACKLOG = 2048
STOP_S = 15.0
"""More than the API takes to end its connections."""

_log = get_logger(__name__)


def serve_with_workers(settings: Settings, count: int) -> None:
    """Run `count` API processes until SIGTERM or SIGINT.

    Raises EmbeddedError when a port is not free, PartFailed when processes keep ending.
    """
    configure_logging(settings)
    claimable_port(settings.api_host, settings.api_port)
    parts = [_part(settings, number) for number in range(count)]
    asyncio.run(supervise([parts], _say, announce=lambda: None))


def _part(settings: Settings, number: int) -> Part:
    environment = dict(os.environ)
    if settings.metrics_port:
        # Each has figures of its own: they are added up by whoever reads them.
        environment["METRICS_PORT"] = str(settings.metrics_port + number)
    return Part(
        name=f"api-{number + 1}",
        command=[sys.executable, "-m", "mintari", "api", "--share-port"],
        environment=environment,
        stop_deadline_s=STOP_S,
        # Its lines are a log already.
        open_output=lambda: os.dup(sys.stdout.fileno()),
    )


def _say(part: str, text: str) -> None:
    _log.info(text, part=part)


def shared_socket(settings: Settings) -> socket.socket:
    """A listening socket on a port that other processes of ours may listen on as well."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.api_host, settings.api_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind(address)
    listening.listen(BACKLOG)
    return listening
