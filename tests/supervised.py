"""Small real programs under the supervisor: `python -m tests.supervised STAGES`.

STAGES is a Python expression of this module's names.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from mintari import terminal
from mintari.parts import Part, PartFailed, Restarts
from mintari.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import Sequence

WITH_PID = "import os; print('pid', os.getpid(), flush=True)"
# A part that says when it starts and stops, and stops as quickly as a real one could.
POLITE = f"""
import os, signal, time
def stop(*_):
    os.write(1, b"goes\\n")  # print may just be at work
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
{WITH_PID}
print("is here", flush=True)
while True:
    time.sleep(0.01)
"""
STUBBORN = f"""
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
{WITH_PID}
print("is here", flush=True)
while True:
    time.sleep(0.01)
"""
PARENT = """
import subprocess, time
child = subprocess.Popen(["/bin/sleep", "60"], stdout=subprocess.DEVNULL)
print("pid", child.pid, flush=True)
time.sleep(60)
"""
QUICK = Restarts(pauses_s=(0.01, 0.02), give_up_after=3)


def part(name: str, code: str, *, stop_deadline_s: float = 20, once: bool = False) -> Part:
    """A part that runs Python code."""
    command = (sys.executable, "-S", "-c", code)
    return Part(name, command, {}, stop_deadline_s=stop_deadline_s, once=once)


def main() -> None:
    """Run the stages as `mintari up` runs its own."""
    stages: Sequence[Sequence[Part]] = eval(sys.argv[1])
    try:
        asyncio.run(
            supervise(
                stages,
                lambda part, text: terminal.show(f"{part} | {text}"),
                announce=lambda: terminal.show("all run"),
                restarts=QUICK,
            )
        )
    except PartFailed as error:
        sys.exit(f"failed: {error}")


if __name__ == "__main__":
    main()
