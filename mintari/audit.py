"""`mintari audit`: the record of what was asked for and decided, as lines for other programs."""

from __future__ import annotations

import csv
import io
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

import msgspec

from db.audit import AuditRecord, export_audit
from db.engine import migration_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

Format = Literal["jsonl", "csv"]
_FIRST = ("id", "recorded_at")
COLUMNS = (*_FIRST, *(name for name in AuditRecord.__struct_fields__ if name not in _FIRST))


async def write_audit(
    database_url: str, since: datetime, form: Format, write: Callable[[str], None]
) -> None:
    """Write a line for each entry that was recorded at `since` or later, oldest first."""
    if form == "csv":
        write(_csv(COLUMNS))
    engine = migration_engine(database_url)
    try:
        async with (
            engine.connect() as connection,
            aclosing(export_audit(connection, since)) as entries,
        ):
            async for entry in entries:
                write(_line(entry, form))
    finally:
        await engine.dispose()


def _line(entry: AuditRecord, form: Format) -> str:
    values = msgspec.to_builtins(entry)
    if form == "jsonl":
        return msgspec.json.encode({name: values[name] for name in COLUMNS}).decode()
    return _csv(_cell(values[name]) for name in COLUMNS)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    # Spreadsheets run cells that begin like this as formulas, and users choose what is in them.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _csv(values: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()
