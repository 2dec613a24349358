"""Reads of one event-loop turn, gathered into one query per kind.

Most of them over all requests, by `resolvers.reads`; the rest here. They do not cache:
a websocket's context lives for hours, and the truth is in Postgres.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from strawberry.dataloader import DataLoader

from resolvers.context import App, Loaders, Request
from resolvers.loading import Batches, OwnReads

K = TypeVar("K")
V = TypeVar("V")


def make_loaders(app: App, request: Request) -> Loaders:
    """The loaders of one context."""
    own, batches = OwnReads(app, request), Batches(app)
    return Loaders(
        job=own.job,
        generation=own.generation,
        upload=own.upload,
        jobs_of_generation=own.jobs_of_generation,
        regenerations=_loader(batches.regenerations),
        queue_position=_loader(batches.queue_positions),
        url=_loader(batches.urls),
        webhook_tries=_loader(batches.webhook_tries),
    )


def _loader(load: Callable[[list[K]], Awaitable[list[V]]]) -> Callable[[K], Awaitable[V]]:
    # Repeated keys reach `load` repeatedly: harmless, all batches look up in a mapping.
    return DataLoader[K, V](load_fn=load, cache=False).load  # pyright: ignore[reportArgumentType, reportCallIssue]
