"""Logging: structlog in front, one line an event, JSON in production.

What a line is about is bound to its task: `request`, `user`, `generation`, `job`, `attempt`. Never
a prompt, a document or a secret.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from core.settings import Settings

_PACKAGES = (
    *("mintari", "transport", "schema", "resolvers"),
    *("jobs", "providers", "storage", "db", "core"),
)
# Postgres tells the failing row, with a prompt in it; SQLAlchemy adds its own lines after it.
_ROW = re.compile(r"DETAIL:.*?(?=\n[\s|]*(?:\[SQL:|The above|During handling)|\Z)", re.DOTALL)
_WORD = re.compile(r"\w{4,}")
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), 127, 0x85)}


def _one_line(
    _logger: object, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escape control characters: nothing from outside may start a line of its own."""
    for key, value in event.items():
        # Nearly all are printable as they are, which is seen in a tenth of the time.
        if isinstance(value, str) and not value.isprintable() and key != "exception":
            event[key] = value.translate(_ESCAPES)
    return event


def _without_rows(
    _logger: object, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Cut out of a traceback what Postgres quotes of a row."""
    if isinstance(trace := event.get("exception"), str):
        event["exception"] = _ROW.sub("DETAIL: (left out)", trace)
    return event


def without_words_of(private: str, text: str) -> str:
    """The text without any longer word of a private one: providers quote what they were sent."""
    words = {word.lower() for word in _WORD.findall(private)}
    return _WORD.sub(lambda word: "***" if word[0].lower() in words else word[0], text)


def user_tag(user_id: str) -> str:
    """A user in logs and traces: the beginning of the id's SHA-256, so that the id is not there."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:16]


def _is_json(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return not (settings.dev_mode or sys.stderr.isatty())
    return settings.log_format == "json"


def configure_logging(settings: Settings) -> None:
    """Send structlog and the standard library's records to stderr in one format."""
    level = settings.log_level
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_rows,
        _one_line,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if _is_json(settings)
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # No line tells them, and each is looked up twice a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # At DEBUG, libraries log what is sent: tokens, documents, prompts. Only we go below INFO.
    root.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    for package in _PACKAGES:
        logging.getLogger(package).setLevel(level)
    # httpx logs every URL, arq every argument, alembic every step.
    for noisy in ("httpx", "httpcore", "arq", "alembic", "multipart"):
        logging.getLogger(noisy).setLevel(
            max(logging.WARNING, logging.getLevelNamesMapping()[level])
        )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries the bound context of its task."""
    return structlog.get_logger(name)
