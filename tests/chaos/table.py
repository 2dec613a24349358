"""The table at the end: one line a scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.judge import Findings

_COLUMNS = ("scenario", "jobs", "lost", "wrong", "extra calls", "paid twice", "drain time")


@dataclass(frozen=True)
class Row:
    """One scenario's line. `wrong` holds states, pictures and what followers saw together."""

    scenario: str
    findings: Findings

    @property
    def cells(self) -> tuple[str, ...]:
        """As text, in the order of the columns."""
        found = self.findings
        wrong = found.wrong + found.pictures + found.followers + found.duplicates
        counts = (found.jobs, found.lost, wrong, found.extra_calls, found.paid_twice)
        return (self.scenario, *map(str, counts), f"{found.drain_s:.1f} s")


def markdown(rows: list[Row]) -> list[str]:
    """The table as Markdown that can be read as it is."""
    lines = [_COLUMNS, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]

    def aligned(cells: tuple[str, ...]) -> str:
        first, *numbers = zip(cells, widths, strict=True)
        words = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in numbers)]
        return f"| {' | '.join(words)} |"

    rules = [":" + "-" * (widths[0] + 1), *("-" * (width + 1) + ":" for width in widths[1:])]
    return [aligned(_COLUMNS), f"|{'|'.join(rules)}|", *(aligned(row.cells) for row in rows)]
