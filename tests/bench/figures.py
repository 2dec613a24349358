"""What was measured, and what follows from it: medians, ranges, ratios within one round."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One contender's figures in one round of one part.

    `case` says what was asked of it, as "one 1000"; rounds are interleaved: within a round the
    contenders came one after the other, so ratios are made of samples of the same round.
    """

    part: str
    case: str
    who: str
    round: int
    figures: dict[str, float]


class Spread(msgspec.Struct, frozen=True):
    """A median with its range."""

    median: float
    least: float
    most: float
    count: int

    def show(self, form: Callable[[float], str]) -> str:
        """As "5.2 (4.9-5.6)"; without the range if there is only one."""
        if self.count == 1:
            return form(self.median)
        return f"{form(self.median)} ({form(self.least)}-{form(self.most)})"


def spread(values: Iterable[float]) -> Spread | None:
    """The median and range of these values; None without any."""
    known = list(values)
    if not known:
        return None
    return Spread(statistics.median(known), min(known), max(known), len(known))


class Samples:
    """All samples of a run."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def of(self, part: str) -> Samples:
        """Those of one part."""
        return Samples([sample for sample in self._samples if sample.part == part])

    def __bool__(self) -> bool:
        return bool(self._samples)

    @property
    def cases(self) -> list[str]:
        """Cases in the order in which they were measured."""
        return list(dict.fromkeys(sample.case for sample in self._samples))

    @property
    def contenders(self) -> list[str]:
        """Contenders in the order in which they were measured."""
        return list(dict.fromkeys(sample.who for sample in self._samples))

    def figure(self, case: str, who: str, name: str) -> Spread | None:
        """One figure of one contender in one case."""
        return spread(self._by_round(case, who, name).values())

    def ratio(self, case: str, name: str, above: str, below: str) -> Spread | None:
        """One contender's figure over another's, round by round."""
        top, bottom = self._by_round(case, above, name), self._by_round(case, below, name)
        return spread(top[number] / bottom[number] for number in top if bottom.get(number, 0) > 0)

    def _by_round(self, case: str, who: str, name: str) -> dict[int, float]:
        return {
            sample.round: sample.figures[name]
            for sample in self._samples
            if sample.case == case and sample.who == who and name in sample.figures
        }


def number(value: float) -> str:
    """A number with three significant digits at most, thousands with commas."""
    if value >= 100:
        digits = max(0, len(str(int(value))) - 3)
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
