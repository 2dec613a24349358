"""What a stand-in remembers: every call, how it ended, and what it would have cost."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mintari.standins.scenario import Scene

Outcome = Literal["running", "finished", "failed", "cut"]
KEPT_CALLS = 10_000
KEPT_PHOTOS = 100


@dataclass(slots=True)
class Asked:
    """What a call asked for. `details` are the wire's own fields, without pictures."""

    prompt: str
    seed: int | None
    width_px: int
    height_px: int
    photo: bytes | None = None
    details: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(slots=True)
class Call:
    """One call. Times are seconds of the epoch; `number` is painted into its picture.

    `outcome`: running; finished (the picture was sent, or is there to be fetched); failed (as the
    scenario wanted); cut (the client went away before).
    """

    number: int
    asked: Asked
    scene: Scene
    started_at_s: float = field(default_factory=time.time)
    ended_at_s: float | None = None
    outcome: Outcome = "running"
    sent_bytes: int = 0
    met: int = 0
    photo_bytes: int = 0

    def __post_init__(self) -> None:
        self.photo_bytes = len(self.asked.photo or b"")

    def meets_later_fault(self) -> bool:
        """Whether the next question about this call goes wrong, as `later` wants."""
        fault = self.scene.fault
        if fault is None or not fault.later or self.met == fault.times:
            return False
        self.met += 1
        return True

    def end(self, outcome: Outcome) -> None:
        """Note how it ended; the first word counts."""
        if self.outcome == "running":
            self.outcome, self.ended_at_s = outcome, time.time()

    def as_json(self) -> dict[str, object]:
        """As GET /stand-in/calls shows it."""
        asked = asdict(self.asked)
        del asked["photo"]
        return {
            "number": self.number,
            **asked,
            "photo_bytes": self.photo_bytes,
            "fault": self.scene.fault.name if self.scene.fault else None,
            "started_at_s": self.started_at_s,
            "ended_at_s": self.ended_at_s,
            "outcome": self.outcome,
            "sent_bytes": self.sent_bytes,
        }


class CallBook:
    """The newest calls of a stand-in. Numbers go on after a reset: a picture names one call."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._last_number = 0

    def begin(self, asked: Asked, scene: Scene) -> Call:
        """Write down a call that has just come in."""
        self._last_number += 1
        call = Call(self._last_number, asked, scene)
        self._calls.append(call)
        # Photos are large, and an old call's picture is not painted again.
        if len(self._calls) > KEPT_PHOTOS:
            self._calls[-KEPT_PHOTOS - 1].asked.photo = None
        return call

    def reset(self) -> None:
        """Forget all calls."""
        self._calls.clear()

    def as_json(self) -> dict[str, object]:
        """Counts, then the calls, the oldest first."""
        ended = Counter(call.outcome for call in self._calls)
        counts = {name: ended[name] for name in ("running", "finished", "failed", "cut")}
        return {
            "counts": {"started": len(self._calls), **counts},
            "calls": [call.as_json() for call in self._calls],
        }
