"""One of our processes, which the harness can kill, freeze and start again."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from mintari.embedded.children import guarded
from tests.programs import Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Process:
    """A Python program. Started in the main thread, it dies with us."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = [sys.executable, *arguments]
        self._environment = environment
        self._program: Program | None = None
        self._earlier: list[str] = []

    def start(self) -> None:
        """Start it; does not wait until it is ready."""
        assert self._program is None, f"{self.name} runs already"
        command = guarded(self._command, death_signal=signal.SIGKILL)
        self._program = Program(command, self._environment)

    @property
    def program(self) -> Program:
        """The running program."""
        assert self._program is not None, f"{self.name} does not run"
        return self._program

    @property
    def pid(self) -> int:
        return self.program.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended by itself."""
        return self._program is not None and self._program.process.poll() is None

    @property
    def lines(self) -> list[str]:
        """All that it has written, before its deaths as well."""
        return [*self._earlier, *(self._program.lines if self._program else [])]

    def wait_ready(self, text: str, *, within_s: float = 60) -> str:
        """Wait for a line of the present program."""
        return self.program.line_with(text, within_s=within_s)

    def crash(self) -> None:
        """SIGKILL, then start again, as a supervisor does."""
        self.stop()
        self.start()

    def terminate(self) -> None:
        """SIGTERM: it may finish what it does."""
        self.program.signal(signal.SIGTERM)

    def freeze(self) -> None:
        """Stop its clock: no code of it runs, its connections stay open."""
        self.program.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.program.signal(signal.SIGCONT)

    def stop(self) -> None:
        """SIGKILL; fine when it has ended already."""
        if self._program is not None:
            self._program.close()
            self._earlier += self._program.lines
            self._program = None
