"""Starting, regenerating, reading, cancelling and deleting generations."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import (
    GenerationNotFound,
    InvalidInput,
    JobNotFound,
    NotRegenerable,
    UploadNotFound,
)
from core.styles import assemble_prompt
from core.vocabulary import ImageSize
from db.generations import delete_generation as delete_generation_rows
from db.ledger import jobs_with_calls
from db.lifecycle import cancel_generation as cancel_generation_rows
from jobs.changes import change_of
from resolvers.admission import SEED_RANGE, Admitted, Wish, admit
from resolvers.audit import record_accepted
from resolvers.providers import find_provider
from resolvers.reads import find_own
from resolvers.safety import require_allowed
from resolvers.texts import apply_delta, clean_key, clean_text, fold

if TYPE_CHECKING:
    from uuid import UUID

    from core.auth import Viewer
    from core.styles import Style
    from db.records import GenerationRecord, JobRecord, UploadRecord
    from providers.base import Provider
    from resolvers.context import App, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """The arguments of startGeneration, as the client sent them."""

    prompt: str = ""
    style: str = "ghibli"
    size: ImageSize = ImageSize.SQUARE_1024
    upload_id: str | None = None
    variant_count: int | None = None
    seed: int | None = None
    lock_seed: bool = False
    provider: str | None = None
    fall_over: bool | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegenerateRequest:
    """The arguments of regenerate, as the client sent them. None keeps what the job has."""

    job_id: str
    prompt_delta: str = ""
    lock_seed: bool | None = None
    style: str | None = None
    size: ImageSize | None = None
    idempotency_key: str | None = None


async def start_generation(app: App, request: Request, wanted: StartRequest) -> Admitted:
    """Accept a generation and put its jobs in the queue.

    Raises Unauthenticated, InvalidInput, UploadNotFound, PromptRejected, IdempotencyConflict,
    RateLimited, Overloaded.
    """
    viewer = request.require_viewer()
    prompt = clean_text(wanted.prompt, field="prompt", max_chars=app.settings.prompt_max_chars)
    if not prompt and wanted.upload_id is None:
        raise InvalidInput("Write a prompt, or send the id of an uploaded photo.", field="prompt")
    style = _style(app, wanted.style)
    provider = find_provider(app, wanted.provider or app.settings.gen_provider)
    upload = None
    if wanted.upload_id is not None:
        upload = await _upload(app, request, wanted.upload_id)
    _check_capabilities(provider, wanted.size, has_photo=upload is not None)
    seed = _check_seed(wanted.seed)
    wish = _wish(
        request,
        viewer,
        action="start_generation",
        prompt=prompt,
        prompt_delta=None,
        negative_prompt=style.negative,
        style=style,
        size=wanted.size,
        upload=upload,
        variant_count=_check_variants(app, wanted.variant_count),
        seed=seed,
        seed_locked=wanted.lock_seed,
        provider=provider,
        fall_over=_may_fall_over(app, wanted),
        regenerated_from=None,
        idempotency_key=_check_key(wanted.idempotency_key),
    )
    return await _submit(app, wish)


async def regenerate(app: App, request: Request, wanted: RegenerateRequest) -> Admitted:
    """Make a new job from an old one, in a generation of its own, linked to it.

    Raises Unauthenticated, InvalidInput, JobNotFound, NotRegenerable, PromptRejected,
    IdempotencyConflict, RateLimited, Overloaded.
    """
    viewer = request.require_viewer()
    job, old = await _job_and_generation(app, request, wanted.job_id)
    upload = await _kept_upload(app, request, old)
    style = _style(app, wanted.style or old.style)
    locked = job.seed_locked if wanted.lock_seed is None else wanted.lock_seed
    # A seed means something to the provider that painted from it, and to no other.
    provider = find_provider(app, job.provider if locked else old.provider)
    size = wanted.size or old.size
    _check_capabilities(provider, size, has_photo=upload is not None)
    max_chars = app.settings.prompt_max_chars
    delta = clean_text(wanted.prompt_delta, field="promptDelta", max_chars=max_chars)
    kept_negative = old.negative_prompt if style.slug == old.style else style.negative
    prompt, negative = apply_delta(old.prompt, kept_negative, delta)
    prompt = clean_text(prompt, field="promptDelta", max_chars=max_chars)
    if not prompt and upload is None:
        raise InvalidInput("Nothing of the prompt would be left.", field="promptDelta")
    wish = _wish(
        request,
        viewer,
        action="regenerate",
        prompt=prompt,
        prompt_delta=delta or None,
        negative_prompt=negative,
        style=style,
        size=size,
        upload=upload,
        variant_count=1,
        seed=job.seed if locked else None,
        seed_locked=locked,
        provider=provider,
        fall_over=old.fall_over and not locked and bool(app.settings.gen_fallback_providers),
        regenerated_from=job.id,
        idempotency_key=_check_key(wanted.idempotency_key),
    )
    return await _submit(app, wish)


def _wish(
    request: Request,
    viewer: Viewer,
    *,
    action: str,
    prompt: str,
    prompt_delta: str | None,
    negative_prompt: str,
    style: Style,
    size: ImageSize,
    upload: UploadRecord | None,
    variant_count: int,
    seed: int | None,
    seed_locked: bool,
    provider: Provider,
    fall_over: bool,
    regenerated_from: UUID | None,
    idempotency_key: str | None,
) -> Wish:
    """What was asked for, with all that follows from it."""
    return Wish(
        action=action,
        user_id=viewer.user_id,
        is_anonymous=viewer.is_anonymous,
        remote_address=request.remote_address,
        prompt=prompt,
        folded_prompt=fold(prompt),
        prompt_delta=prompt_delta,
        negative_prompt=negative_prompt,
        assembled_prompt=assemble_prompt(style, prompt),
        style=style.slug,
        style_version=style.version,
        size=size,
        upload_id=upload.id if upload else None,
        upload_digest=upload.digest if upload else None,
        variant_count=variant_count,
        seed=seed,
        seed_locked=seed_locked,
        first_seed=secrets.randbelow(SEED_RANGE) if seed is None else seed,
        provider=provider.name,
        model=provider.model,
        fall_over=fall_over,
        progress_kind=provider.capabilities.progress,
        regenerated_from=regenerated_from,
        idempotency_key=idempotency_key,
    )


async def _submit(app: App, wish: Wish) -> Admitted:
    """Judge the words, make sure that pictures can be stored, let it in."""
    await require_allowed(app, wish)
    await app.storage_health.require()
    return await admit(app, wish)


async def read_generation(app: App, request: Request, id_text: str) -> GenerationRecord | None:
    """The viewer's generation; None when there is none. Raises Unauthenticated."""
    return await find_own(app.reads.generations, request, id_text)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Jobs that were cancelled now. `billed`: a provider had been called for one of them."""

    jobs: list[JobRecord]
    billed: bool


async def cancel_generation(
    app: App, request: Request, id_text: str
) -> tuple[GenerationRecord, Cancelled]:
    """Cancel all jobs that have not ended. Raises Unauthenticated, GenerationNotFound."""
    viewer = request.require_viewer()
    generation = await _owned_generation(app, request, id_text)
    shown = await _shown_progress(app, generation)
    async with app.database.transaction() as connection:
        jobs = await cancel_generation_rows(connection, generation.id, viewer.user_id, shown=shown)
        billed = bool(await jobs_with_calls(connection, [job.id for job in jobs]))
    await tell_cancelled(app, jobs)
    return generation, Cancelled(jobs, billed)


async def tell_cancelled(app: App, jobs: list[JobRecord]) -> None:
    """Tell followers and workers, after the commit."""
    if jobs:
        for job in jobs:
            app.metrics.jobs_ended.labels(job.provider, job.state).inc()
        await app.publisher.publish(change_of(job) for job in jobs)
        await app.publisher.cancel([job.id for job in jobs])


async def delete_generation(app: App, request: Request, id_text: str) -> GenerationRecord:
    """Cancel what runs, delete the rows; a sweeper deletes the pictures.

    Raises Unauthenticated, GenerationNotFound.
    """
    viewer = request.require_viewer()
    generation = await _owned_generation(app, request, id_text)
    shown = await _shown_progress(app, generation)
    async with app.database.transaction() as connection:
        jobs = await cancel_generation_rows(connection, generation.id, viewer.user_id, shown=shown)
        await delete_generation_rows(connection, generation.id, viewer.user_id)
        await record_accepted(connection, request, "delete_generation", subject_id=generation.id)
    await tell_cancelled(app, jobs)
    return generation


async def _shown_progress(app: App, generation: GenerationRecord) -> dict[UUID, int]:
    jobs = await app.reads.jobs_of_generations.get(generation.id) or ()
    return await app.publisher.shown_progress([job.id for job in jobs])


async def _owned_generation(app: App, request: Request, id_text: str) -> GenerationRecord:
    generation = await read_generation(app, request, id_text)
    if generation is None:
        raise GenerationNotFound("There is no such generation.")
    return generation


async def _job_and_generation(
    app: App, request: Request, id_text: str
) -> tuple[JobRecord, GenerationRecord]:
    job = await find_own(app.reads.jobs, request, id_text)
    generation = job and await app.reads.generations.get(job.generation_id)
    if job is None or generation is None:
        raise JobNotFound("There is no such job.")
    return job, generation


async def _kept_upload(app: App, request: Request, old: GenerationRecord) -> UploadRecord | None:
    if not old.had_upload:
        return None
    if old.upload_id is None:
        raise NotRegenerable("The photo behind this frame was deleted. Start a new generation.")
    return await _upload(app, request, str(old.upload_id))


async def _upload(app: App, request: Request, id_text: str) -> UploadRecord:
    if upload := await find_own(app.reads.uploads, request, id_text):
        return upload
    raise UploadNotFound("There is no such upload. Send the id that createUpload gave you.")


def _style(app: App, slug: str) -> Style:
    if style := app.styles.get(slug):
        return style
    raise InvalidInput(f"The style must be one of: {', '.join(app.styles)}.", field="style")


def _may_fall_over(app: App, wanted: StartRequest) -> bool:
    """Whether another provider may paint it; by default, if neither it nor a seed was chosen."""
    chose = wanted.provider is not None or wanted.seed is not None
    allowed = not chose if wanted.fall_over is None else wanted.fall_over
    return allowed and bool(app.settings.gen_fallback_providers)


def _check_capabilities(provider: Provider, size: ImageSize, *, has_photo: bool) -> None:
    capabilities = provider.capabilities
    if capabilities.can_paint(size, has_photo=has_photo):
        return
    if size not in capabilities.sizes:
        sizes = ", ".join(capabilities.sizes)
        raise InvalidInput(f"The provider {provider.name} paints: {sizes}.", field="size")
    needs = "takes no photos" if has_photo else "needs a photo"
    raise InvalidInput(f"The provider {provider.name} {needs}.", field="uploadId")


def _check_variants(app: App, count: int | None) -> int:
    most = app.settings.gen_max_variants
    if count is None:
        return min(3, most)
    if not 1 <= count <= most:
        raise InvalidInput(f"variantCount must be 1 to {most}.", field="variantCount")
    return count


def _check_seed(seed: int | None) -> int | None:
    if seed is not None and not 0 <= seed < SEED_RANGE:
        raise InvalidInput(f"The seed must be 0 to {SEED_RANGE - 1}.", field="seed")
    return seed


def _check_key(key: str | None) -> str | None:
    return None if key is None else clean_key(key)
