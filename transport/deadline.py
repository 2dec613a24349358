"""How long an operation may take."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from core.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@contextlib.asynccontextmanager
async def operation_deadline(timeout_s: float) -> AsyncGenerator[None, None]:
    """Cancel the block when it takes longer. Raises DeadlineExceeded.

    Whatever the block was in the middle of is undone: a transaction that is cancelled rolls back.
    A subscription's first result has the same deadline.
    """
    deadline = asyncio.timeout(timeout_s)
    try:
        async with deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        raise DeadlineExceeded(
            f"The operation took longer than {timeout_s:g} s and was ended. What it was about to"
            " change is as it was, or complete: with an idempotency key it can be repeated safely."
        ) from None
