"""Asks the API whether it is up."""

from __future__ import annotations

import asyncio

_DEADLINE_S = 2.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


async def is_healthy(host: str, port: int) -> bool:
    """Whether GET /healthz is answered with 200; False for anything else, within 2 s."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await _status(_ANY.get(host, host), port) == 200
    except (OSError, TimeoutError, ValueError):
        return False


async def _status(host: str, port: int) -> int:
    # By hand: an HTTP client would take longer to import than all the rest of `up`.
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        words = (await reader.readline()).split()
        return int(words[1]) if len(words) > 1 else 0
    finally:
        writer.close()
