"""The batch functions behind the loaders: many ids in, one query, nothing of other users."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from core.log import get_logger
from db.generations import read_generations
from db.jobs import queue_positions, read_jobs, read_jobs_of_generations, read_regenerations
from db.uploads import read_uploads
from db.webhooks import read_tries
from storage.base import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from uuid import UUID

    from db.engine import Connection
    from db.records import GenerationRecord, JobRecord, UploadRecord
    from db.webhooks import TryRecord
    from resolvers.context import App, Request

V = TypeVar("V")
_log = get_logger(__name__)


class Batches:
    """Batch reads for one viewer; each answers in the order of its keys."""

    def __init__(self, app: App, request: Request) -> None:
        self._app = app
        self._request = request

    async def jobs(self, ids: list[UUID]) -> list[JobRecord | None]:
        """The viewer's jobs."""
        return await self._of_viewer(read_jobs, ids)

    async def generations(self, ids: list[UUID]) -> list[GenerationRecord | None]:
        """The viewer's generations."""
        return await self._of_viewer(read_generations, ids)

    async def uploads(self, ids: list[UUID]) -> list[UploadRecord | None]:
        """The viewer's uploads."""
        return await self._of_viewer(read_uploads, ids)

    async def jobs_of_generations(self, ids: list[UUID]) -> list[list[JobRecord]]:
        """Grids, of generations that were read for the viewer before."""
        async with self._app.database.read() as connection:
            found = await read_jobs_of_generations(connection, ids)
        return [found[generation_id] for generation_id in ids]

    async def regenerations(self, ids: list[UUID]) -> list[list[JobRecord]]:
        """Jobs made from jobs that were read for the viewer before."""
        async with self._app.database.read() as connection:
            found = await read_regenerations(connection, ids)
        return [found[job_id] for job_id in ids]

    async def queue_positions(self, ids: list[UUID]) -> list[int | None]:
        """Places in the queue, of jobs that were read for the viewer before."""
        async with self._app.database.read() as connection:
            found = await queue_positions(connection, ids)
        return [found.get(job_id) for job_id in ids]

    async def webhook_tries(self, ids: list[UUID]) -> list[list[TryRecord]]:
        """Tries of messages that were read for the viewer before."""
        async with self._app.database.read() as connection:
            found = await read_tries(connection, ids)
        return [found[message_id] for message_id in ids]

    async def urls(self, keys: list[str]) -> list[str | None]:
        """Where browsers read these pictures; None while the storage cannot say."""
        try:
            signed = await self._app.storage.sign(keys)
        except StorageError as error:
            _log.error("pictures not signed", error=str(error))
            return [None] * len(keys)
        return [signed.get(key) for key in keys]

    async def _of_viewer(
        self,
        read: Callable[[Connection, Sequence[UUID], str], Awaitable[Mapping[UUID, V]]],
        ids: list[UUID],
    ) -> list[V | None]:
        viewer = self._request.require_viewer()
        async with self._app.database.read() as connection:
            found = await read(connection, ids, viewer.user_id)
        return [found.get(one) for one in ids]
