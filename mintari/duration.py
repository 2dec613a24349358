"""Durations on the command line: 90s, 15m, 12h, 7d."""

from __future__ import annotations

import re

import click

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType[int]):
    """A whole number and a unit (s, m, h, d); becomes seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse the text. Fails with an example."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r} is not a duration like 90s, 15m, 12h or 7d", param, ctx)
        return int(match[1]) * _UNITS_S[match[2]]
