"""Child processes that never outlive us, whatever ends us.

On Linux the kernel sends a child its `death_signal` when the thread that started it ends: start
children from the main thread. Elsewhere (macOS) children that outlive a killed parent are stopped
by the next start, see `leftovers`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

    from mintari.embedded.identity import RunAs

_EXEC = Path(__file__).with_name("_exec.py")


def guarded(
    command: Sequence[str], *, death_signal: signal.Signals, run_as: RunAs | None = None
) -> list[str]:
    """The command line that runs `command` (an absolute path first) tied to this process.

    Start it with `start_new_session=True`, so that a Ctrl-C in the terminal reaches only us and
    the order in which parts stop is ours.
    """
    uid, gid = (-1, -1) if run_as is None else (run_as.uid, run_as.gid)
    numbers = (int(death_signal), os.getpid(), uid, gid)
    return [sys.executable, "-I", "-S", str(_EXEC), *map(str, numbers), *command]
