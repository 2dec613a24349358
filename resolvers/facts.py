"""What is shown of a job besides its record, kept while somebody follows it.

A pushed version must not cost a query: most of this never changes (the generation), changes slowly
(estimates) or is good for a while (signed URLs). Reading what is not known raises NotKnownYet;
`fetch` gets it, and the caller tries again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from core.vocabulary import JobState
from resolvers.estimates import MAX_AGE_S, eta_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from db.records import GenerationRecord, JobRecord
    from jobs.changes import JobChange, JobRest
    from resolvers.context import Loaders
    from resolvers.estimates import Estimates, Eta

URL_S = 60.0
"""A URL is good for an hour at least; it is shown for this long before it is signed anew."""
NO_URL_S = 1.0
MOST = 300
"""Facts kept by one subscription; the oldest go first. A grid of 100 frames needs some 200."""


class NotKnownYet(Exception):
    """A fact that must be fetched first."""

    def __init__(self, key: Hashable, get: Callable[[], Awaitable[Any]], keep_s: float) -> None:
        super().__init__()
        self.key = key
        self.get = get
        self.keep_s = keep_s


class Facts:
    """The facts of one subscription, read with its viewer's rights."""

    __slots__ = ("_estimates", "_known", "_loaders", "_make_loaders")

    def __init__(self, make_loaders: Callable[[], Loaders], estimates: Estimates) -> None:
        self._make_loaders = make_loaders
        self._loaders: Loaders | None = None
        self._estimates = estimates
        self._known: dict[Hashable, tuple[float, Any]] = {}

    @property
    def _load(self) -> Loaders:
        # Many subscriptions never need them: a frame that waits has nothing to be looked up.
        self._loaders = self._loaders or self._make_loaders()
        return self._loaders

    async def fetch(self, missing: NotKnownYet) -> None:
        """Get a fact. Raises what the database raises."""
        value = await missing.get()
        keep_s = NO_URL_S if value is None else missing.keep_s
        self._known.pop(missing.key, None)
        self._known[missing.key] = (time.monotonic() + keep_s, value)
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def url(self, key: str) -> str | None:
        """Where the picture under a storage key is; None while the storage cannot say."""
        return self._get(key, lambda: self._load.url(key), URL_S)

    def generation(self, job: JobRecord) -> GenerationRecord | None:
        """The job's generation; None when it was deleted."""
        key = job.generation_id
        return self._get(key, lambda: self._load.generation(key), float("inf"))

    def queue_position(self, rest: JobRest, now: JobChange) -> int | None:
        """Place in the queue; None unless PENDING."""
        if rest.state is not JobState.PENDING:
            return None
        key = (rest.id, now.version)
        return self._get(key, lambda: self._load.queue_position(rest.id), NO_URL_S)

    def eta(self, job: JobRecord, rest: JobRest) -> Eta | None:
        """When it is expected to end; None unless RUNNING, and without history."""
        if rest.state is not JobState.RUNNING or rest.started_at is None:
            return None
        generation = self.generation(job)
        if generation is None:
            return None
        key = (rest.provider, rest.model, generation.size)
        durations = self._get(key, lambda: self._estimates.durations(*key), MAX_AGE_S)
        return eta_of(rest.started_at, durations)

    def _get(self, key: Hashable, get: Callable[[], Awaitable[Any]], keep_s: float) -> Any:
        expires_s, value = self._known.get(key, (0.0, None))
        if time.monotonic() >= expires_s:
            raise NotKnownYet(key, get, keep_s)
        return value
