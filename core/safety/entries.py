"""Entries of word lists: their notation, and the spellings that an automaton looks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from core.safety.folding import fold_letters

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = re.compile(r"[a-z0-9*]+")
"""A stretch of letters and digits; stars in it stand for hidden letters."""
RUN = re.compile(r"(.)\1*")

_BRACES = re.compile(r"\{([^{}]*)\}")
_OPTIONAL = re.compile(r"\((\w+)\)")
_VOWEL = re.compile(r"(?<=.)[aeiou]")
_LONGEST_CENSORED = 6


class EntryError(ValueError):
    """An entry of a list cannot be read; the message quotes it."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way to write an entry.

    Attributes:
        list_name: the list that it is of.
        letters: without gaps, each run of a letter once.
        runs: how long each run is at least.
        gaps: where words end inside it; 2n: before run n, 2n + 1: inside it.
        open_start: it may begin inside a word.
        open_end: it may end inside a word.
    """

    list_name: str
    letters: str
    runs: tuple[int, ...]
    gaps: frozenset[int]
    open_start: bool = False
    open_end: bool = False


def read_entries(text: str) -> list[str]:
    """The entries of a list's text: one a line; `#` starts a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def spell(list_name: str, entry: str) -> Iterator[Spelling]:
    """Every spelling of an entry. Raises EntryError."""
    for plain in _expand(entry):
        open_start, open_end = plain.startswith("*"), plain.endswith("*")
        words = PIECE.findall(fold_letters(plain.strip("*")))
        if not words:
            raise EntryError(f"there is no letter or digit in {entry!r}")
        for form in (words, *_censored(words)):
            yield _spelling(list_name, form, open_start=open_start, open_end=open_end)


def _expand(entry: str) -> list[str]:
    """`a {b,c}` as `a b` and `a c`; `word(s)` as `word` and `words`."""
    parts = _BRACES.split(_OPTIONAL.sub(r"{,\1}", entry))
    # Odd parts were inside of braces.
    choices = [part.split(",") if odd % 2 else [part] for odd, part in enumerate(parts)]
    return ["".join(chosen) for chosen in product(*choices)]


def _censored(words: list[str]) -> Iterator[list[str]]:
    """As people hide a word behind stars: one vowel, all vowels, or all but both ends."""
    if len(words) > 1:
        yield [_VOWEL.sub("*", word) for word in words]
        return
    for hidden in _hidden_letters(words[0]):
        yield ["".join("*" if at in hidden else char for at, char in enumerate(words[0]))]


def _hidden_letters(word: str) -> set[tuple[int, ...]]:
    """Places of the letters that people hide, in a word of three or more."""
    if len(word) < 3:
        return set()
    vowels = [match.start() for match in _VOWEL.finditer(word)]
    hidden = {(place,) for place in vowels} | {tuple(vowels)} - {()}
    if 4 <= len(word) <= _LONGEST_CENSORED:
        hidden.add(tuple(range(1, len(word) - 1)))
    return hidden


def _spelling(list_name: str, words: list[str], *, open_start: bool, open_end: bool) -> Spelling:
    joined = "".join(words)
    runs = [match.span() for match in RUN.finditer(joined)]
    ends = {sum(map(len, words[:count])) for count in range(1, len(words))}
    gaps = {
        2 * number + (start < end)
        for end in ends
        for number, (start, stop) in enumerate(runs)
        if start <= end < stop
    }
    return Spelling(
        list_name=list_name,
        letters="".join(joined[start] for start, _ in runs),
        runs=tuple(stop - start for start, stop in runs),
        gaps=frozenset(gaps),
        open_start=open_start,
        open_end=open_end,
    )
