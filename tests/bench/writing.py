"""Writes results into docs/performance.md, between its markers, and the plot beside it."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.machine import HERE
from tests.bench.packages import bench_python
from tests.bench.parts import PARTS
from tests.programs import ROOT

if TYPE_CHECKING:
    from tests.bench.figures import Samples

PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "pictures" / "performance.svg"
BEGIN, END = "<!-- make bench writes from here -->", "<!-- to here -->"


def markdown(samples: Samples) -> str:
    """All parts that were measured."""
    sections = [
        f"## {part.title}\n\n{part.show(found)}"
        for name, part in PARTS.items()
        if (found := samples.of(name))
    ]
    return "\n\n".join(sections)


def between_markers(page: str, text: str) -> str:
    """The page with `text` between its markers. Raises ValueError when it has none."""
    start, end = page.index(BEGIN) + len(BEGIN), page.index(END)
    return f"{page[:start]}\n\n{text}\n\n{page[end:]}"


def write(samples: Samples, results: Path) -> None:
    """Write the page and draw the plot. Raises NotHere without the plot's packages."""
    machine = f"{os.cpu_count()} cores of {_processor()}, Linux {platform.release().split('-')[0]}"
    when = f"{datetime.now(UTC):%d %B %Y}".lstrip("0")
    text = f"Measured on {when}: {machine}, Python {platform.python_version()}."
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(between_markers(page, f"{text}\n\n{markdown(samples)}"), encoding="utf-8")
    subprocess.run([bench_python(), str(HERE / "plot.py"), str(results), str(PLOT)], check=True)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
