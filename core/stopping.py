"""Ending tasks for good."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

AGAIN_AFTER_S = 0.5


async def cancel_for_good(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended; what they raise stays with them.

    Before Python 3.12, asyncio.wait_for swallows a cancellation that arrives together with its
    result, and redis-py calls it for every command: one request may not be enough.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_AFTER_S)
