"""The default provider: a painter in our own processes that needs no account and no network."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from core.vocabulary import ErrorCode, ImageSize, ProgressKind, SeedSupport
from providers.base import (
    Capabilities,
    Finished,
    PaintRequest,
    Progress,
    ProviderError,
    ProviderMisconfigured,
    ProviderUnavailable,
    Update,
)
from providers.painter.client import PainterGone, PainterProcess
from providers.painter.look import LookError, read_look
from providers.painter.painting import MODEL
from providers.painter.wire import Answer, Done, Failed, Failure, Paint, Painted, Ready

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from core.styles import Style

_CAPABILITIES = Capabilities(
    sizes=tuple(ImageSize),
    image_input=True,
    text_input=True,
    seed=SeedSupport.EXACT,
    progress=ProgressKind.MEASURED,
    cancel=True,
    resume=False,
)


class PhotoUnreadable(ProviderError):
    """The stored photo can't be decoded.

    We encoded it ourselves, so trying again won't help, nothing was blocked and no key is
    wrong: for the user the upload is as good as gone, and a new one is the way out.
    """

    code = ErrorCode.UPLOAD_GONE
    retryable = False


class LocalProvider:
    """Paints photos and scenes on this machine, in `processes` children of one thread each.

    Children start with the first order and stay warm, because loading the networks costs most
    of a second. A child that dies takes its order with it (ProviderUnavailable) and is replaced
    by the next one. Raises ProviderMisconfigured when a style's `local` parameters are wrong.
    """

    name: ClassVar[str] = "local"

    def __init__(self, *, processes: int = 1, styles: Mapping[str, Style]) -> None:
        self._styles = styles
        self._free = asyncio.Semaphore(processes)
        self._idle: list[PainterProcess] = []
        self._all: set[PainterProcess] = set()
        self._closed = False
        for style in styles.values():
            try:
                read_look(style.parameters.get(self.name, {}))
            except LookError as error:
                raise ProviderMisconfigured(f"style {style.slug}, local: {error}") from error

    @property
    def model(self) -> str:
        """Changes whenever the same seed gives another picture."""
        return MODEL

    @property
    def capabilities(self) -> Capabilities:
        """All sizes, photos and words, exact seeds, measured progress."""
        return _CAPABILITIES

    async def paint(self, request: PaintRequest) -> AsyncGenerator[Update, None]:
        """Paint one picture. Raises ProviderUnavailable, ProviderMisconfigured, PhotoUnreadable."""
        order = self._order(request)
        try:
            async with (
                self._painter() as painter,
                aclosing(painter.order(order)) as answers,
            ):
                async for answer in answers:
                    yield self._update(answer, request)
        except PainterGone as error:
            raise ProviderUnavailable(str(error)) from error

    async def resume(self, request: PaintRequest, external_id: str) -> AsyncGenerator[Update, None]:
        """Always raises ProviderMisconfigured: nothing outlives a painter process."""
        raise ProviderMisconfigured("the local painter cannot resume; paint again")
        yield  # makes this a generator, as the protocol says

    async def check(self) -> str:
        """Start a child and load the networks."""
        try:
            async with self._painter() as painter:
                answer = await painter.check()
        except PainterGone as error:
            raise ProviderUnavailable(str(error)) from error
        if isinstance(answer, Failed):
            raise _error_of(answer)
        assert isinstance(answer, Ready)
        return f"local painter: {answer.model} is ready"

    async def aclose(self) -> None:
        """End all children."""
        self._closed = True
        async with asyncio.TaskGroup() as group:
            for painter in tuple(self._all):
                group.create_task(painter.aclose())
        self._all.clear()
        self._idle.clear()

    @asynccontextmanager
    async def _painter(self) -> AsyncGenerator[PainterProcess]:
        """A child for one order, the last used one first: it is warm."""
        async with self._free:
            if self._closed:
                raise ProviderUnavailable("the local painter is closed")
            painter = await self._take()
            try:
                yield painter
            finally:
                if painter.is_alive:
                    self._idle.append(painter)
                else:
                    self._all.discard(painter)

    async def _take(self) -> PainterProcess:
        """An idle child that is ready for an order, or a new one."""
        while self._idle:
            painter = self._idle.pop()
            try:
                if painter.is_alive:
                    await painter.ready()
                    return painter
            except PainterGone:
                pass  # it was cancelled and did not stop, or was killed while idle
            except BaseException:
                self._idle.append(painter)
                raise
            self._all.discard(painter)
        try:
            painter = await PainterProcess.start()
        except OSError as error:
            raise ProviderUnavailable(f"cannot start a painter: {error}") from error
        self._all.add(painter)
        return painter

    def _order(self, request: PaintRequest) -> Paint:
        """The wire's words for a request. Raises ProviderMisconfigured."""
        style = self._styles.get(request.style)
        parameters = request.style_parameters or (
            style.parameters.get(self.name, {}) if style else None
        )
        if parameters is None:
            raise ProviderMisconfigured(f"no style {request.style!r} for the local painter")
        width, height = request.size.px
        plain = {
            name: value
            for name, value in parameters.items()
            if isinstance(value, str | int | float | bool)
        }
        if len(plain) < len(parameters):
            raise ProviderMisconfigured("the local painter takes texts and numbers only")
        return Paint(0, request.prompt, plain, width, height, request.seed, request.photo)

    def _update(self, answer: Answer, request: PaintRequest) -> Update:
        """What an answer means to the caller. Raises ProviderError."""
        if isinstance(answer, Painted):
            return Progress(answer.fraction, answer.preview)
        if isinstance(answer, Done):
            return Finished(
                answer.image, self.model, request.seed, usage={"seconds": answer.seconds}
            )
        if isinstance(answer, Failed):
            raise _error_of(answer)
        raise ProviderUnavailable("the painter stopped by itself")


def _error_of(failed: Failed) -> Exception:
    """The error that a failure is; a bug stays one."""
    if failed.failure in (Failure.EXTRA_MISSING, Failure.BAD_PARAMETERS):
        return ProviderMisconfigured(failed.message)
    if failed.failure is Failure.UNREADABLE_PHOTO:
        return PhotoUnreadable(failed.message)
    if failed.failure is Failure.OUT_OF_MEMORY:
        return ProviderUnavailable(failed.message)
    return RuntimeError(f"the painter failed:\n{failed.message}")
