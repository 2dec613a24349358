"""What a scrape shows: what the process counted, and how queue and providers are right now."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from core.log import get_logger
from core.vocabulary import JobState, ProviderStatus
from db.deliveries import read_oldest_waiting_s
from db.queue import QueueLength, read_queue_lengths

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from core.metrics import Metrics
    from db.engine import Database
    from jobs.breakers import Breakers, Health

READ_DEADLINE_S = 2.0
"""Well below Prometheus' usual 10 s for a whole scrape."""

_log = get_logger(__name__)


class Scrape(Collector):
    """Call `read`, then collect. `providers`: those that are shown even when they have no jobs."""

    def __init__(
        self, metrics: Metrics, database: Database, breakers: Breakers, providers: Iterable[str]
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._breakers = breakers
        self._providers = tuple(providers)
        self._queue: list[QueueLength] | None = None
        self._webhook_wait_s = 0.0
        self._health: Mapping[str, Health] = {}

    async def read(self) -> None:
        """Ask Postgres how long the queues are, and Redis which providers are paused."""
        self._health, _ = await asyncio.gather(
            self._breakers.health(self._providers), self._read_queue()
        )

    async def _read_queue(self) -> None:
        """Without an answer a scrape does without."""
        try:
            async with asyncio.timeout(READ_DEADLINE_S), self._database.read() as connection:
                self._queue = await read_queue_lengths(connection)
                self._webhook_wait_s = await read_oldest_waiting_s(connection)
        except Exception as error:
            self._queue = None
            self._metrics.queue_read_errors.inc()
            _log.warning("queue not read for a scrape", error=type(error).__name__)

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield from self._metrics.registry.collect()
        yield self._status_family()
        if self._queue is not None:
            yield from self._queue_families(self._queue)
            yield GaugeMetricFamily(
                "mintari_webhook_oldest_waiting_seconds",
                "How long the first message that may be sent has been waiting.",
                value=self._webhook_wait_s,
            )

    def _status_family(self) -> Metric:
        family = GaugeMetricFamily(
            "mintari_provider_status",
            "1 for the status that a provider's circuit breaker gives it, 0 for the others.",
            labels=["provider", "status"],
        )
        for provider, health in self._health.items():
            for status in ProviderStatus:
                family.add_metric([provider, status], int(health.status is status))
        return family

    def _queue_families(self, lengths: list[QueueLength]) -> Iterator[Metric]:
        found = {(length.provider, length.state): length for length in lengths}
        # Zeros for those without jobs: an alert or a scaler must not mistake none for no answer.
        states = (JobState.PENDING, JobState.RUNNING)
        pairs = found.keys() | set(itertools.product(self._providers, states))
        jobs = GaugeMetricFamily(
            "mintari_queue_jobs",
            "Jobs that wait or run, in the whole deployment.",
            labels=["provider", "state"],
        )
        oldest = GaugeMetricFamily(
            "mintari_queue_oldest_pending_seconds",
            "How long the first job that may start has been waiting.",
            labels=["provider"],
        )
        for provider, state in sorted(pairs):
            length = found.get((provider, state))
            jobs.add_metric([provider, state], length.jobs if length else 0)
            if state is JobState.PENDING:
                oldest.add_metric([provider], length.oldest_s if length else 0)
        yield jobs
        yield oldest
