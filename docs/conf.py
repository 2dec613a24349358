"""How the documentation site is built: `make docs`, into build/docs."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

project = "Mintari"
extensions = ["myst_parser", "generated"]
exclude_patterns = ["pictures/README.md"]
html_theme = "furo"
html_title = "Mintari"
html_favicon = "../web/public/icon.svg"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# Headings can be linked to, as on the pages where the files are read without this site.
myst_heading_anchors = 4
nitpicky = True
# `make bench` draws one; the tests look for the others.
suppress_warnings = ["image.not_readable"]
