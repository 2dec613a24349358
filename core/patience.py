"""Repeating what must not be lost while the other side is away."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from core.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0

_log = get_logger(__name__)


async def persevere(
    action: Callable[[], Awaitable[T]],
    *,
    while_: Callable[[Exception], bool],
    patience_s: float,
) -> T:
    """Repeat `action` as long as `while_(error)` holds, for `patience_s` seconds.

    Then, and for any other error, raises what the action raised. The action must be safe to
    repeat: a write whose answer was lost happens again.
    """
    deadline_s = time.monotonic() + patience_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await action()
        except Exception as error:
            if not while_(error) or time.monotonic() + pause_s > deadline_s:
                raise
            _log.warning("trying again", error=type(error).__name__, in_s=pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
