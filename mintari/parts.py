"""What the supervisor starts: the description of one child process, and its one error."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from mintari.embedded.identity import RunAs


class Say(Protocol):
    """Shows one line of a part."""

    def __call__(self, part: str, text: str) -> None:
        """Show `text` under the part's name; never raises."""
        ...


class PartFailed(Exception):
    """A part did not start, or kept ending; the message is for the person at the terminal."""


async def _at_once(_pid: int) -> bool:
    return True


def _nothing() -> None:
    return None


def _its_output() -> str:
    return "see its output above"


@dataclass(frozen=True, slots=True)
class Part:
    """One child process, and what it takes to start and to stop it.

    Attributes:
        name: how it is called in every line about it.
        command: an absolute path and its arguments.
        environment: its whole environment.
        prepare: blocking work before every start; raises EmbeddedError.
        is_ready: whether the process with this id does its work yet.
        once: it is meant to end, with exit code 0, before the next ones start.
        start_deadline_s: until it is ready (or, with `once`, has ended).
        stop_deadline_s: how long it may take after `stop_signal` before `kill_signal`.
        death_signal: what it gets when this process is killed.
        run_as: another user to run as, when we are root.
        open_output: returns a file descriptor for its output; None: its lines are said.
        clue: what to say about the reason when it fails.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    prepare: Callable[[], None] = _nothing
    is_ready: Callable[[int], Awaitable[bool]] = _at_once
    once: bool = False
    start_deadline_s: float = 60
    stop_deadline_s: float = 20
    stop_signal: signal.Signals = signal.SIGTERM
    kill_signal: signal.Signals = signal.SIGKILL
    death_signal: signal.Signals = signal.SIGKILL
    run_as: RunAs | None = None
    open_output: Callable[[], int] | None = None
    clue: Callable[[], str] = _its_output


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often and how fast a part that ends is started again.

    The pauses are in seconds, the last one repeats. A part that ends `give_up_after` times in a
    row, each time within `quick_s` of its start, will not be helped by another start.
    """

    pauses_s: Sequence[float] = (0.5, 1, 2, 4, 8, 10)
    quick_s: float = 20
    give_up_after: int = 5
