"""Real programs under test: started, read line by line, signalled, never left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Generator, Mapping, Sequence

ROOT = Path(__file__).parent.parent


class Program:
    """A running program and the lines that it has written so far."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def output(self) -> str:
        """All that it has written so far."""
        return "\n".join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()

    def line_with(self, text: str, *, count: int = 1, within_s: float = 60) -> str:
        """Wait for the `count`-th line that holds `text`; fails with all output if none comes."""
        deadline = time.monotonic() + within_s
        with self._news:
            while True:
                found = [line for line in self.lines if text in line]
                if len(found) >= count:
                    return found[count - 1]
                left_s = deadline - time.monotonic()
                assert left_s > 0, f"no line with {text!r} in:\n{self.output}"
                self._news.wait(left_s)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, *, within_s: float = 60) -> int:
        """Wait for its end and for its last line; returns the exit code."""
        code = self.process.wait(within_s)
        self._reader.join(within_s)
        return code

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def running(*arguments: str, environment: Mapping[str, str] | None = None) -> Generator[Program]:
    """Run Python with these arguments, from the project's folder."""
    program = Program([sys.executable, *arguments], environment or {})
    try:
        yield program
    finally:
        program.close()
