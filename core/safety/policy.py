"""The rules for prompts: word lists by category and rules that join them, as versioned data."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from core.safety.entries import EntryError, read_entries, spell
from core.safety.folding import read
from core.safety.matcher import Matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.safety.entries import Spelling
    from core.safety.matcher import Found

BUILT_IN = Path(__file__).parent.parent / "data" / "safety"
ALLOW = "allow"
_REPLACE = "!replace"


class PolicyError(ValueError):
    """The policy's data is missing or wrong; the message names the file."""


class _List(msgspec.Struct, forbid_unknown_fields=True):
    """A list's table in the file."""

    category: str | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"lists": "all"}):
    """Refuses a prompt with something of every list, close together.

    `within_words`: from the first to the last; 0: anywhere in the prompt.
    """

    category: str
    lists: tuple[str, ...]
    within_words: int = 0

    def applies(self, found: Mapping[str, Sequence[Found]]) -> bool:
        """Whether something of every list occurs, close together."""
        hits = [found.get(name, ()) for name in self.lists]
        if not self.within_words:
            return all(hits)
        return any(self._close(chosen) for chosen in product(*(hit[:8] for hit in hits)))

    def _close(self, chosen: Iterable[Found]) -> bool:
        chosen = tuple(chosen)
        first = min(hit.first_word for hit in chosen)
        return max(hit.last_word for hit in chosen) - first < self.within_words


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """policy.toml."""

    version: str
    categories: dict[str, str]
    lists: dict[str, _List]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a prompt is refused: a category, and a text for people. The words are never told."""

    category: str
    message: str


class Policy:
    """Judges prompts. Immutable."""

    def __init__(self, version: str, data: _File, matcher: Matcher) -> None:
        self.version = version
        self._messages = data.categories
        self._by_list = {name: entry.category for name, entry in data.lists.items()}
        self._rules = data.rules
        self._matcher = matcher

    def judge(self, *texts: str) -> Verdict | None:
        """The gravest reason to refuse any of the texts; None when all may pass."""
        categories = {
            category
            for text in dict.fromkeys(filter(None, texts))
            for reading in read(text)
            for category in self._categories(self._matcher.find(reading))
        }
        for category, message in self._messages.items():
            if category in categories:
                return Verdict(category, message)
        return None

    def _categories(self, found: Sequence[Found]) -> set[str]:
        if not found:
            return set()
        by_list: dict[str, list[Found]] = {}
        for hit in found:
            by_list.setdefault(hit.list_name, []).append(hit)
        direct = {category for name in by_list if (category := self._by_list[name])}
        return direct | {rule.category for rule in self._rules if rule.applies(by_list)}


def load_policy(own: Path | None = None) -> Policy:
    """The built-in policy, with an operator's folder laid over it.

    `own/policy.toml` takes the place of the built-in one; `own/lists/NAME.txt` adds to the list of
    that name, or replaces it if its first line is `!replace`. Raises PolicyError.
    """
    if own is None:
        return _built_in()
    if not own.is_dir():
        raise PolicyError(f"{own}: there is no such folder")
    return _load([BUILT_IN, own])


@cache
def _built_in() -> Policy:
    """Once per process: it is immutable, and takes some 50 ms."""
    return _load([BUILT_IN])


def _load(folders: Sequence[Path]) -> Policy:
    data = _read_policy(next(f for f in reversed(folders) if (f / "policy.toml").is_file()))
    spellings: list[Spelling] = []
    for name in data.lists:
        spellings += _spellings(name, folders)
    allowed = _spellings(ALLOW, folders)
    return Policy(_version(data, folders[1:]), data, Matcher(spellings, allowed))


def _read_policy(folder: Path) -> _File:
    path = folder / "policy.toml"
    try:
        data = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PolicyError(f"{path}: {error}") from error
    named = [entry.category for entry in data.lists.values() if entry.category]
    for category in [*named, *(rule.category for rule in data.rules)]:
        if category not in data.categories:
            raise PolicyError(f"{path}: there is no category {category!r}")
    for rule in data.rules:
        for name in rule.lists:
            if name not in data.lists:
                raise PolicyError(f"{path}: there is no list {name!r}")
    return data


def _spellings(name: str, folders: Sequence[Path]) -> list[Spelling]:
    spellings: list[Spelling] = []
    for path in (folder / "lists" / f"{name}.txt" for folder in folders):
        if not path.is_file():
            continue
        entries = _read_list(path)
        if entries[:1] == [_REPLACE]:
            spellings, entries = [], entries[1:]
        try:
            spellings += [one for entry in entries for one in spell(name, entry)]
        except EntryError as error:
            raise PolicyError(f"{path}: {error}") from error
    return spellings


def _read_list(path: Path) -> list[str]:
    try:
        return read_entries(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: {error}") from error


def _version(data: _File, own: Sequence[Path]) -> str:
    """The file's version; with a digest of what an operator has added."""
    if not own:
        return data.version
    digest = hashlib.sha256()
    for folder in own:
        for path in sorted((*folder.glob("policy.toml"), *folder.glob("lists/*.txt"))):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{data.version}+{digest.hexdigest()[:8]}"
