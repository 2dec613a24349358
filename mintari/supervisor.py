"""Runs all parts: starts them in stages, keeps them running, stops them in the reverse order."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from mintari.keeper import Keeper
from mintari.parts import Restarts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mintari.parts import Part, Say


@dataclass(slots=True)
class StopRequests:
    """Ctrl-C and the like: the first one ends the task, any later one hurries the stop."""

    task: asyncio.Task[None]
    say: Say
    asked: bool = False
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def receive(self) -> None:
        """Take note of one signal."""
        if self.asked:
            self.hurry.set()
        else:
            self.asked = True
            self.say("mintari", "stopping: every part finishes what it does; again to hurry")
            self.task.cancel()


async def supervise(
    stages: Sequence[Sequence[Part]],
    say: Say,
    *,
    announce: Callable[[], None],
    restarts: Restarts | None = None,
) -> None:
    """Run all parts until SIGINT, SIGTERM or SIGHUP, then stop them in the reverse order.

    The parts of a stage start together, a stage when the one before is ready; `announce` is called
    when all are. Call it from the main thread. Raises PartFailed or EmbeddedError when a part
    cannot be started, or not be kept running; everything is stopped then, too.
    """
    keepers = [[Keeper(part, say, restarts or Restarts()) for part in stage] for stage in stages]
    task = asyncio.current_task()
    assert task is not None
    requests = StopRequests(task, say)
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, requests.receive)
    try:
        await _run(keepers, announce)
    except asyncio.CancelledError:
        if not requests.asked:
            raise
        task.uncancel()
    finally:
        requests.asked = True  # from here on a signal only hurries
        await _stop_all([keeper for stage in keepers for keeper in stage], say, requests.hurry)
        for number in numbers:
            loop.remove_signal_handler(number)


async def _run(stages: Sequence[Sequence[Keeper]], announce: Callable[[], None]) -> None:
    try:
        async with asyncio.TaskGroup() as kept:
            for stage in stages:
                async with asyncio.TaskGroup() as starting:
                    for keeper in stage:
                        starting.create_task(keeper.start())
                for keeper in stage:
                    kept.create_task(keeper.keep())
            announce()
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    """The first error inside nested groups: one line is said, and that one came first."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return _first(group.exceptions[0])
    return error


async def _stop_all(keepers: Sequence[Keeper], say: Say, hurry: asyncio.Event) -> None:
    for keeper in reversed(keepers):
        await keeper.stop(hurry)
    say("mintari", "stopped")
