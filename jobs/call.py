"""Calling a provider: ledger first, then updates until the picture."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

from core.keys import MAX_PREVIEWS, all_previews, preview_key
from core.log import get_logger
from core.pictures import CONTENT_TYPE
from db.doomed import doom
from db.engine import is_database_down
from db.ledger import begin_call, record_external_id
from db.lifecycle import LeaseLostError
from jobs.transactions import in_transaction
from providers.base import (
    Accepted,
    BadProviderAnswer,
    CallLost,
    Finished,
    PaintRequest,
    Progress,
    ProviderTimeout,
)
from storage.base import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from db.records import CallRecord, Work
    from jobs.kit import Kit
    from jobs.reporter import Report
    from providers.base import Provider, ProviderError, Update

GENERATING_PERCENT = 95
"""Where the bar stands when the provider is done; storing takes the rest."""

_log = get_logger(__name__)


class ProviderCall:
    """One call for one attempt. `began_s` (monotonic) is set once the ledger has a row for it."""

    def __init__(self, kit: Kit, work: Work, provider: Provider, report: Report) -> None:
        self._kit = kit
        self._job = work.job
        self._provider = provider
        self._report = report
        self._preview_count = 0
        self._external_id: str | None = None
        self.began_s = time.monotonic() if work.call_entered else None

    async def run(self, request: PaintRequest, resumed: CallRecord | None) -> Finished:
        """Make the call, or go on with `resumed`. Raises ProviderError, LeaseLostError."""
        if self.began_s is None:
            await self._enter(resumed)
        # Cancelled meanwhile: then it is not made.
        await checkpoint_if_cancelled()
        if resumed and resumed.external_id:
            self._external_id = resumed.external_id
            updates = self._provider.resume(request, resumed.external_id)
        else:
            updates = self._provider.paint(request)
        try:
            async with asyncio.timeout(self._kit.settings.timeout_s(self._job.provider)):
                return await self._follow(updates)
        except TimeoutError:
            raise ProviderTimeout("no picture within the deadline") from None

    async def _enter(self, resumed: CallRecord | None) -> None:
        """Write the row. Not cut off by a cancel: nobody would know whether there is one."""
        asked_s = time.monotonic()
        with CancelScope(shield=True):
            async with self._kit.database.read() as connection:
                await begin_call(connection, self._job.id, self._job.attempt, resumed=resumed)
        self.began_s = time.monotonic()
        if self.began_s - asked_s >= self._kit.settings.lease_s:
            raise LeaseLostError("frozen until the lease had run out")

    def outlives(self, error: ProviderError) -> bool:
        """Whether the provider goes on with the call after this error, and can be asked."""
        if error.outcome_known or isinstance(error, CallLost):
            return False
        can = self._provider.capabilities
        return self._external_id is not None and can.resume and not can.cancel

    async def _doom_previews(self) -> None:
        """Before there are any: so none stays behind, however this attempt ends."""
        settings = self._kit.settings
        after_s = settings.timeout_s(self._job.provider) + settings.preview_ttl_s
        key = all_previews(self._job.id, self._job.attempt)
        async with self._kit.database.read() as connection:
            await doom(connection, [key], after_s=after_s)

    async def _follow(self, updates: AsyncGenerator[Update, None]) -> Finished:
        async with contextlib.aclosing(updates):
            async for update in updates:
                match update:
                    case Accepted(external_id):
                        await self._keep(external_id)
                    case Progress():
                        await self._show(update)
                    case Finished():
                        return update
        raise BadProviderAnswer("the provider ended without a picture")

    async def _keep(self, external_id: str) -> None:
        self._external_id = external_id
        await in_transaction(
            self._kit.database,
            lambda connection: record_external_id(
                connection, self._job.id, self._job.attempt, external_id
            ),
        )

    async def _show(self, update: Progress) -> None:
        if update.preview and (key := await self._store_preview(update.preview)):
            self._report.preview(key)
        if update.fraction is not None:
            self._report.progress(
                int(update.fraction * GENERATING_PERCENT), self._provider.capabilities.progress
            )

    async def _store_preview(self, preview: bytes) -> str | None:
        number = self._preview_count + 1
        if number > MAX_PREVIEWS:
            return None
        key = preview_key(self._job.id, self._job.attempt, number)
        try:
            if number == 1:
                await self._doom_previews()
            # Those before stay until the job has ended: a slow client may be loading any of them.
            await self._kit.storage.put(key, preview, CONTENT_TYPE)
        except Exception as error:
            if not isinstance(error, StorageError) and not is_database_down(error):
                raise
            # A picture of an unfinished frame is not worth failing for.
            _log.warning("preview not stored", error=str(error))
            return None
        self._preview_count = number
        return key
