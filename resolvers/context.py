"""What every resolver gets: the service's parts, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from uuid import UUID

    from redis.asyncio import Redis

    from core.auth import Viewer
    from core.errors import RequestError
    from core.metrics import Metrics
    from core.safety.pictures import PictureJudge
    from core.safety.policy import Policy
    from core.sealing import Sealer
    from core.settings import Settings
    from core.styles import Style
    from core.tracing import Tracing
    from db.admission_queue import AdmissionQueue
    from db.driver import Driver
    from db.engine import Database
    from db.records import GenerationRecord, JobRecord, UploadRecord
    from db.webhooks import TryRecord
    from jobs.breakers import Breakers
    from jobs.doorbell import Doorbell
    from jobs.feed import Feed
    from jobs.publisher import Publisher
    from jobs.readiness import Readiness
    from providers.base import Provider
    from resolvers.estimates import Estimates
    from resolvers.reads import Reads
    from resolvers.revocations import Revocations
    from resolvers.storage_health import StorageHealth
    from storage.base import Storage


@dataclass(frozen=True, slots=True)
class App:
    """The parts of the service that resolvers use; one per API process."""

    settings: Settings
    database: Database
    admission_queue: AdmissionQueue
    feed: Feed
    redis: Redis
    publisher: Publisher
    doorbell: Doorbell
    storage: Storage
    providers: Mapping[str, Provider]
    breakers: Breakers
    styles: Mapping[str, Style]
    estimates: Estimates
    reads: Reads
    driver: Driver
    storage_health: StorageHealth
    policy: Policy
    picture_judge: PictureJudge | None
    revocations: Revocations
    sealer: Sealer
    readiness: Readiness
    metrics: Metrics
    tracing: Tracing


@dataclass(frozen=True, slots=True)
class Loaders:
    """Reads that are gathered into one query per kind; nothing of other users is found."""

    job: Callable[[UUID], Awaitable[JobRecord | None]]
    jobs_of_generation: Callable[[UUID], Awaitable[list[JobRecord]]]
    regenerations: Callable[[UUID], Awaitable[list[JobRecord]]]
    generation: Callable[[UUID], Awaitable[GenerationRecord | None]]
    upload: Callable[[UUID], Awaitable[UploadRecord | None]]
    queue_position: Callable[[UUID], Awaitable[int | None]]
    url: Callable[[str], Awaitable[str | None]]
    webhook_tries: Callable[[UUID], Awaitable[list[TryRecord]]]


@dataclass(slots=True)
class Request:
    """Who asks, and from where. `refusal` says why there is no viewer."""

    viewer: Viewer | None
    remote_address: str | None = None
    refusal: RequestError | None = None

    def require_viewer(self) -> Viewer:
        """The viewer. Raises Unauthenticated, Overloaded while tokens cannot be checked."""
        if self.viewer is None:
            raise self.refusal or Unauthenticated(
                "Send a token: the header `Authorization: Bearer <token>`, or"
                ' `{"authorization": "Bearer <token>"}` in connection_init.'
            )
        return self.viewer

    def require_operator(self) -> Viewer:
        """The viewer, who is an operator. Raises Unauthenticated, Forbidden, Overloaded."""
        viewer = self.require_viewer()
        if not viewer.is_operator:
            raise Forbidden("This is for operators only.")
        return viewer
