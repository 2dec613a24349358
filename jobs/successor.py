"""Which provider may paint a job after the one that it was asked of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.settings import Settings
    from db.records import CallRecord, JobRecord, Work
    from jobs.kit import Kit
    from providers.base import Provider


async def find_successor(kit: Kit, work: Work, calls: Sequence[CallRecord]) -> Provider | None:
    """The next provider that can paint the job and is not paused; None if none may.

    `calls` are those of earlier attempts, but for one that this attempt went on with. Nobody is
    asked while one of them may have been billed.
    """
    job, generation = work.job, work.generation
    if not generation.fall_over or not all(map(_cost_nothing_more, _newest_of_each(calls))):
        return None
    names = [
        name
        for name in _those_after(job, kit.settings)
        if (provider := kit.providers.get(name))
        and provider.capabilities.can_paint(generation.size, has_photo=generation.had_upload)
    ]
    paused = await kit.breakers.paused(names) if names else ()
    return next((kit.providers[name] for name in names if name not in paused), None)


def _those_after(job: JobRecord, settings: Settings) -> Sequence[str]:
    """What is left of the order: a job never comes back to a provider that it has left."""
    asked_of = job.requested_provider or job.provider
    fallbacks = [name for name in settings.gen_fallback_providers if name != asked_of]
    if job.requested_provider is None:
        return fallbacks
    return fallbacks[fallbacks.index(job.provider) + 1 :] if job.provider in fallbacks else ()


def _newest_of_each(calls: Sequence[CallRecord]) -> list[CallRecord]:
    """A call that was gone on with is judged by the attempt that did."""
    gone_on_with = {call.resumed_from for call in calls}
    return [call for call in calls if call.attempt not in gone_on_with]


def _cost_nothing_more(call: CallRecord) -> bool:
    return call.outcome == "FAILED" and call.outcome_known is True
