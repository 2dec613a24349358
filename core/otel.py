"""Traces over OTLP/HTTP. Imported only where they are wanted; needs the extra `otel`.

The other variables of OpenTelemetry's SDK count as it documents them: OTEL_EXPORTER_OTLP_HEADERS,
OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and so on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars

from core.metrics import release
from core.tracing import SpanKind, Tracing

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, TraceState
    from opentelemetry.util.types import Attributes

    from core.tracing import Attribute

TRY_DEADLINE_S = 3.0
_KINDS = {
    SpanKind.PART: trace.SpanKind.INTERNAL,
    SpanKind.CALL: trace.SpanKind.CLIENT,
    SpanKind.FROM_QUEUE: trace.SpanKind.CONSUMER,
}
_OURS = ("mintari.", "graphql.")
_KEPT = frozenset(
    {
        "db.operation.name",
        "db.redis.pipeline_length",
        "db.system",
        "db.system.name",
        "error.type",
        "http.method",
        "http.request.method",
        "http.response.status_code",
        "http.status_code",
        "net.peer.name",
        "net.peer.port",
        "server.address",
        "server.port",
    }
)
"""Attributes that leave the process besides our own: nothing that could hold a query, a URL's
signature or a text of a user's."""


class OtelTracing(Tracing):
    """Spans of one process, sent in the background."""

    is_on = True

    def __init__(self, endpoint: str, process: str) -> None:
        self.provider = TracerProvider(resource=_resource(process))
        self.provider.sampler = _NoStrayCalls(self.provider.sampler)
        exporter = _Discreet(_exporter(endpoint))
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer("mintari")
        self._propagator = TraceContextTextMapPropagator()
        HTTPXClientInstrumentor().instrument(tracer_provider=self.provider)
        RedisInstrumentor().instrument(tracer_provider=self.provider)  # pyright: ignore[reportUnknownMemberType]  # **kwargs

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.PART,
        parent: str | None = None,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> Generator[None]:
        """A span; where it continues a trace, log lines name that trace."""
        context = self._propagator.extract({"traceparent": parent}) if parent else None
        with self._tracer.start_as_current_span(
            name, context=context, kind=_KINDS[kind], attributes=attributes
        ) as span:
            trace_id = trace.format_trace_id(span.get_span_context().trace_id)
            with bound_contextvars(trace=trace_id):
                yield

    def traceparent(self) -> str | None:
        """The current span in W3C's words."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent")

    async def aclose(self) -> None:
        """Send what is left; gives up after the exporter's deadline (10 s)."""
        HTTPXClientInstrumentor().uninstrument()
        RedisInstrumentor().uninstrument()
        await asyncio.to_thread(self.provider.shutdown)


def send_nothing(endpoint: str) -> bool:
    """Whether a receiver takes an empty batch of spans; blocks."""
    exporter = _exporter(endpoint, timeout_s=TRY_DEADLINE_S)
    log = logging.getLogger(OTLPSpanExporter.__module__)
    log.disabled = True  # the answer is what counts
    try:
        return exporter.export([]) is SpanExportResult.SUCCESS
    finally:
        log.disabled = False
        exporter.shutdown()


def _exporter(endpoint: str, timeout_s: float | None = None) -> OTLPSpanExporter:
    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=timeout_s)


def _resource(process: str) -> Resource:
    own = {"service.name": f"mintari-{process}", "service.version": release()}
    return Resource.create().merge(Resource(own)).merge(OTELResourceDetector().detect())


class _NoStrayCalls(Sampler):
    """Leaves out calls that belong to no trace: a worker's looks at its queue."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """As the sampler that OTEL_TRACES_SAMPLER names, but for such calls."""
        parent = trace.get_current_span(parent_context).get_span_context()
        if kind is trace.SpanKind.CLIENT and not parent.is_valid:
            return SamplingResult(Decision.DROP)
        return self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """For the SDK's own logs."""
        return f"NoStrayCalls({self._sampler.get_description()})"


class _Discreet(SpanExporter):
    """Sends spans without what they must not tell.

    Instrumentations add URLs with their queries, and exceptions with their texts.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send what may be told."""
        return self._exporter.export([_discreet(span) for span in spans])

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back here."""
        return self._exporter.force_flush(timeout_millis)


def _discreet(span: ReadableSpan) -> ReadableSpan:
    given = span.attributes or {}
    attributes = {
        key: value for key, value in given.items() if key in _KEPT or key.startswith(_OURS)
    }
    if span.kind is trace.SpanKind.CLIENT and (url := given.get("http.url")):
        # Of an address only the server: the rest may be signed, or somebody's.
        attributes["server.address"] = urlsplit(str(url)).hostname or ""
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        status=trace.Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
