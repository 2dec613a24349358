"""Letting a generation in: replay, duplicate, limits, insert; one statement, then the doorbell.

Everything happens under a lock per user, in Postgres, so it is exact under concurrency and needs
no Redis. A replayed or duplicate request costs nothing; any other one counts as a request, also
when it is then refused because too many jobs are active.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from core.errors import IdempotencyConflict, RateLimited
from core.ids import new_id
from core.log import get_logger
from core.tracing import SpanKind
from db.admission import Answer, Asked, Outcome
from db.audit import Decision
from db.generations import NewJob
from db.records import NewGeneration
from jobs.doorbell import Ring
from resolvers.limits import limits_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.vocabulary import ImageSize, ProgressKind
    from db.records import GenerationRecord, JobRecord
    from resolvers.context import App

ACTIVE_RETRY_AFTER_S = 5
"""When to ask again while too many jobs are active: about the time of a frame."""
SEED_RANGE = 2**31
ADDRESS = "address\n"
"""Before an address where requests are counted; no user's id has a line break in it."""
_SYSTEM = {"db.system": "postgresql"}

_log = get_logger(__name__)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request for pictures: everything that makes them, and who asks."""

    action: str
    user_id: str
    remote_address: str | None
    prompt: str
    folded_prompt: str
    prompt_delta: str | None
    negative_prompt: str
    assembled_prompt: str
    style: str
    style_version: int
    size: ImageSize
    upload_id: UUID | None
    upload_digest: str | None
    variant_count: int
    seed: int | None
    seed_locked: bool
    first_seed: int
    provider: str
    model: str
    fall_over: bool
    progress_kind: ProgressKind
    regenerated_from: UUID | None
    idempotency_key: str | None
    is_anonymous: bool = False

    @property
    def prompt_hash(self) -> str:
        """SHA-256 of everything that makes the pictures; the same for identical requests."""
        parts = (
            self.folded_prompt,
            self.negative_prompt,
            self.style,
            self.style_version,
            self.size.value,
            self.seed,
            self.provider,
            self.model,
            self.upload_digest,
            self.variant_count,
            str(self.regenerated_from),
            # Only where another provider may paint: without, hashes are as they always were.
            *(("fall_over",) if self.fall_over else ()),
        )
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    @property
    def submitted_text(self) -> str:
        """The words as they came: the prompt, or the delta with the prompt that it led to."""
        if self.prompt_delta is None:
            return self.prompt
        return f"{self.prompt_delta}\n=> {self.prompt}"

    def request_hash(self, prompt_hash: str) -> str:
        """SHA-256 of what an idempotency key stands for."""
        parts = (self.action, prompt_hash, self.prompt, self.prompt_delta, self.seed_locked)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class Admitted:
    """A generation that was let in now, or before.

    `deduplicated`: an identical one was still active. `replayed`: the idempotency key was known.
    """

    generation: GenerationRecord
    jobs: Sequence[JobRecord]
    deduplicated: bool = False
    replayed: bool = False


async def admit(app: App, wish: Wish) -> Admitted:
    """Accept a wish, whole or not at all. Raises RateLimited, IdempotencyConflict."""
    answer = await decide(app, wish)
    assert answer.generation is not None
    assert answer.jobs is not None
    if answer.outcome is Outcome.ACCEPTED:
        _log.info("generation accepted", generation=str(answer.generation.id))
        await app.doorbell.ring(Ring(job.id, job.attempt) for job in answer.jobs)
    return Admitted(
        answer.generation,
        answer.jobs,
        deduplicated=answer.outcome is Outcome.DEDUPLICATED,
        replayed=answer.outcome is Outcome.REPLAYED,
    )


async def decide(app: App, wish: Wish, *, category: str | None = None) -> Answer:
    """Have a wish let in; with a `category`, for which it is refused, only counted and noted.

    Raises RateLimited, IdempotencyConflict.
    """
    asked = _asked(app, wish, category)
    with app.tracing.span("SELECT admit", kind=SpanKind.CALL, attributes=_SYSTEM):
        answer = await app.admission_queue.admit(asked)
    if answer.outcome is Outcome.CONFLICT:
        raise IdempotencyConflict(
            "This idempotency key was used with other arguments. Use a new key."
        )
    refusal = _refusal(asked, answer)
    decision = answer.outcome if refusal is None else Decision.RATE_LIMITED
    app.metrics.generations.labels(wish.action, decision).inc()
    if refusal is not None:
        app.metrics.rate_limit_refusals.labels(answer.outcome).inc()
        raise refusal
    return answer


def _refusal(asked: Asked, answer: Answer) -> RateLimited | None:
    """Why a request was one too many, if it was."""
    match answer.outcome:
        case Outcome.REQUESTS:
            return _too_many(asked, answer, asked.max_requests)
        case Outcome.REQUESTS_OF_ADDRESS:
            return _too_many(asked, answer, asked.max_requests_of_address or 0)
        case Outcome.ACTIVE_JOBS:
            most = asked.max_active_jobs
            return RateLimited(
                f"{most} frames may be in the making at once;"
                f" {answer.active_jobs} are, and this asks for {len(asked.jobs)} more."
                " Wait for one to end, or cancel it.",
                limit=most,
                retry_after_s=ACTIVE_RETRY_AFTER_S,
            )
        case _:
            return None


def _too_many(asked: Asked, answer: Answer, most: int) -> RateLimited:
    return RateLimited(
        f"{most} requests in {asked.window_s:g} s are allowed. Please wait a little.",
        limit=most,
        retry_after_s=int(answer.frees_in_s or 0) + 1,
    )


def _asked(app: App, wish: Wish, category: str | None) -> Asked:
    """A wish, with the limits of who has it."""
    settings = app.settings
    limits = limits_of(settings, is_anonymous=wish.is_anonymous)
    counts_address = limits.per_address is not None
    prompt_hash = wish.prompt_hash
    return Asked(
        user_id=wish.user_id,
        address=f"{ADDRESS}{wish.remote_address}" if counts_address else None,
        max_requests=limits.max_requests,
        max_requests_of_address=limits.per_address,
        max_active_jobs=limits.max_active_jobs,
        window_s=settings.rate_limit_window_s,
        key=wish.idempotency_key,
        key_ttl_s=settings.idempotency_ttl_s,
        request_hash=wish.request_hash(prompt_hash) if wish.idempotency_key else None,
        prompt_hash=prompt_hash,
        action=wish.action,
        category=category,
        remote_address=wish.remote_address,
        prompt=wish.submitted_text if settings.audit_prompts else None,
        policy_version=app.policy.version,
        generation=_new_generation(wish, prompt_hash),
        jobs=_new_jobs(wish, app.tracing.traceparent()),
    )


def _new_generation(wish: Wish, prompt_hash: str) -> NewGeneration:
    return NewGeneration(
        id=new_id(),
        user_id=wish.user_id,
        prompt=wish.prompt,
        prompt_delta=wish.prompt_delta,
        style=wish.style,
        style_version=wish.style_version,
        size=wish.size,
        upload_id=wish.upload_id,
        had_upload=wish.upload_id is not None,
        variant_count=wish.variant_count,
        seed=wish.seed,
        seed_locked=wish.seed_locked,
        provider=wish.provider,
        model=wish.model,
        assembled_prompt=wish.assembled_prompt,
        negative_prompt=wish.negative_prompt,
        prompt_hash=prompt_hash,
        fall_over=wish.fall_over,
    )


def _new_jobs(wish: Wish, traceparent: str | None) -> list[NewJob]:
    return [
        NewJob(
            id=new_id(),
            variant=variant,
            seed=(wish.first_seed + variant) % SEED_RANGE,
            progress_kind=wish.progress_kind,
            regenerated_from=wish.regenerated_from,
            traceparent=traceparent,
        )
        for variant in range(wish.variant_count)
    ]
