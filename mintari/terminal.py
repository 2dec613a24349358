"""Writes to the terminal, line by line; a terminal that has gone away stops nothing."""

from __future__ import annotations

import os
import sys

import click

_WIDTH = 8
_COLORS = {"postgres": "blue", "valkey": "red", "api": "green", "worker": "magenta"}


def say(part: str, text: str) -> None:
    """Show one line of a part, with the part's name in front."""
    name = part.ljust(_WIDTH)
    _write(f"{click.style(name, fg=_COLORS[part]) if part in _COLORS else name} | {text}")


def show(text: str) -> None:
    """Show text as it is."""
    _write(text)


def _write(text: str) -> None:
    try:
        click.echo(text)
    except OSError:
        # A closed pipe, a terminal that hung up: the parts must still be stopped in order, and
        # Python must not fail on what is left in its buffer when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
