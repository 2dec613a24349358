"""Texts without their disguises: look-alikes, marks, invisible characters, leetspeak.

What comes out is for matching only: a few Latin letters, digits, and anything else as a gap.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOKALIKES = Path(__file__).parent.parent / "data" / "safety" / "lookalikes.tsv"

# Letters by category that show nothing: Hangul fillers.
_INVISIBLE = "\u115f\u1160\u3164\uffa0"
_IGNORED_CATEGORIES = frozenset({"Mn", "Me", "Cf"})

# An apostrophe belongs to its word: "Emma's ex" is not "s ex". Before "re" it parts two.
_APOSTROPHE = re.compile(r"(?<=[a-z])['\u2019\u02bc](?=[a-z])(?!re\b)")
_ANY_APOSTROPHE = re.compile(r"['\u2019\u02bc]")

# Digits and signs that stand for letters. Those that stand for two: 1, ! and | as i, or as l.
_LEET = str.maketrans("023456789@$€£¥¢§©®+(<", "ozeasgtbgaselycscrtcc")
_AMBIGUOUS = tuple(str.maketrans("1!|", letters) for letters in ("iii", "lll", "lil", "ill"))
_GROUPS = (
    ("()", "o"),
    ("><", "x"),
    ("|3", "b"),
    ("/\\", "a"),
    ("\\/", "v"),
    ("vv", "w"),
)
_TWO_FOLD = re.compile(r"[1!|]")
_SIGNS = r"[0-9@$€£¥¢§©®+(<!|]"
_SIGN = re.compile(_SIGNS + r"|vv|><|\\/")
# From where a sign and a letter meet to the end of the word.
_SIGNED = re.compile(rf"(?:(?<![a-z])[a-z]++{_SIGNS}|(?<!{_SIGNS}){_SIGNS}++[a-z])\S*")
# At the end of a word these are punctuation.
_PUNCTUATION = re.compile(r"[!|+(<]+(?![a-z0-9@$])")
# "p 0 r n": digits between single letters are letters, too; "5 ex-soldiers" are five.
_SPACED = re.compile(r"(?<!\S)[^\s._-](?:[\s._-]+[^\s._-]){2,}(?!\S)")
_LETTER = re.compile(r"[a-z]")
# "f*ck", "s#x": signs that stand for any letter; alone or outside of words they are punctuation.
# To see that there is none of them at all takes a tenth of the time.
_ANY_CENSORING = re.compile(r"[*#%\u2022_-]")
_CENSORED = re.compile(r"(?<=[a-z])[*#%\u2022_-]+(?=[a-z])|(?<=[a-z])\*+|\*+(?=[a-z])")


@cache
def _disguises() -> dict[int, str | None]:
    """Every character that is read as others, or not at all."""
    table: dict[int, str | None] = {
        code: None
        for code in range(0x80, sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in _IGNORED_CATEGORIES
    }
    table.update((ord(char), None) for char in _INVISIBLE)
    for line in LOOKALIKES.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            letters, _, lookalikes = line.partition("\t")
            table.update((ord(char), letters) for char in lookalikes)
    return table


def fold_letters(text: str) -> str:
    """Lower-case, with Latin letters for what looks like them; marks and invisible ones dropped."""
    if not text.isascii():
        # The look-alike of a capital may not be its small letter's: before the case is folded.
        text = unicodedata.normalize("NFKD", text).translate(_disguises())
    folded = text.casefold()
    return _APOSTROPHE.sub("", folded) if _ANY_APOSTROPHE.search(folded) else folded


def read(text: str) -> list[str]:
    """The ways in which a text can be read: as it stands, and with signs as letters.

    A star in a reading is a letter that was hidden.
    """
    plain = fold_letters(text)
    readings = [plain.replace("*", " ")]
    if _ANY_CENSORING.search(plain):
        censored = _CENSORED.sub(lambda signs: "*" * len(signs[0]), plain)
        if "*" in censored:
            readings.append(censored)
    if _SIGN.search(plain):
        readings += _read_signs(readings[0])
    return list(dict.fromkeys(readings))


def _read_signs(text: str) -> Iterator[str]:
    for group, letters in _GROUPS:
        text = text.replace(group, letters)
    text = _PUNCTUATION.sub(" ", text)
    spans = _disguised(text)
    if not spans:
        # Numbers by themselves: every table would read the same.
        yield text
        return
    for table in _AMBIGUOUS if _TWO_FOLD.search(text) else _AMBIGUOUS[:1]:
        # All at once, and only what is disguised taken from it: a tenth of the time that words
        # take one by one. Every sign stands for one letter, so places stay.
        spelled = text.translate(_LEET | table)
        yield "".join(_woven(text, spelled, spans))


def _disguised(text: str) -> list[tuple[int, int]]:
    """Where signs are letters. No place is in both: letters by themselves have no sign beside."""
    spaced = [match.span() for match in _SPACED.finditer(text) if _LETTER.search(match[0])]
    signed = [match.span() for match in _SIGNED.finditer(text)]
    return sorted(spaced + signed)


def _woven(text: str, spelled: str, spans: list[tuple[int, int]]) -> Iterator[str]:
    """The text, with these places as they are in the other one."""
    done = 0
    for start, end in spans:
        yield text[done:start]
        yield spelled[start:end]
        done = end
    yield text[done:]
