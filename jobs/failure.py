"""What follows a failed attempt: the end, another try, a pause, or another provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.vocabulary import BlockStage, ErrorCode, FallOverReason
from providers.base import ProviderError, ProviderOverloaded, ProviderRefused

if TYPE_CHECKING:
    from core.settings import Settings
    from jobs.circuit import Pause
    from providers.base import Provider


class JobFailure(Exception):  # an outcome with a code, not a bug
    """The attempt ends the job."""

    def __init__(self, code: ErrorCode, *, block_stage: BlockStage | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.block_stage = block_stage


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The job has failed."""

    code: ErrorCode
    block_stage: BlockStage | None = None


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The same provider is asked again in `in_s` seconds; that counts as a retry."""

    in_s: float


@dataclass(frozen=True, slots=True)
class Hold:
    """The provider is paused: wait `for_s` seconds, or fail with `code` if that is too long."""

    for_s: float
    code: ErrorCode


@dataclass(frozen=True, slots=True)
class FallOver:
    """Another provider is asked; `failed`: one had been asked in this attempt."""

    provider: Provider
    reason: FallOverReason
    failed: bool


Step = GiveUp | TryAgain | Hold | FallOver

_REASONS = {
    ErrorCode.TIMEOUT: FallOverReason.TIMED_OUT,
    ErrorCode.PROVIDER_OVERLOADED: FallOverReason.OVERLOADED,
    ErrorCode.PROVIDER_UNAVAILABLE: FallOverReason.UNAVAILABLE,
    ErrorCode.BAD_PROVIDER_ANSWER: FallOverReason.BAD_ANSWER,
}


def step_after_error(
    error: ProviderError,
    *,
    retries: int,
    pause: Pause | None,
    successor: Provider | None,
    resumable: bool,
    settings: Settings,
) -> Step:
    """What follows a call that failed, after `retries` retries with this provider.

    `pause` is set if the provider is not asked now, `successor` if another one may paint the job,
    `resumable` if the provider goes on with the call and can be asked for it.
    """
    if not error.retryable:
        stage = error.stage if isinstance(error, ProviderRefused) else None
        return GiveUp(error.code, stage)
    retry_in_s = _retry_in_s(error, retries, settings)
    if successor and (pause or retry_in_s is None):
        return FallOver(successor, _reason_of(error), failed=True)
    if pause and (error.outcome_known or resumable):
        # Nothing was bought, or it is there to be fetched: so nothing is counted.
        return Hold(pause.for_s, error.code)
    wait_s = pause.for_s if pause else 0.0
    if retry_in_s is None or wait_s > settings.gen_max_hold_s:
        return GiveUp(error.code)
    return TryAgain(max(retry_in_s, wait_s))


def step_while_paused(pause: Pause, successor: Provider | None) -> Step:
    """What follows when the provider must not be asked."""
    if successor:
        return FallOver(successor, pause.reason, failed=False)
    return Hold(pause.for_s, ErrorCode.PROVIDER_PAUSED)


def _reason_of(error: ProviderError) -> FallOverReason:
    if isinstance(error, ProviderOverloaded) and error.exhausted:
        return FallOverReason.QUOTA_USED_UP
    return _REASONS[error.code]


def _retry_in_s(error: ProviderError, retries: int, settings: Settings) -> float | None:
    delays_s = settings.gen_retry_delays_s
    if not error.retryable or retries >= len(delays_s):
        return None
    if not isinstance(error, ProviderOverloaded):
        return delays_s[retries]
    asked_s = error.retry_after_s or 0.0
    if error.exhausted or asked_s > settings.gen_max_retry_after_s:
        return None
    return max(delays_s[retries], asked_s)
