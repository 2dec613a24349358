"""The painter process itself: reads orders from stdin, writes answers to stdout.

The main thread paints. A second thread reads, so that a cancel is seen between two steps and
the end of the parent (end of stdin, also when it was killed) ends this process at once.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, BinaryIO

from providers.painter.look import LookError, read_look
from providers.painter.neural import ExtraMissingError, Network, open_network
from providers.painter.painting import MODEL, Order, Painting, Report
from providers.painter.photo import UnreadablePhotoError
from providers.painter.wire import (
    HEADER_BYTES,
    Answer,
    Cancel,
    Check,
    Done,
    Failed,
    Failure,
    Paint,
    Painted,
    Ready,
    Stopped,
    body_length,
    pack,
    unpack_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# Nice enough that the API stays quick on the same cores, not so nice that painting starves.
_NICENESS = 5


class _Cancelled(Exception):
    """The order was cancelled: unwinds the painting from between two steps."""


class _Desk:
    """Orders come in, answers go out. `cancelled` is the number of the last cancelled order."""

    def __init__(self, orders: BinaryIO, answers: BinaryIO) -> None:
        self._orders, self._answers = orders, answers
        self._waiting: queue.SimpleQueue[Paint | Check] = queue.SimpleQueue()
        self.cancelled = 0

    def read_forever(self) -> None:
        """Runs in its own thread; ends the process when the parent is gone."""
        with contextlib.suppress(Exception):
            while header := self._orders.read(HEADER_BYTES):
                request = unpack_request(self._orders.read(body_length(header)))
                if isinstance(request, Cancel):
                    self.cancelled = max(self.cancelled, request.number)
                else:
                    self._waiting.put(request)
        # Nobody is left to paint for. No clean-up: there is nothing but memory to give back.
        os._exit(0)

    def next(self) -> Paint | Check:
        """The next order; waits for it."""
        return self._waiting.get()

    def answer(self, answer: Answer) -> None:
        """Send one frame."""
        self._answers.write(pack(answer))
        self._answers.flush()


class _Painter:
    """Keeps the networks loaded between orders."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk
        self._network: Network | None = None

    def _open(self) -> Network:
        if self._network is None:
            self._network = open_network()
        return self._network

    def take(self, order: Paint | Check) -> Answer:
        """Do what was ordered; every failure becomes an answer."""
        number = order.number
        try:
            return self._paint(order) if isinstance(order, Paint) else self._check(order)
        except _Cancelled:
            return Stopped(number)
        except ExtraMissingError as error:
            return Failed(number, Failure.EXTRA_MISSING, str(error))
        except LookError as error:
            return Failed(number, Failure.BAD_PARAMETERS, str(error))
        except UnreadablePhotoError as error:
            return Failed(number, Failure.UNREADABLE_PHOTO, str(error))
        except MemoryError:
            return Failed(number, Failure.OUT_OF_MEMORY, "not enough memory for this size")
        except Exception:
            return Failed(number, Failure.BUG, traceback.format_exc(limit=-6))

    def _check(self, order: Check) -> Ready:
        self._open()
        return Ready(order.number, MODEL)

    def _paint(self, paint: Paint) -> Done:
        started = time.perf_counter()
        order = Order(paint.prompt, read_look(paint.parameters), paint.width, paint.height,
                      paint.seed, paint.photo)  # fmt: skip
        image = Painting(order, self._open).run(self._reporter(paint.number))
        return Done(paint.number, image, time.perf_counter() - started)

    def _reporter(self, number: int) -> Callable[[Report], None]:
        def report(done: Report) -> None:
            if self._desk.cancelled >= number:
                raise _Cancelled
            self._desk.answer(Painted(number, done.fraction, done.preview))

        return report


def main() -> None:
    """Serve until stdin ends."""
    # Ctrl-C and a supervisor's SIGTERM go to the whole group; the worker drains and then
    # closes our stdin, so painting goes on until it says otherwise.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(_NICENESS)
    # Whatever a library prints must not get between the frames.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    desk = _Desk(sys.stdin.buffer, answers)
    threading.Thread(target=desk.read_forever, name="orders", daemon=True).start()
    painter = _Painter(desk)
    with contextlib.suppress(BrokenPipeError):
        while True:
            desk.answer(painter.take(desk.next()))
