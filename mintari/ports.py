"""Ports of this machine: which are free, which are taken."""

from __future__ import annotations

import asyncio
import errno
import socket

from mintari.embedded.errors import EmbeddedError


def claimable_port(host: str, port: int, setting: str = "API") -> int:
    """Try the port (0: let the system choose one), free it again and return it.

    `setting` is how the names of its settings begin. Raises EmbeddedError with what to do instead.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As uvicorn does: connections that are closing do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
            return int(probe.getsockname()[1])
    except OSError as error:
        raise EmbeddedError(_advice(host, port, setting, error)) from error


def _advice(host: str, port: int, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use: stop what uses it,"
            f" or choose another with {setting}_PORT={port + 1 if port < 65535 else 8001}."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} needs root: choose one above 1023 with {setting}_PORT=8000."
    return f"{setting}_HOST={host} is not an address of this machine ({error.strerror})."


async def is_listening(port: int) -> bool:
    """Whether something on this machine takes connections on the port."""
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
