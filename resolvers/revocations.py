"""Revoked users, known in every API process within a second: Postgres keeps them, Redis tells."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from core.log import get_logger
from core.shards import subscriber
from db.revocations import read_revocations

if TYPE_CHECKING:
    from core.auth import Viewer
    from core.settings import Settings
    from db.engine import Database
    from jobs.channels import Channels

READ_S = 5.0
"""How often Postgres is asked for new ones while Redis is there."""
READ_WITHOUT_REDIS_S = 0.5
OVERLAP_S = 60.0
"""Read again what is this young: a transaction may commit after a later one."""

_log = get_logger(__name__)


class Revocations:
    """What is known of revoked users. `run` must be running to learn of new ones."""

    def __init__(self, settings: Settings, database: Database, channels: Channels) -> None:
        self._database = database
        self._channel = channels.revoked
        self._revoked_at_s: dict[str, float] = {}
        self._newest_s = 0.0
        self._changed = asyncio.Event()
        self._stale = asyncio.Event()
        self._subscriber = subscriber(settings, self._on_message, self._stale.set)

    def _on_message(self, _channel: bytes, _data: bytes) -> None:
        # The message says only that there is something to read: Postgres is the truth.
        self._stale.set()

    def covers(self, viewer: Viewer) -> bool:
        """Whether a viewer's token was issued before the user was revoked."""
        revoked_at_s = self._revoked_at_s.get(viewer.user_id)
        return revoked_at_s is not None and viewer.issued_at_s <= revoked_at_s

    async def changed(self) -> None:
        """Return when somebody was revoked."""
        await self._changed.wait()

    async def run(self) -> None:
        """Listen and read, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._subscriber.run())
            await self._subscriber.subscribe([self._channel])
            while True:
                self._stale.clear()
                await self.read()
                pause_s = READ_S if self._subscriber.connected else READ_WITHOUT_REDIS_S
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._stale.wait()

    async def read(self) -> None:
        """Read what is new. Never raises."""
        try:
            async with self._database.read() as connection:
                found = await read_revocations(connection, self._newest_s - OVERLAP_S)
        except Exception as error:
            # Postgres is away; the next round asks again, and requests will say so.
            _log.warning("could not read revoked users", error=type(error).__name__)
            return
        if found.items() <= self._revoked_at_s.items():
            return
        self._revoked_at_s |= found
        self._newest_s = max(self._revoked_at_s.values())
        # Everybody who waits looks again; those who come later wait for the next change.
        self._changed.set()
        self._changed = asyncio.Event()
