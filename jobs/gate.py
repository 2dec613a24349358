"""One attempt's way past its provider's circuit breaker, and what it tells the breaker after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.log import get_logger
from db.engine import is_database_down
from db.lifecycle import end_hold
from jobs.circuit import Permit
from jobs.doorbell import Ring

if TYPE_CHECKING:
    from jobs.circuit import Pause
    from jobs.kit import Kit
    from providers.base import ProviderError

_log = get_logger(__name__)


class Gate:
    """Entered before a call is bought, left once, whatever became of the call.

    A call that is resumed does not enter: it buys nothing. It says how it ended all the same.
    """

    def __init__(self, kit: Kit, provider: str) -> None:
        self._kit = kit
        self._provider = provider
        self._permit = Permit()
        self._told = False

    async def enter(self) -> None:
        """Raises ProviderPaused: then no call must be made."""
        self._permit = await self._kit.breakers.enter(self._provider)

    async def succeeded(self) -> None:
        """The picture is here."""
        self._told = True
        if await self._kit.breakers.succeeded(self._provider, self._permit):
            await self._wake_held()

    async def failed(self, error: ProviderError) -> Pause | None:
        """It failed; for how long no call may be made now, if so."""
        self._told = True
        return await self._kit.breakers.failed(self._provider, error, self._permit)

    async def leave(self) -> None:
        """If nobody was told how the call ended, it says nothing about the provider."""
        if not self._told:
            await self._kit.breakers.left(self._provider, self._permit)

    async def _wake_held(self) -> None:
        try:
            async with self._kit.database.transaction() as connection:
                woken = await end_hold(connection, self._provider)
        except Exception as error:
            if not is_database_down(error):
                raise
            # They start when they would have, without this.
            return
        _log.info("held jobs go on", provider=self._provider, jobs=len(woken))
        if woken:
            await self._kit.doorbell.ring(Ring(job_id, attempt) for job_id, attempt in woken)
