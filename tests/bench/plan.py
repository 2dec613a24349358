"""What the command line asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        quick: a minute or two for a part, to see a change; figures for the docs need more.
        rounds: how often everything is measured, contenders in turn.
        only: contenders, or kinds of attack; empty: all that the part has.
        sockets: of fan-out; empty: as the part wants.
    """

    quick: bool = False
    rounds: int = 3
    only: Sequence[str] = field(default=())
    sockets: Sequence[int] = field(default=())
