"""Keeps one child process running: starts it, starts it again when it ends, stops it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from mintari.embedded.children import guarded
from mintari.embedded.errors import EmbeddedError
from mintari.parts import PartFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mintari.parts import Part, Restarts, Say

_POLL_S = 0.02
_HURRIED_STOP_S = 1.0
_LAST_OUTPUT_S = 0.5


class _Child(asyncio.SubprocessProtocol):
    """One run of a part: collects its output into lines, knows when it has ended."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = b""
        self.ended = asyncio.Event()
        self.closed = asyncio.Event()
        self.cleared = False

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line.decode(errors="replace").rstrip("\r"))
        if len(self._rest) > 65536:  # no line: do not collect it for ever
            self._flush()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._flush()

    def process_exited(self) -> None:
        self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def _flush(self) -> None:
        if self._rest:
            self._say(self._rest.decode(errors="replace"))
        self._rest = b""


class Keeper:
    """Starts one part, starts it again when it ends, and stops it."""

    def __init__(self, part: Part, say: Say, restarts: Restarts) -> None:
        self.part = part
        self._say = say
        self._restarts = restarts
        self._child: _Child | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._started_at_s = 0.0

    async def start(self) -> None:
        """Start the part and wait until it is ready. Raises PartFailed or EmbeddedError."""
        self._started_at_s = time.monotonic()
        await asyncio.to_thread(self.part.prepare)
        transport, child = await self._spawn()
        self._transport, self._child = transport, child
        try:
            async with asyncio.timeout(self.part.start_deadline_s):
                await self._wait_until_ready(child, transport.get_pid())
        except TimeoutError:
            self._signal(self.part.kill_signal)
            await self._wait_for_end()
            raise PartFailed(
                f"{self.part.name} was not ready within {self.part.start_deadline_s:g} s:"
                f" {self.part.clue()}."
            ) from None

    async def _spawn(self) -> tuple[asyncio.SubprocessTransport, _Child]:
        part = self.part
        output = subprocess.PIPE if part.open_output is None else part.open_output()
        try:
            return await asyncio.get_running_loop().subprocess_exec(
                lambda: _Child(lambda line: self._say(part.name, line)),
                *guarded(part.command, death_signal=part.death_signal, run_as=part.run_as),
                env=part.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the terminal is ours to pass on, in order
            )
        finally:
            if part.open_output is not None:
                os.close(output)

    async def _wait_until_ready(self, child: _Child, pid: int) -> None:
        if self.part.once:
            await self._wait_for_end()
            if self._exit_code() != 0:
                raise PartFailed(self._failure())
            return
        while not await self.part.is_ready(pid):
            if child.ended.is_set():
                await self._wait_for_end()
                raise PartFailed(self._failure())
            await asyncio.sleep(_POLL_S)

    def _failure(self) -> str:
        return f"{self.part.name} failed ({self._how_it_ended()}): {self.part.clue()}."

    async def keep(self) -> None:
        """Start the part again whenever it ends. Raises PartFailed when that does not help."""
        quick_ends = 0
        while not self.part.once:
            await self._wait_for_end()
            quick = time.monotonic() - self._started_at_s < self._restarts.quick_s
            quick_ends = quick_ends + 1 if quick else 1
            if quick_ends >= self._restarts.give_up_after:
                raise PartFailed(
                    f"{self.part.name} ended {quick_ends} times in a row"
                    f" ({self._how_it_ended()}): {self.part.clue()}."
                )
            await self._start_again(quick_ends)

    async def _wait_for_end(self) -> None:
        child, transport = self._child, self._transport
        if child is None or transport is None:
            return
        await child.ended.wait()
        if child.cleared:  # its process id may be somebody else's by now
            return
        child.cleared = True
        # Whatever it started and left behind; the group is its own, see `_spawn`.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        # Its last lines say why it ended: they come before ours.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_OUTPUT_S):
                await child.closed.wait()
        transport.close()

    async def _start_again(self, quick_ends: int) -> None:
        pauses_s = self._restarts.pauses_s
        pause_s = pauses_s[min(quick_ends, len(pauses_s)) - 1]
        self._say(
            "mintari",
            f"{self.part.name} ended ({self._how_it_ended()}); starting it again in {pause_s:g} s",
        )
        await asyncio.sleep(pause_s)
        try:
            await self.start()
        except (PartFailed, EmbeddedError) as error:
            self._say("mintari", str(error))
        else:
            self._say("mintari", f"{self.part.name} runs again")

    async def stop(self, hurry: asyncio.Event) -> None:
        """Stop the part: kindly, and after its deadline (or 1 s in a hurry) at once."""
        child = self._child
        if child is None:
            return
        self._signal(self.part.stop_signal)
        asked_at_s = time.monotonic()
        while not child.ended.is_set():
            limit_s = _HURRIED_STOP_S if hurry.is_set() else self.part.stop_deadline_s
            if time.monotonic() - asked_at_s > limit_s:
                self._say("mintari", f"{self.part.name} does not stop; ending it")
                self._signal(self.part.kill_signal)
                break
            await asyncio.sleep(_POLL_S)
        await self._wait_for_end()

    def _signal(self, number: signal.Signals) -> None:
        if self._transport is not None:
            with contextlib.suppress(ProcessLookupError):
                self._transport.send_signal(number)

    def _exit_code(self) -> int | None:
        return None if self._transport is None else self._transport.get_returncode()

    def _how_it_ended(self) -> str:
        code = self._exit_code()
        if code is None or code >= 0:
            return f"exit code {code}"
        return f"killed by {signal.Signals(-code).name}"
