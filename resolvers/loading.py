"""What is behind the loaders: nothing of other users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.log import get_logger
from db.jobs import queue_positions, read_regenerations
from db.webhooks import read_tries
from resolvers.reads import read_own
from storage.base import StorageError

if TYPE_CHECKING:
    from uuid import UUID

    from db.records import GenerationRecord, JobRecord, UploadRecord
    from db.webhooks import TryRecord
    from resolvers.context import App, Request

_log = get_logger(__name__)


class OwnReads:
    """Reads for one viewer that are gathered with those of all requests. Raise Unauthenticated."""

    def __init__(self, app: App, request: Request) -> None:
        self._reads = app.reads
        self._request = request

    async def job(self, job_id: UUID) -> JobRecord | None:
        """The viewer's job."""
        return await read_own(self._reads.jobs, job_id, self._request.require_viewer())

    async def generation(self, generation_id: UUID) -> GenerationRecord | None:
        """The viewer's generation."""
        viewer = self._request.require_viewer()
        return await read_own(self._reads.generations, generation_id, viewer)

    async def upload(self, upload_id: UUID) -> UploadRecord | None:
        """The viewer's upload."""
        return await read_own(self._reads.uploads, upload_id, self._request.require_viewer())

    async def jobs_of_generation(self, generation_id: UUID) -> list[JobRecord]:
        """A grid, of a generation that was read for the viewer before."""
        return await self._reads.jobs_of_generations.get(generation_id) or []


class Batches:
    """Reads of many keys at once; each answers in the order of its keys."""

    def __init__(self, app: App) -> None:
        self._app = app

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
