"""Spans of HTTP requests and of GraphQL operations. Not even installed while traces are off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strawberry.extensions import SchemaExtension

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from core.tracing import Tracing

PATHS = frozenset({"/graphql", "/uploads"})
"""Where work begins. Pictures and pages would be most of the spans, and of the least use."""
MAX_NAME_CHARS = 100


class TracedRequests:
    """A span for each HTTP request to PATHS. What comes over websockets does not pass here."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        from core.otel import OtelTracing

        assert isinstance(tracing, OtelTracing)
        self._app = app
        self._traced = OpenTelemetryMiddleware(
            app, tracer_provider=tracing.provider, exclude_spans=["receive", "send"]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request."""
        is_traced = scope["type"] == "http" and scope["path"] in PATHS
        await (self._traced if is_traced else self._app)(scope, receive, send)


class TracedOperations(SchemaExtension):
    """A span for each query and mutation: its type and its name, nothing else of it.

    Subscriptions have none: what is executed for them is executed for all who follow the same.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def on_execute(self) -> Iterator[None]:
        """From the first resolver to the last."""
        kind = self.execution_context.operation_type
        name = (self.execution_context.operation_name or "")[:MAX_NAME_CHARS]
        words = {"graphql.operation.type": kind.value, "graphql.operation.name": name}
        with self._tracing.span(f"{kind.value} {name}".rstrip(), attributes=words):
            yield
