"""What a process counts, for Prometheus. docs/observing.md says what each number is good for.

Names end in their unit, and in `_total` where they only grow. Labels take few values: words of
`core.vocabulary`, names of providers and of their configured models, categories of the policy;
never an id, and nothing that a client sends.
"""

from __future__ import annotations

import functools
import importlib.metadata

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

# Twice as many samples, for what hardly anybody asks.
disable_created_metrics()

GENERATION_BUCKETS_S = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
"""From a local painter's frame to twice the longest deadline that is usual."""
START_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900)
"""From a doorbell that rings to a queue that is a quarter of an hour long."""


def release() -> str:
    """The installed release; `unknown` for one that runs without being installed."""
    try:
        return importlib.metadata.version("mintari")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


class Metrics:
    """The numbers of one process, in a registry of their own."""

    def __init__(self, process: str) -> None:
        """`process` is api or worker."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        counter = functools.partial(Counter, registry=self.registry)
        gauge = functools.partial(Gauge, registry=self.registry)
        histogram = functools.partial(Histogram, registry=self.registry)

        build = Info(
            "mintari_build", "Which process of which release this is.", registry=self.registry
        )
        build.info({"process": process, "version": release()})

        # Asked for
        self.generations = counter(
            "mintari_generations_total",
            "Generations that were asked for, by what was decided.",
            ["action", "decision"],
        )
        self.rate_limit_refusals = counter(
            "mintari_rate_limit_refusals_total",
            "Requests refused because a limit was reached.",
            ["limit"],
        )
        self.safety_refusals = counter(
            "mintari_safety_refusals_total",
            "Prompts and photos refused, by the policy's category.",
            ["category"],
        )

        # Jobs
        self.jobs_ended = counter(
            "mintari_jobs_ended_total", "Jobs that ended, by state.", ["provider", "state"]
        )
        self.generation_time = histogram(
            "mintari_generation_seconds",
            "From the claim of a finished frame's attempt to its stored picture.",
            ["provider", "model", "size"],
            buckets=GENERATION_BUCKETS_S,
        )
        self.start_delay = histogram(
            "mintari_job_start_delay_seconds",
            "From accepting a job to its first start.",
            ["provider"],
            buckets=START_BUCKETS_S,
        )
        self.attempts = counter(
            "mintari_attempts_total", "Attempts that ended, by outcome.", ["provider", "outcome"]
        )
        self.attempt_errors = counter(
            "mintari_attempt_errors_total", "Attempts that failed, by code.", ["provider", "code"]
        )
        self.blocked = counter(
            "mintari_content_blocked_total",
            "Attempts whose content a provider or the classifier blocked.",
            ["provider", "stage"],
        )
        self.worker_slots = gauge("mintari_worker_slots", "Jobs that this worker runs at once.")
        self.worker_jobs = gauge("mintari_worker_jobs", "Jobs that this worker runs now.")
        self.sweeper_repairs = counter(
            "mintari_sweeper_repairs_total", "Jobs that the sweeper healed.", ["repair"]
        )

        # Paid
        self.provider_calls = counter(
            "mintari_provider_calls_total",
            "Provider calls that ended, by outcome.",
            ["provider", "model", "outcome"],
        )
        self.provider_cost = counter(
            "mintari_provider_cost_usd_total",
            "What calls cost whose price is known, US dollars.",
            ["provider", "model"],
        )
        self.unpriced_calls = counter(
            "mintari_provider_calls_unpriced_total",
            "Calls that may have been billed and whose cost is not known.",
            ["provider", "model"],
        )

        # Told
        self.events_published = counter(
            "mintari_events_published_total", "Changes of jobs that were given to Redis."
        )
        self.events_unpublished = counter(
            "mintari_events_unpublished_total", "Changes that Redis did not take."
        )
        self.events_delivered = counter(
            "mintari_events_delivered_total",
            "Results that were handed to subscriptions: one event makes as many as follow it.",
        )
        self.results_dropped = counter(
            "mintari_results_dropped_total",
            "Results that a newer one replaced before a slow client had read them.",
        )
        self.webhook_tries = counter(
            "mintari_webhook_tries_total", "Requests made to webhooks, by outcome.", ["outcome"]
        )
        self.webhook_messages = counter(
            "mintari_webhook_messages_total",
            "Messages of webhooks that were delivered or given up.",
            ["outcome"],
        )
        self.websockets = gauge("mintari_websockets", "Websockets that are open.")
        self.streams = gauge("mintari_streams", "Subscriptions that are streamed over HTTP.")
        self.subscriptions = gauge("mintari_subscriptions", "Subscriptions that are followed.")
        self.subscription_groups = gauge(
            "mintari_subscription_groups", "Groups that share one execution."
        )
        self.followed_jobs = gauge("mintari_followed_jobs", "Jobs that subscriptions follow.")

        # This
        self.queue_read_errors = counter(
            "mintari_queue_read_errors_total",
            "Scrapes without mintari_queue_*, as Postgres did not answer.",
        )
