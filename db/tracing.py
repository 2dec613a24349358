"""Spans of statements. OpenTelemetry's own instrumentation takes no SQLAlchemy 2.1."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from core.tracing import SpanKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from core.tracing import Tracing

_SPAN = "mintari span"
SYSTEM = {"db.system": "postgresql"}
"""What all such spans say."""


def trace_statements(engine: AsyncEngine, tracing: Tracing) -> None:
    """Make a span of each statement that is part of a trace, named by its first words."""

    def begin(
        _connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        if tracing.traceparent() is None:
            return
        span = contextlib.ExitStack()
        span.enter_context(tracing.span(summary(statement), kind=SpanKind.CALL, attributes=SYSTEM))
        setattr(context, _SPAN, span.close)

    def end(context: Any) -> None:
        close: Callable[[], None] | None = getattr(context, _SPAN, None)
        if close is not None:
            setattr(context, _SPAN, None)
            close()

    def after(
        _connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        end(context)

    def failed(context: Any) -> None:
        end(context.execution_context)

    for name, listener in (
        ("before_cursor_execute", begin),
        ("after_cursor_execute", after),
        ("handle_error", failed),
    ):
        event.listen(engine.sync_engine, name, listener)


def summary(statement: str) -> str:
    """The operation: these words are ours, of constants in this package."""
    return " ".join(statement.split()[:3])[:60]
