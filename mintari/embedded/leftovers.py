"""Servers that a killed run left behind: found by the folder that they work in, and stopped."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from mintari.embedded.errors import ServerFailed

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence
    from pathlib import Path

    import psutil


def stop_leftovers(
    program: str, folder: Path, signals: Sequence[signal.Signals], *, deadline_s: float = 10
) -> bool:
    """Stop every `program` whose working folder is `folder`; True when there was one.

    Each signal gets `deadline_s` seconds before the next, harder one. PostgreSQL and Valkey both
    change into their data folder, so a process id that was reused by a stranger is never hit.
    Raises ServerFailed when one survives them all.
    """
    for number in signals:
        found = _processes(program, folder)
        if not found:
            return number is not signals[0]
        _send(found, number)
        # Looks again each time: a parent ends first, its children a moment later.
        deadline = time.monotonic() + deadline_s
        while time.monotonic() < deadline and _processes(program, folder):
            time.sleep(0.02)
    if left := _processes(program, folder):
        pids = ", ".join(str(process.pid) for process in left)
        raise ServerFailed(f"An older {program} still uses {folder} (process {pids}): stop it.")
    return True


def _send(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _processes(program: str, folder: Path) -> list[psutil.Process]:
    import psutil

    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        # A process that ended meanwhile, a zombie, or one of another user that we may not look at.
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() == program and process.cwd() == str(folder.resolve()):
                found.append(process)
    return found
