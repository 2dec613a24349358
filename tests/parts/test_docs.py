"""The documentation: the site builds without a warning, and no link leads nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.programs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def test_the_site_builds(tmp_path: Path) -> None:
    """4 s. Sphinx resolves every link between pages, to headings and to files."""
    build = ("-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-b", "dummy")
    done = subprocess.run(
        [sys.executable, *build, "docs", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "**operator** `Operator`" in (ROOT / "docs/reference/schema.md").read_text()
    assert "- **`REDIS_URL`**" in (ROOT / "docs/reference/settings.md").read_text()


def test_links_and_pictures_are_there() -> None:
    """Also of the pages that are not part of the site."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    missing = [
        f"{page.name}: {target}"
        for page in pages
        for target in _LINK.findall(page.read_text())
        if "://" not in target
        if not (page.parent / target).exists()
    ]
    assert missing == []
    assert len(pages) > 15


MEASURED = {
    "memory each": r"idle grids of three frames, a socket each: KB a subscription",
    "share of a core": r"idle grids of three frames, a socket each: of a core while nothing",
    "coming back": r"idle grids of three frames, a socket each: CPU ms to connect",
    "its own grid": r"### 5000 subscribers, each watches its own job.*?mintari",
    "the same job": r"### 5000 subscribers, all watch one job.*?mintari",
    "`job` queries": r"\n\| job \| mintari",
    "`startGeneration`": r"\n\| startGeneration \| mintari",
    "that a worker stores": r"whole jobs per worker CPU-second, a picture of 1024 x 1024 each",
}
"""Rows of the table of sizes, and where what was measured stands in the page about speed."""


def test_sizes_are_those_that_were_measured() -> None:
    """Who sizes by them must not be promised more than was measured; 15 % are rounding."""
    speed = (ROOT / "docs" / "performance.md").read_text()
    sizing = (ROOT / "docs" / "production.md").read_text().partition("## Sizing")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([\d,.]+) \| [^|]+ \|$", sizing, re.MULTILINE)
    told = {what: float(figure.replace(",", "")) for what, figure in rows}
    assert len(told) == len(MEASURED)
    for words, place in MEASURED.items():
        (figure,) = (told[what] for what in told if words in what)
        found = re.search(place + r"[^|\n]*(?: \| mintari)? \| ([\d,.]+)", speed, re.DOTALL)
        assert found, place
        measured = float(found[1].replace(",", ""))
        if words == "coming back":
            measured = 1000 / measured
        is_a_cost = words in ("memory each", "share of a core")
        assert figure >= measured * 0.85 if is_a_cost else figure <= measured * 1.15, words
