"""The same scenarios in two sizes: small numbers in `make test`, large ones in `make chaos`."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")
IS_LONG = os.environ.get("CHAOS", "short") == "long"


GEMINI, BANANA = "gemini", "banana"
"""A call that is lost with its connection, and one that can be asked for later."""


def by_form(*, short: T, long: T) -> T:
    """The value for the form that runs."""
    return long if IS_LONG else short


BOTH = (GEMINI, BANANA)
BOTH_IN_LONG_FORM = by_form(short=(GEMINI,), long=BOTH)
