"""Letting a generation in: replay, duplicate, limits, insert; one transaction, then the doorbell.

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
from db.admission import (
    Usage,
    find_active_duplicate,
    find_replay,
    lock_user,
    read_usage,
    record_hit,
    remember,
)
from db.audit import AuditEntry, Decision, record_audit
from db.generations import NewGeneration, NewJob, insert_generation, read_generations
from db.jobs import read_jobs_of_generations
from jobs.doorbell import Ring
from resolvers.limits import limits_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from core.settings import Settings
    from core.vocabulary import ImageSize, ProgressKind
    from db.engine import Connection
    from db.records import GenerationRecord, JobRecord
    from resolvers.context import App

ACTIVE_RETRY_AFTER_S = 5
"""When to ask again while too many jobs are active: about the time of a frame."""
SEED_RANGE = 2**31
ADDRESS = "address\n"
"""Before an address where requests are counted; no user's id has a line break in it."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
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

    @property
    def request_hash(self) -> str:
        """SHA-256 of what an idempotency key stands for."""
        parts = (self.action, self.prompt_hash, self.prompt, self.prompt_delta, self.seed_locked)
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
    async with app.database.transaction() as connection:
        await lock_user(connection, wish.user_id)
        admitted = await _known(connection, app.settings, wish)
        refusal = None
        if admitted is None:
            refusal = await _refusal(connection, app, wish)
            if refusal is None:
                admitted = await _insert(connection, wish, app.tracing.traceparent())
            decision = Decision.RATE_LIMITED if refusal else Decision.ACCEPTED
            subject_id = admitted.generation.id if admitted else None
            await record_decision(connection, app, wish, decision, subject_id=subject_id)
    app.metrics.generations.labels(wish.action, _word(admitted)).inc()
    # Raised after the commit: the request was counted.
    if admitted is None:
        assert refusal is not None
        raise refusal
    if not (admitted.deduplicated or admitted.replayed):
        _log.info("generation accepted", generation=str(admitted.generation.id))
        await app.doorbell.ring(Ring(job.id, job.attempt) for job in admitted.jobs)
    return admitted


def _word(admitted: Admitted | None) -> str:
    """What was decided, for the metrics."""
    if admitted is None:
        return Decision.RATE_LIMITED
    if admitted.replayed:
        return "REPLAYED"
    return "DEDUPLICATED" if admitted.deduplicated else Decision.ACCEPTED


async def _known(connection: Connection, settings: Settings, wish: Wish) -> Admitted | None:
    """The generation that this request was answered with before, or that is the same."""
    if wish.idempotency_key:
        replay = await find_replay(
            connection, wish.user_id, wish.idempotency_key, ttl_s=settings.idempotency_ttl_s
        )
        if replay and replay.request_hash != wish.request_hash:
            raise IdempotencyConflict(
                "This idempotency key was used with other arguments. Use a new key."
            )
        if replay:
            return await _read(connection, wish, replay.generation_id, replayed=True)
    duplicate = await find_active_duplicate(connection, wish.user_id, wish.prompt_hash)
    if duplicate is None:
        return None
    if wish.idempotency_key:
        await _remember(connection, wish, duplicate)
    return await _read(connection, wish, duplicate, deduplicated=True)


async def _read(
    connection: Connection,
    wish: Wish,
    generation_id: UUID,
    *,
    deduplicated: bool = False,
    replayed: bool = False,
) -> Admitted:
    found = await read_generations(connection, [generation_id], wish.user_id)
    jobs = await read_jobs_of_generations(connection, [generation_id])
    return Admitted(
        found[generation_id],
        jobs[generation_id],
        deduplicated=deduplicated,
        replayed=replayed,
    )


async def count_request(connection: Connection, app: App, wish: Wish) -> Usage | RateLimited:
    """Count a request, under the user's lock. Returns why it is one too many, if it is."""
    settings = app.settings
    limits = limits_of(settings, is_anonymous=wish.is_anonymous)
    counted = {wish.user_id: limits.max_requests}
    if limits.per_address is not None:
        # Behind the user's lock, always in this order: nobody waits for each other.
        address = f"{ADDRESS}{wish.remote_address}"
        await lock_user(connection, address)
        counted[address] = limits.per_address
    window_s = settings.rate_limit_window_s
    usages = {
        who: await read_usage(connection, who, window_s=window_s, limit=most)
        for who, most in counted.items()
    }
    for who, most in counted.items():
        if usages[who].requests >= most:
            limit = "REQUESTS" if who == wish.user_id else "REQUESTS_OF_ADDRESS"
            app.metrics.rate_limit_refusals.labels(limit).inc()
            return RateLimited(
                f"{most} requests in {window_s:g} s are allowed. Please wait a little.",
                limit=most,
                retry_after_s=int(usages[who].frees_in_s) + 1,
            )
    for who in counted:
        await record_hit(connection, who)
    return usages[wish.user_id]


async def _refusal(connection: Connection, app: App, wish: Wish) -> RateLimited | None:
    """Count the request; why it cannot be let in, if so."""
    usage = await count_request(connection, app, wish)
    if isinstance(usage, RateLimited):
        return usage
    most = limits_of(app.settings, is_anonymous=wish.is_anonymous).max_active_jobs
    if usage.active_jobs + wish.variant_count <= most:
        return None
    app.metrics.rate_limit_refusals.labels("ACTIVE_JOBS").inc()
    return RateLimited(
        f"{most} frames may be in the making at once;"
        f" {usage.active_jobs} are, and this asks for {wish.variant_count} more."
        " Wait for one to end, or cancel it.",
        limit=most,
        retry_after_s=ACTIVE_RETRY_AFTER_S,
    )


async def _insert(connection: Connection, wish: Wish, traceparent: str | None) -> Admitted:
    generation, jobs = await insert_generation(
        connection,
        NewGeneration(
            id=new_id(),
            user_id=wish.user_id,
            prompt=wish.prompt,
            prompt_delta=wish.prompt_delta,
            style=wish.style,
            style_version=wish.style_version,
            size=wish.size.value,
            upload_id=wish.upload_id,
            had_upload=wish.upload_id is not None,
            variant_count=wish.variant_count,
            seed=wish.seed,
            seed_locked=wish.seed_locked,
            provider=wish.provider,
            model=wish.model,
            assembled_prompt=wish.assembled_prompt,
            negative_prompt=wish.negative_prompt,
            prompt_hash=wish.prompt_hash,
            fall_over=wish.fall_over,
        ),
        [
            NewJob(
                id=new_id(),
                variant=variant,
                seed=(wish.first_seed + variant) % SEED_RANGE,
                progress_kind=wish.progress_kind,
                regenerated_from=wish.regenerated_from,
                traceparent=traceparent,
            )
            for variant in range(wish.variant_count)
        ],
    )
    if wish.idempotency_key:
        await _remember(connection, wish, generation.id)
    return Admitted(generation, jobs)


async def _remember(connection: Connection, wish: Wish, generation_id: UUID) -> None:
    assert wish.idempotency_key is not None
    await remember(
        connection,
        wish.user_id,
        wish.idempotency_key,
        request_hash=wish.request_hash,
        generation_id=generation_id,
    )


async def record_decision(
    connection: Connection,
    app: App,
    wish: Wish,
    decision: Decision,
    *,
    category: str | None = None,
    subject_id: UUID | None = None,
) -> None:
    """Write into the audit what became of a wish."""
    await record_audit(
        connection,
        AuditEntry(
            user_id=wish.user_id,
            action=wish.action,
            decision=decision,
            category=category,
            remote_address=wish.remote_address,
            prompt_hash=wish.prompt_hash,
            prompt=wish.submitted_text if app.settings.audit_prompts else None,
            policy_version=app.policy.version,
            subject_id=subject_id,
        ),
    )
