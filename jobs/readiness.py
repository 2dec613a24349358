"""Whether a process can do its work: what it needs, asked now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.log import get_logger
from db.migrate import is_migrated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from db.engine import Database
    from jobs.publisher import Publisher

DEADLINE_S = 2.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `parts`: database, migrations, redis, storage; whether each is well."""

    parts: dict[str, bool]
    draining: bool = False

    @property
    def status(self) -> str:
        """`ok`; `degraded` without Redis, which only makes things fast; else `unavailable`.

        A worker that takes nothing new is `draining`.
        """
        if not all(well for part, well in self.parts.items() if part != "redis"):
            return "unavailable"
        if self.draining:
            return "draining"
        return "ok" if self.parts["redis"] else "degraded"

    @property
    def is_ready(self) -> bool:
        """Whether jobs can be accepted, or run."""
        return self.status in ("ok", "degraded")


class Readiness:
    """Asks the parts of one process. Storage is asked through whoever remembers its answer."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        storage_works: Callable[[], Awaitable[bool]],
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._storage_works = storage_works
        self._is_draining = is_draining

    async def look(self) -> Report:
        """Ask all at once; takes DEADLINE_S at most but for storage, which has its own."""
        migrated, redis, storage = await asyncio.gather(
            _answer("database", self._migrated()),
            _answer("redis", self._publisher.ping()),
            self._storage_works(),
        )
        parts = {
            "database": migrated is not None,
            "migrations": bool(migrated),
            "redis": bool(redis),
            "storage": storage,
        }
        return Report(parts, draining=self._is_draining())

    async def _migrated(self) -> bool:
        async with self._database.read() as connection:
            return await is_migrated(connection)


async def _answer(part: str, question: Awaitable[bool]) -> bool | None:
    """What a part says; None when it says nothing."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await question
    except Exception as error:
        _log.warning("not ready", part=part, error=type(error).__name__)
        return None
