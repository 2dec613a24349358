"""The painter process as a worker sees it: started, given orders, cancelled, ended."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from providers.painter.wire import (
    HEADER_BYTES,
    Answer,
    Cancel,
    Check,
    Done,
    Failed,
    Paint,
    Ready,
    Stopped,
    body_length,
    pack,
    unpack_answer,
)

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator

_ROOT = Path(__file__).resolve().parents[2]
# One thread a process: n processes use n cores, and the same sums are made in the same order.
_THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
# Longer than the longest step of the largest picture on a busy machine.
_STOP_S = 3.0
_EXIT_S = 1.0


class PainterGone(Exception):
    """The process ended or broke the protocol."""


class PainterProcess:
    """One child. Not for concurrent use: one order at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._number = 0
        self._open = False

    @classmethod
    async def start(cls) -> PainterProcess:
        """Start a child. It gets no secrets: its environment is made from scratch."""
        environment = dict.fromkeys(_THREADS, "1") | {
            "PYTHONPATH": str(_ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
            # ONNX Runtime 1.32 reports to its makers unless told not to (its Privacy.md).
            "ORT_DISABLE_TELEMETRY": "1",
        }
        # -P: a folder that happens to be the current one can't replace our modules.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "providers.painter",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment,
        )  # fmt: skip
        return cls(process)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """False once the child has ended."""
        return self._process.returncode is None

    def _send(self, request: Paint | Cancel | Check) -> None:
        assert self._process.stdin is not None
        if self._process.stdin.is_closing():
            raise PainterGone("its input is closed")
        self._process.stdin.write(pack(request))

    async def _receive(self) -> Answer:
        """The next answer to the current order. Raises PainterGone."""
        assert self._process.stdout is not None
        try:
            while True:
                header = await self._process.stdout.readexactly(HEADER_BYTES)
                body = await self._process.stdout.readexactly(body_length(header))
                answer = unpack_answer(body)
                if isinstance(answer, Done | Failed | Stopped | Ready):
                    self._open = False
                if answer.number == self._number:
                    return answer
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self.kill()
            raise PainterGone(f"the painter ended ({self._process.returncode})") from error
        except ValueError as error:  # a broken frame
            await self.kill()
            raise PainterGone(f"the painter sent nonsense: {error}") from error

    async def order(self, paint: Paint) -> AsyncGenerator[Answer, None]:
        """Answers to an order, the last one Done or Failed.

        Left early, it cancels the order; the child stops at its next step.
        """
        await self.ready()
        self._begin()
        self._send(Paint(self._number, paint.prompt, paint.parameters, paint.width, paint.height,
                         paint.seed, paint.photo))  # fmt: skip
        try:
            while self._open:
                yield await self._receive()
        finally:
            if self._open and self.is_alive:
                with contextlib.suppress(PainterGone):
                    self._send(Cancel(self._number))

    async def check(self) -> Answer:
        """Load everything: Ready or Failed."""
        await self.ready()
        self._begin()
        self._send(Check(self._number))
        return await self._receive()

    def _begin(self) -> None:
        self._number += 1
        self._open = True

    async def ready(self) -> None:
        """Wait until a cancelled order has ended; end the child if it doesn't stop in time."""
        if not self._open:
            return
        try:
            async with asyncio.timeout(_STOP_S):
                while self._open:
                    await self._receive()
        except TimeoutError as error:
            await self.kill()
            raise PainterGone("the painter did not stop") from error

    async def kill(self) -> None:
        """End the child now and collect it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def aclose(self) -> None:
        """Let the child end by closing its input; kill it if that takes too long."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_EXIT_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()
