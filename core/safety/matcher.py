"""Finding the entries of word lists in a text, however they are spaced or stretched."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from ahocorasick_rs import AhoCorasick

from core.safety.entries import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from core.safety.entries import Spelling

_REPEATED = re.compile(r"(.)\1+")


@dataclass(frozen=True, slots=True)
class Found:
    """Where an entry of a list occurs: its letters' places, and its first and last word."""

    list_name: str
    start: int
    end: int
    first_word: int
    last_word: int


class Reading:
    """A text as the automaton sees it: letters without gaps, each run of a letter once.

    Where words begin and how long runs are is only worked out when something was found.
    """

    def __init__(self, text: str) -> None:
        self._words = PIECE.findall(text)
        self._joined = "".join(self._words)
        self._repeated = [match.span() for match in _REPEATED.finditer(self._joined)]
        self.letters = "".join(self._once())
        self._word_starts: list[int] = []
        self._run_starts: list[int] = []

    def _once(self) -> Iterator[str]:
        """The letters, each run of one once."""
        done = 0
        for start, stop in self._repeated:
            yield self._joined[done : start + 1]
            done = stop
        yield self._joined[done:]

    def has_words_at(self, first_run: int, end_run: int) -> bool:
        """Whether a word begins in the first run, and one ends in the last or with it."""
        self._measure()
        return self._begins_word(first_run) and (
            self._begins_word(end_run) or self._begins_word(end_run - 1)
        )

    def _begins_word(self, run: int) -> bool:
        """Whether a word begins in a run; the text's end counts as a beginning, too."""
        place = bisect_left(self._word_starts, self._run_starts[run])
        return run + 1 == len(self._run_starts) or (
            self._word_starts[place] < self._run_starts[run + 1]
        )

    def _measure(self) -> None:
        if not self._run_starts:
            self._word_starts = list(accumulate(map(len, self._words), initial=0))
            self._run_starts = list(range(len(self._joined) + 1))
            for start, stop in reversed(self._repeated):
                del self._run_starts[start + 1 : stop]

    def confirm(self, spelling: Spelling, first_run: int, *, exactly: bool) -> Found | None:
        """Whether a spelling that fits the letters also fits the words and the runs.

        `exactly`: neither stretched nor spaced in another way.
        """
        self._measure()
        runs, last_run = self._run_starts, first_run + len(spelling.runs) - 1
        for number, least in enumerate(spelling.runs[1:-1], first_run + 1):
            if runs[number + 1] - runs[number] < least:
                return None
        start = self._start(spelling, first_run)
        end = self._end(spelling, last_run)
        if start is None or end is None or end - start < sum(spelling.runs):
            return None
        gaps = self._gaps(start, end, first_run)
        stretched = end - start > sum(spelling.runs)
        if exactly:
            fits = gaps == spelling.gaps and not stretched
        else:
            own = not gaps or gaps == spelling.gaps
            fits = own or _is_spread(gaps, spelling, stretched=stretched)
        if not fits:
            return None
        words = self._word_starts
        return Found(
            spelling.list_name,
            start,
            end,
            bisect_right(words, start) - 1,
            bisect_left(words, end) - 1,
        )

    def _start(self, spelling: Spelling, run: int) -> int | None:
        """The first place where a word begins and enough of the run is left."""
        latest = self._run_starts[run + 1] - spelling.runs[0]
        if latest < self._run_starts[run]:
            return None
        if spelling.open_start:
            return latest
        place = self._word_starts[bisect_left(self._word_starts, self._run_starts[run])]
        return place if place <= latest else None

    def _end(self, spelling: Spelling, run: int) -> int | None:
        """The last place where a word ends and enough of the run is in it."""
        earliest = self._run_starts[run] + spelling.runs[-1]
        if earliest > self._run_starts[run + 1]:
            return None
        if spelling.open_end:
            return earliest
        place = self._word_starts[bisect_right(self._word_starts, self._run_starts[run + 1]) - 1]
        return place if place >= earliest else None

    def _gaps(self, start: int, end: int, first_run: int) -> frozenset[int]:
        """Where words end between two places, as a Spelling has it."""
        words, runs = self._word_starts, self._run_starts
        inside = words[bisect_right(words, start) : bisect_left(words, end)]
        gaps: list[int] = []
        for place in inside:
            run = bisect_right(runs, place) - 1
            gaps.append(2 * (run - first_run) + (runs[run] < place))
        return frozenset(gaps)


def _is_spread(gaps: frozenset[int], spelling: Spelling, *, stretched: bool) -> bool:
    """Whether gaps that an entry does not have were put into it to hide it."""
    if len(gaps) >= len(spelling.runs) - 1:
        return True  # every letter by itself
    # "shoot a photo" is not "shota".
    return not (stretched or spelling.open_start or spelling.open_end)


class Matcher:
    """All lists in one automaton: one pass over a text, however many entries there are."""

    def __init__(self, spellings: Iterable[Spelling], allowed: Iterable[Spelling]) -> None:
        self._spellings: defaultdict[str, list[tuple[Spelling, bool]]] = defaultdict(list)
        for spelling in dict.fromkeys(spellings):
            self._spellings[spelling.letters].append((spelling, False))
        for spelling in dict.fromkeys(allowed):
            self._spellings[spelling.letters].append((spelling, True))
        self._patterns = list(self._spellings)
        self._open = frozenset(
            number
            for number, letters in enumerate(self._patterns)
            if any(one.open_start or one.open_end for one, _ in self._spellings[letters])
        )
        self._automaton = AhoCorasick(self._patterns)

    def find(self, text: str) -> list[Found]:
        """What occurs in a folded text and does not overlap with anything that is allowed."""
        reading = Reading(text)
        found: list[Found] = []
        allowed: list[Found] = []
        for pattern, start, end in self._automaton.find_matches_as_indexes(
            reading.letters, overlapping=True
        ):
            # Nearly all that the automaton finds is inside of words: most are out here already.
            if pattern not in self._open and not reading.has_words_at(start, end):
                continue
            for spelling, allows in self._spellings[self._patterns[pattern]]:
                hit = reading.confirm(spelling, start, exactly=allows)
                if hit is not None:
                    (allowed if allows else found).append(hit)
        return [hit for hit in found if not any(_overlap(hit, one) for one in allowed)]


def _overlap(one: Found, other: Found) -> bool:
    return one.start < other.end and other.start < one.end
