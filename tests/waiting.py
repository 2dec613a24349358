"""Bounded waits on a condition: the only way in which tests wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def wait_until(
    condition: Callable[[], Awaitable[T]], *, within_s: float = 20, what: str = "the condition"
) -> T:
    """Ask again until the answer is true, and return it. Fails when it does not come in time."""
    try:
        async with asyncio.timeout(within_s):
            while not (answer := await condition()):  # noqa: ASYNC110  # no event crosses processes
                await asyncio.sleep(0.02)  # other processes set no event here
    except TimeoutError:
        raise AssertionError(f"{what} did not come true within {within_s} s") from None
    return answer
