"""What a compiled operation reads: asked for while it is written, read together, written again.

The first writing has holes wherever something is not read yet, and says what. So everything that
does not depend on each other is read at once, however deep it is in the selection, and each kind of
read is gathered over all items (and, by `resolvers.reads`, over all requests).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from core.ids import parse_id
from resolvers.facts import Facts
from resolvers.pages import page_generations, page_jobs
from resolvers.reads import read_own

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence
    from uuid import UUID

    from core.vocabulary import JobState
    from db.records import GenerationRecord, JobRecord, UploadRecord
    from resolvers.context import App, Loaders, Request
    from resolvers.paging import Page


class Answering(Facts):
    """The facts of one request, read with its viewer's rights. Raises Unauthenticated."""

    __slots__ = ("_app", "_found", "_request", "_viewer", "missing")

    def __init__(self, app: App, request: Request, make_loaders: Callable[[], Loaders]) -> None:
        super().__init__(make_loaders, app.estimates)
        self._app = app
        self._request = request
        self._viewer = request.require_viewer()
        self._found: dict[Hashable, Any] = {}
        self.missing: dict[Hashable, Callable[[], Awaitable[Any]]] = {}
        """What was asked for and is not read yet; what was written is not the answer then."""

    async def read(self) -> None:
        """Read what is missing. Raises what the database raises, and InvalidInput."""
        wanted, self.missing = self.missing, {}
        if len(wanted) == 1:
            ((key, get),) = wanted.items()
            self._found[key] = await get()
            return
        async with asyncio.TaskGroup() as tasks:
            for key, get in wanted.items():
                tasks.create_task(self._read(key, get))

    async def _read(self, key: Hashable, get: Callable[[], Awaitable[Any]]) -> None:
        self._found[key] = await get()

    def job_by_id(self, id_text: str) -> JobRecord | None:
        """The viewer's job; None if there is none, or not yet."""
        job_id = parse_id(id_text)
        return None if job_id is None else self.job(job_id)

    def job(self, job_id: UUID) -> JobRecord | None:
        """The same."""
        return self._get(
            ("job", job_id), lambda: read_own(self._app.reads.jobs, job_id, self._viewer), 0
        )

    def parent(self, job: JobRecord) -> JobRecord | None:
        """The job that it was made from; None if there is none, or not yet."""
        return None if job.regenerated_from is None else self.job(job.regenerated_from)

    def generation_by_id(self, id_text: str) -> GenerationRecord | None:
        """The viewer's generation; None if there is none, or not yet."""
        generation_id = parse_id(id_text)
        return None if generation_id is None else self._generation(generation_id)

    def generation(self, job: JobRecord) -> GenerationRecord | None:
        """The job's generation; None when it was deleted, or not read yet."""
        return self._generation(job.generation_id)

    def jobs_of(self, generation: GenerationRecord) -> Sequence[JobRecord]:
        """The grid's jobs; empty if not read yet."""
        one = generation.id
        return (
            self._get(("jobs of", one), lambda: self._app.reads.jobs_of_generations.get(one), 0)
            or ()
        )

    def know(self, generation: GenerationRecord, jobs: Sequence[JobRecord]) -> None:
        """Take a grid as read."""
        self._found["generation", generation.id] = generation
        self._found["jobs of", generation.id] = jobs

    def regenerations(self, job: JobRecord) -> Sequence[JobRecord]:
        """Jobs made from it; empty if not read yet."""
        return self._get(("made from", job.id), lambda: self._load.regenerations(job.id), 0) or ()

    def upload(self, upload_id: UUID | None) -> UploadRecord | None:
        """A generation's photo; None if there is none, or not yet."""
        if upload_id is None:
            return None
        return self._get(("upload", upload_id), lambda: self._load.upload(upload_id), 0)

    def page_of_jobs(
        self,
        first: int,
        after: str | None,
        states: Sequence[JobState] | None,
        generation_id: str | None,
    ) -> Page[JobRecord] | None:
        """A page of the viewer's jobs; None if not read yet."""
        key = ("jobs", first, after, states and tuple(states), generation_id)
        return self._get(
            key,
            lambda: page_jobs(
                self._app,
                self._request,
                first,
                after,
                states=states,
                generation_id=generation_id,
            ),
            0,
        )

    def page_of_generations(self, first: int, after: str | None) -> Page[GenerationRecord] | None:
        """A page of the viewer's generations; None if not read yet."""
        return self._get(
            ("generations", first, after),
            lambda: page_generations(self._app, self._request, first, after),
            0,
        )

    def _generation(self, generation_id: UUID) -> GenerationRecord | None:
        return self._get(
            ("generation", generation_id),
            lambda: read_own(self._app.reads.generations, generation_id, self._viewer),
            0,
        )

    def _get(self, key: Hashable, get: Callable[[], Awaitable[Any]], keep_s: float) -> Any:
        del keep_s
        if key in self._found:
            return self._found[key]
        self.missing[key] = get
        return None
