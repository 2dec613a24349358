"""What a stand-in does with a call: keywords in the prompt, or a script sent to it.

A prompt such as "a fox [slow 2] [500 once]" is answered after two seconds, with a failure the
first time that this prompt and seed are seen. The keywords are the same for every stand-in:

    [slow N]              answer N seconds later
    [hang]                never answer
    [reset]               cut the connection before the answer (a TCP reset)
    [truncated]           cut it in the middle of the answer
    [garbage]             200, JSON by its header, but no JSON
    [html]                200, a page of a proxy
    [empty]               200, nothing
    [huge]                200, an answer of 200 MB
    [bad-base64]          a picture whose encoding is broken
    [not-an-image]        well encoded bytes that are no picture
    [wrong-size]          a picture of another size than the one asked for
    [no-image]            a good answer without a picture
    [blocked-prompt]      the prompt was refused
    [blocked-output]      the finished picture was held back
    [quota-day]           the quota of the day is used up
    [429], [429 retry N]  too many requests, try again in N seconds
    [401], [404], [500], [503] and any other status

Each may end in `once` or `N times`: then only the first calls of that prompt and seed meet it.
A word `later` before that means the questions about a call that was taken, where there are such.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = frozenset(
    {
        "hang",
        "reset",
        "truncated",
        "garbage",
        "html",
        "empty",
        "huge",
        "bad-base64",
        "not-an-image",
        "wrong-size",
        "no-image",
        "blocked-prompt",
        "blocked-output",
        "quota-day",
    }
)
STATUSES = range(300, 600)
_BRACKETS = re.compile(r"\[([^\[\]]{2,60})\]")
_KEYWORD = re.compile(
    r"(?P<name>[a-z][a-z0-9-]*|\d{3})"
    r"(?:\s+(?:retry\s+)?(?P<argument>\d+(?:\.\d+)?))??"
    r"(?:\s+(?P<later>later))?"
    r"(?:\s+(?:(?P<once>once)|(?P<times>\d+)\s+times))?"
)


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword: its name or status, its number (seconds), for how many calls it holds."""

    name: str
    argument: float | None = None
    times: int | None = None
    later: bool = False

    @property
    def status(self) -> int | None:
        """The HTTP status that it asks for, if it is one."""
        return int(self.name) if self.name.isdigit() else None


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens to one call: a delay in seconds, then a failure or none."""

    delay_s: float = 0.0
    fault: Keyword | None = None

    def has(self, *names: str) -> bool:
        """Whether the failure is one of these."""
        return self.fault is not None and self.fault.name in names


class ScriptError(ValueError):
    """A script that nobody understands; says which part."""


@dataclass(slots=True)
class Script:
    """Decides each call's scene. `steps` go to the next calls in turn, before their keywords."""

    latency_s: float = 0.0
    steps: deque[str] = field(default_factory=deque[str])
    _seen: Counter[tuple[str, int | None, Keyword]] = field(
        default_factory=Counter[tuple[str, int | None, Keyword]]
    )

    def change(self, latency_s: float | None, steps: Iterable[str] | None) -> None:
        """Set what is given. Raises ScriptError."""
        if steps is not None:
            wanted = list(steps)
            for step in wanted:
                if step != "ok" and _parse(step) is None:
                    raise ScriptError(f"not a keyword: {step!r}")
            self.steps = deque(wanted)
        if latency_s is not None:
            self.latency_s = latency_s

    def next_scene(self, prompt: str, seed: int | None) -> Scene:
        """What happens to a call that has just come in."""
        if self.steps:
            step = self.steps.popleft()
            return self._scene([keyword] if (keyword := _parse(step)) else [])
        return self._scene(
            [word for word in keywords(prompt) if self._still_holds(prompt, seed, word)]
        )

    def _scene(self, words: list[Keyword]) -> Scene:
        slow_s = sum(word.argument or 0.0 for word in words if word.name == "slow")
        faults = [word for word in words if word.name != "slow"]
        return Scene(self.latency_s + slow_s, faults[0] if faults else None)

    def _still_holds(self, prompt: str, seed: int | None, word: Keyword) -> bool:
        if word.times is None:
            return True
        self._seen[prompt, seed, word] += 1
        return self._seen[prompt, seed, word] <= word.times


def keywords(prompt: str) -> list[Keyword]:
    """The keywords of a prompt, in its order; other brackets are the user's own text."""
    found = (_parse(text) for text in _BRACKETS.findall(prompt))
    return [keyword for keyword in found if keyword]


def _parse(text: str) -> Keyword | None:
    match = _KEYWORD.fullmatch(text.strip().lower())
    if match is None:
        return None
    name = match["name"]
    is_status = name.isdigit() and int(name) in STATUSES
    if not is_status and name not in NAMES and name != "slow":
        return None
    times = 1 if match["once"] else int(match["times"]) if match["times"] else None
    argument = float(match["argument"]) if match["argument"] else None
    return Keyword(name, argument, times, later=bool(match["later"]))
