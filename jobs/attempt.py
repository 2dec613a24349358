"""One attempt: from a claimed job to a stored picture, or to a failure that says why.

The order is what makes it safe to pay: ledger row, call, answer kept as it came, picture stored
under job and attempt, then job and ledger in one commit. Wherever a process dies, the next attempt
finds how far it got.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from core.keys import all_previews, attempt_keys, image_key, thumbnail_key
from core.log import get_logger, without_words_of
from core.vocabulary import BlockStage, ErrorCode, ProgressKind, Stage
from db.doomed import doom
from db.engine import is_database_down
from db.history import recent_durations
from db.jobs import read_job
from db.ledger import end_call, read_calls
from db.lifecycle import Finish, LeaseLostError, succeed
from jobs.breakers import ProviderPaused
from jobs.call import ProviderCall
from jobs.changes import change_of
from jobs.doorbell import Ring
from jobs.estimate import Estimate, estimate_of
from jobs.failure import (
    FallOver,
    GiveUp,
    Hold,
    JobFailure,
    TryAgain,
    step_after_error,
    step_while_paused,
)
from jobs.gate import Gate
from jobs.keep import find_result, keep_answer, patiently, prepare_result, store_result
from jobs.steps import write_step
from jobs.successor import find_successor
from jobs.tally import AttemptEnd, cost_of, note_attempt, note_call, note_frame, note_settled
from jobs.transactions import in_transaction
from providers.base import PaintRequest, ProviderError
from storage.base import ObjectNotFound, StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from core.pictures import Picture
    from core.prices import Cost
    from db.engine import Connection
    from db.records import CallRecord, JobRecord, Work
    from jobs.failure import Step
    from jobs.kit import Kit
    from jobs.reporter import Report
    from providers.base import Finished, Provider

LATE_PREVIEWS_S = 30.0
"""A preview that is on its way to storage when its job ends is there by then."""

T = TypeVar("T")
_log = get_logger(__name__)


class Attempt:
    """One try at a job. `settling` is true once its outcome is being written."""

    def __init__(
        self,
        kit: Kit,
        work: Work,
        report: Report,
        ring_later: Callable[[Ring, float], None],
    ) -> None:
        self._kit = kit
        self._work = work
        self._job = job = work.job
        self._report = report
        self._ring_later = ring_later
        self._began_s = time.monotonic()
        self._gate = Gate(kit, job.provider)
        self._earlier_calls: Sequence[CallRecord] = ()
        self._call: ProviderCall | None = None
        self._finished: Finished | None = None
        self._estimate: Estimate | None = None
        self._wants_estimate = False
        self._ended_call: tuple[str, Cost | None] | None = None
        self.settling = False

    async def run(self) -> None:
        """Go all the way to a committed outcome. When cancelled, `abandon` must follow."""
        try:
            await self._run()
        except LeaseLostError:
            _log.info("lease lost, outcome dropped", job=str(self._job.id))
            note_attempt(self._kit.metrics, self._job, AttemptEnd.LOST)
            await self._give_way()
        except Exception as error:
            if not is_database_down(error):
                raise
            # The lease runs out, and whoever claims the job then finds how far this got.
            _log.exception("postgres stayed away, job left to its lease", job=str(self._job.id))
        await self._gate.leave()

    async def abandon(self) -> None:
        """Record how far the call came that was cut off by us: it may have been billed."""
        if self._has_call and not self.settling:
            outcome = "SUCCEEDED" if self._finished else "CANCELLED"
            await self._write(lambda connection: self._end_call(connection, outcome))
            self._note_call()
        note_attempt(self._kit.metrics, self._job, AttemptEnd.STOPPED)
        await self._gate.leave()
        await self._give_way()

    async def _run(self) -> None:
        try:
            self._earlier_calls = calls = await self._calls_before()
            found = await find_result(self._kit.storage, self._job, calls)
            if found is not None:
                self._report.start()
                await self._moderate(found.picture)
                await self._succeed(found.picture, found.attempt, found.finished)
                return
            self._finished = finished = await self._paint(calls)
            self._report.stage(Stage.STORING)
            await keep_answer(self._kit.storage, self._job, finished)
            await self._gate.succeeded()
            picture = await prepare_result(finished)
            await self._moderate(picture)
            with self._kit.tracing.span("store picture"):
                await store_result(self._kit.storage, self._job.id, self._job.attempt, picture)
            settled = await self._succeed(picture, self._job.attempt, finished)
            note_frame(self._kit.metrics, self._job, settled, self._work.generation.size)
        except ProviderPaused as paused:
            successor = await self._successor()
            await self._take(step_while_paused(paused.pause, successor))
        except ProviderError as error:
            await self._take(await self._step_after(error), error)
        except JobFailure as failure:
            await self._take(GiveUp(failure.code, failure.block_stage))
        except StorageError as error:
            _log.error("storage failed", job=str(self._job.id), error=str(error))
            await self._take(GiveUp(ErrorCode.STORAGE_UNAVAILABLE))
        except LeaseLostError:
            raise
        except Exception as error:
            if is_database_down(error):
                raise
            _log.exception("attempt failed by a bug", job=str(self._job.id))
            await self._take(GiveUp(ErrorCode.INTERNAL))

    async def _moderate(self, picture: Picture) -> None:
        """Judge a frame, if a classifier is set up. Raises JobFailure."""
        judge = self._kit.picture_judge
        if judge is None:
            return
        self._report.stage(Stage.MODERATING)
        if not await judge.allows(picture.content):
            raise JobFailure(ErrorCode.CONTENT_BLOCKED, block_stage=BlockStage.OUTPUT)

    async def _calls_before(self) -> list[CallRecord]:
        if self._job.attempt == 1:
            return []
        return await self._write(lambda connection: read_calls(connection, self._job.id))

    async def _paint(self, calls: Sequence[CallRecord]) -> Finished:
        provider = self._kit.providers.get(self._job.provider)
        if provider is None:
            _log.error("provider is not set up on this worker", provider=self._job.provider)
            raise JobFailure(ErrorCode.PROVIDER_MISCONFIGURED)
        self._call = ProviderCall(self._kit, self._work, provider, self._report)
        resumed = self._resumable(provider, calls)
        if resumed is None:
            await self._enter_gate()
        else:
            self._earlier_calls = [call for call in calls if call is not resumed]
        # Not of an attempt that finds its provider paused.
        self._report.start()
        request = await self._request()
        self._wants_estimate = provider.capabilities.progress is not ProgressKind.MEASURED
        with self._kit.tracing.span("call provider"):
            return await self._call.run(request, resumed)

    async def _enter_gate(self) -> None:
        # The claim has entered the call for a provider that is well: that was the same question.
        if not self._work.call_entered:
            await self._gate.enter()

    async def begin_estimate(self) -> None:
        """Look up once how long such calls took lately, if this one does not say how far it is.

        Called after a heartbeat: no call waits for it, and short ones do without.
        """
        if not self._wants_estimate or self._call is None or self._call.began_s is None:
            return
        self._wants_estimate = False
        async with self._kit.database.read() as connection:
            durations = await recent_durations(
                connection,
                provider=self._job.provider,
                model=self._kit.providers[self._job.provider].model,
                size=self._work.generation.size,
            )
        self._estimate = estimate_of(durations, self._call.began_s)
        self.tick()

    def tick(self) -> None:
        """Show how far the call may be; called with every heartbeat."""
        if self._estimate and not self.settling:
            self._report.progress(self._estimate.percent(), ProgressKind.ESTIMATED)

    @property
    def _has_call(self) -> bool:
        return self._call is not None and self._call.began_s is not None

    def _resumable(self, provider: Provider, calls: Sequence[CallRecord]) -> CallRecord | None:
        """The earlier call to go on with, if its outcome is open and its provider can be asked.

        Raises JobFailure when the outcome is open, cannot be asked for and must not be repeated.
        """
        newest = calls[0] if calls else None
        if newest is None or newest.outcome not in ("STARTED", "UNKNOWN"):
            return None
        if newest.external_id and provider.capabilities.resume:
            return newest
        if self._kit.settings.gen_on_unknown_outcome == "stop":
            raise JobFailure(ErrorCode.OUTCOME_UNKNOWN)
        _log.warning("a call with unknown outcome is repeated", job=str(self._job.id))
        return None

    async def _request(self) -> PaintRequest:
        generation, upload = self._work.generation, self._work.upload
        if generation.had_upload and upload is None:
            raise JobFailure(ErrorCode.UPLOAD_GONE)
        style = self._kit.styles.get(generation.style)
        return PaintRequest(
            request_id=f"{self._job.id}:{self._job.attempt}",
            prompt=generation.prompt,
            assembled_prompt=generation.assembled_prompt,
            negative_prompt=generation.negative_prompt,
            style=generation.style,
            style_parameters=style.parameters.get(self._job.provider, {}) if style else {},
            size=generation.size,
            seed=self._job.seed,
            photo=await self._photo(upload.object_key) if upload else None,
            photo_content_type=upload.content_type if upload else None,
        )

    async def _photo(self, key: str) -> bytes:
        try:
            return await patiently(lambda: self._kit.storage.get(key))
        except ObjectNotFound:
            raise JobFailure(ErrorCode.UPLOAD_GONE) from None

    async def _step_after(self, error: ProviderError) -> Step:
        _log.warning(
            "provider call failed",
            job=str(self._job.id),
            attempt=self._job.attempt,
            provider=self._job.provider,
            code=error.code.value,
            detail=without_words_of(self._work.generation.prompt, str(error))[:300],
        )
        return step_after_error(
            error,
            retries=self._job.provider_retries,
            pause=await self._gate.failed(error),
            successor=await self._successor() if error.outcome_known else None,
            resumable=self._call is not None and self._call.outlives(error),
            settings=self._kit.settings,
        )

    async def _successor(self) -> Provider | None:
        return await find_successor(self._kit, self._work, self._earlier_calls)

    async def _succeed(
        self, picture: Picture, attempt: int, finished: Finished | None
    ) -> JobRecord:
        job = self._job
        finish = Finish(
            image_key=image_key(job.id, attempt),
            thumbnail_key=thumbnail_key(job.id, attempt),
            thumbhash=picture.thumbhash,
            content_type=picture.content_type,
            width_px=picture.width_px,
            height_px=picture.height_px,
            size_bytes=len(picture.content),
            digest=picture.digest,
            seed=job.seed if finished is None or finished.seed is None else finished.seed,
            model=finished.model if finished else job.model,
            generation_time_ms=round((time.monotonic() - self._began_s) * 1000),
        )

        async def write(connection: Connection) -> JobRecord:
            settled = await succeed(connection, job.id, job.attempt, finish)
            cost = cost_of(self._kit.prices, job, "SUCCEEDED", finished)
            self._ended_call = "SUCCEEDED", cost
            await end_call(
                connection,
                job.id,
                attempt,
                "SUCCEEDED",
                usage=finished.usage if finished else None,
                cost=cost,
                # An earlier attempt's call was given up before its result was found.
                expected=("STARTED", "UNKNOWN"),
            )
            return settled

        settled = await self._settle(write)
        note_settled(self._kit.metrics, job, settled)
        return settled

    async def _take(self, step: Step, error: ProviderError | None = None) -> None:
        """Take the step that follows a failed attempt; `error` is its call's, if one was made."""
        job = self._job

        async def write(connection: Connection) -> JobRecord:
            progress = self._report.job.progress
            settled = await write_step(connection, job, step, self._kit.settings, progress=progress)
            if self._has_call:
                await self._end_failed_call(connection, step, error)
            if isinstance(step, GiveUp) and step.block_stage is BlockStage.OUTPUT:
                # Neither the frame nor what led to it is kept, of no attempt.
                for attempt in range(1, job.attempt + 1):
                    await doom(connection, attempt_keys(job.id, attempt))
                    previews = [all_previews(job.id, attempt)]
                    await doom(connection, previews, after_s=LATE_PREVIEWS_S)
            return settled

        settled = await self._settle(write)
        code = step.code if isinstance(step, GiveUp) else error and error.code
        note_settled(self._kit.metrics, job, settled, code)
        match step:
            case TryAgain(delay_s) | Hold(delay_s, _):
                self._ring_later(Ring(job.id, job.attempt), delay_s)
            case FallOver():
                self._ring_later(Ring(job.id, job.attempt), 0.0)
            case GiveUp():
                pass

    async def _end_failed_call(
        self, connection: Connection, step: Step, error: ProviderError | None
    ) -> None:
        """Say in the ledger what is known of the call. One that goes on is asked for again."""
        assert self._call is not None
        if error is None:
            # The picture was there; what failed is ours.
            code = step.code if isinstance(step, GiveUp) else None
            await self._end_call(connection, "FAILED", code=code, known=False)
            return
        outcome = "UNKNOWN" if self._call.outlives(error) else "FAILED"
        await self._end_call(connection, outcome, code=error.code, known=error.outcome_known)

    async def _end_call(
        self,
        connection: Connection,
        outcome: str,
        *,
        code: ErrorCode | None = None,
        known: bool | None = None,
    ) -> None:
        cost = cost_of(
            self._kit.prices, self._job, outcome, self._finished, code=code, outcome_known=known
        )
        self._ended_call = outcome, cost
        await end_call(
            connection,
            self._job.id,
            self._job.attempt,
            outcome,
            cost=cost,
            error_code=code,
            outcome_known=known,
            usage=self._finished.usage if self._finished else None,
        )

    def _note_call(self) -> None:
        """Count the call whose end was committed, if there was one."""
        if self._ended_call is not None:
            note_call(self._kit.metrics, self._job, *self._ended_call)

    async def _settle(self, write: Callable[[Connection], Awaitable[JobRecord]]) -> JobRecord:
        """Commit the outcome, then tell everybody. Raises LeaseLostError."""
        self.settling = True
        settled = await self._write(write)
        self._note_call()
        _log.info("attempt ended", state=settled.state, code=settled.error_code)
        await self._kit.publisher.publish([change_of(settled)])
        return settled

    async def _write(self, action: Callable[[Connection], Awaitable[T]]) -> T:
        return await in_transaction(self._kit.database, action)

    async def _give_way(self) -> None:
        """The job went on, or ended, without this attempt: drop what it stored, tell the truth.

        While the job goes on, a later attempt may adopt what is there; whoever ends it dooms that.
        A commit whose answer was lost looks like a lost lease, too: then the picture is in use.
        """

        async def write(connection: Connection) -> JobRecord | None:
            # By this connection: what is doomed follows from what is read, and commits with it.
            job = await read_job(connection, self._job.id)
            if self._finished and (job is None or job.state.is_terminal):
                keys = attempt_keys(self._job.id, self._job.attempt)
                used = (job.image_key, job.thumbnail_key) if job else ()
                await doom(connection, [key for key in keys if key not in used])
            return job

        if job := await self._write(write):
            await self._kit.publisher.publish([change_of(job)])
