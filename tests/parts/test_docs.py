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
