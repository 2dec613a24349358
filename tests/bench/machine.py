"""What the benchmark asks of the machine: cores, clocks, memory, a C compiler. Linux only."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mintari.embedded.children import guarded
from tests.programs import ROOT, Program
from tests.servers import until

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

BUILD = ROOT / "build" / "bench"
"""What the benchmark installs and compiles; git ignores it."""
HERE = Path(__file__).parent
START_S = 60.0
FILES = 12_000
"""Of one process: 10,000 sockets, and what else it has open."""


class NotHere(Exception):
    """A part of the benchmark cannot run on this machine; the text says why."""


def cores() -> tuple[int, int]:
    """The core of the server under test, and the core of everything else. Raises NotHere."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2 and not _pinned:
        raise NotHere("two cores are needed: one for the server, one for its load")
    return _pinned or (usable[0], usable[1])


_pinned: tuple[int, int] | None = None


def pin_harness() -> None:
    """Leave the first core to servers, and let everybody have many sockets.

    What is started from now on inherits both. Raises NotHere.
    """
    global _pinned  # noqa: PLW0603  # one harness per process, and affinity is the process's
    _pinned = cores()
    os.sched_setaffinity(0, {_pinned[1]})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < FILES:
        raise NotHere(f"{FILES} open files are needed (ulimit -n): {most} are allowed")


def any_core() -> str:
    """Both cores, for what has none of its own."""
    return ",".join(map(str, cores()))


def cpu_s(pid: int) -> float:
    """CPU time of a process since its start, user and system, seconds.

    What /proc/PID/stat says in hundredths of a second, in nanoseconds (clock_getcpuclockid(3)).
    """
    return time.clock_gettime((~pid << 3) | 2)


def memory_kb(pid: int) -> int:
    """Proportional set size of a process, KB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise NotHere("the kernel does not tell the proportional set size")


def compiled(source: str) -> Path:
    """The program made from a C file of this folder. Raises NotHere without gcc."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NotHere("the load client is written in C: install gcc")
    path = HERE / source
    program = BUILD / path.stem
    if not program.exists() or program.stat().st_mtime < path.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        command = [compiler, "-O2", "-Wall", "-o", str(program), str(path)]
        subprocess.run(command, check=True)
    return program


@contextlib.contextmanager
def pinned(
    command: Sequence[str], environment: Mapping[str, str], *, core: int | str | None = None
) -> Generator[Program]:
    """Run a program on the servers' core, or on this one, until the end of the block."""
    on = str(cores()[0] if core is None else core)
    guard = guarded(["/usr/bin/env", "taskset", "-c", on, *command], death_signal=signal.SIGKILL)
    program = Program(guard, environment)
    try:
        yield program
    except BaseException as error:
        error.add_note(f"{command[0]} wrote:\n{program.output[-2000:]}")
        raise
    finally:
        program.close()


@contextlib.contextmanager
def served(
    command: Sequence[str],
    environment: Mapping[str, str],
    port: int,
    *,
    core: int | str | None = None,
) -> Generator[Program]:
    """The same for a server; it listens when the block begins."""
    with pinned(command, environment, core=core) as program:
        until(lambda: _listens(port, program), within_s=START_S)
        yield program


def python(*arguments: str) -> list[str]:
    """The command line of a Python program of this checkout."""
    return [sys.executable, *arguments]


def _listens(port: int, program: Program) -> bool:
    assert program.process.poll() is None, program.output
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
