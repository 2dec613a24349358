"""Spans: OpenTelemetry's where OTEL_EXPORTER_OTLP_ENDPOINT is set, nothing at all elsewhere.

One trace goes from the request that asks for a picture to the attempt that stores it: the job keeps
the request's `traceparent` (https://www.w3.org/TR/trace-context/), which names no user and no data.
"""

from __future__ import annotations

import contextlib
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from types import ModuleType

    from core.settings import Settings

    Attribute = str | int | float | bool

_NOTHING = contextlib.nullcontext()


class TracingMissing(Exception):
    """The extra that traces need is not installed."""


class SpanKind(Enum):
    """What a span is to the others: a part, a call of another server, or work from the queue."""

    PART = "part"
    CALL = "call"
    FROM_QUEUE = "from queue"


class Tracing:
    """No traces: every span is the same empty block."""

    is_on = False

    def span(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.PART,
        parent: str | None = None,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> AbstractContextManager[None]:
        """A block that takes time; `parent` is the `traceparent` that it belongs to, if not ours.

        Attributes are ids, names and numbers, never prompts, documents or anything secret; what is
        kept of them is in core/otel.py.
        """
        del name, kind, parent, attributes
        return _NOTHING

    def traceparent(self) -> str | None:
        """The current span, for whoever goes on with its trace elsewhere."""
        return None

    async def aclose(self) -> None:
        """Send what is left."""


NO_TRACING = Tracing()


def open_tracing(settings: Settings, process: str) -> Tracing:
    """What the settings say; `process` is api or worker. Raises TracingMissing."""
    endpoint = settings.otel_exporter_otlp_endpoint
    return _otel().OtelTracing(endpoint, process) if endpoint else NO_TRACING


def send_nothing(endpoint: str) -> bool:
    """Whether a receiver takes an empty batch of spans; blocks. Raises TracingMissing."""
    return _otel().send_nothing(endpoint)


def _otel() -> ModuleType:
    try:
        from core import otel
    except ImportError as error:
        raise TracingMissing(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and {error.name} is not installed:"
            " pip install 'mintari[otel]'."
        ) from error
    return otel
