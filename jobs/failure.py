"""How an attempt fails: which code the client sees, and whether there is another try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.base import ProviderError, ProviderOverloaded, ProviderRefused

if TYPE_CHECKING:
    from core.settings import Settings
    from core.vocabulary import BlockStage, ErrorCode


class JobFailure(Exception):  # an outcome with a code, not a bug
    """The attempt ends the job, or asks for another one in `retry_in_s` seconds."""

    def __init__(
        self,
        code: ErrorCode,
        *,
        retry_in_s: float | None = None,
        block_stage: BlockStage | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.retry_in_s = retry_in_s
        self.block_stage = block_stage


def failure_of(error: ProviderError, *, retry_count: int, settings: Settings) -> JobFailure:
    """What a provider's error means for a job that was retried `retry_count` times."""
    return JobFailure(
        error.code,
        retry_in_s=_retry_in_s(error, retry_count, settings),
        block_stage=error.stage if isinstance(error, ProviderRefused) else None,
    )


def _retry_in_s(error: ProviderError, retry_count: int, settings: Settings) -> float | None:
    delays_s = settings.gen_retry_delays_s
    if not error.retryable or retry_count >= len(delays_s):
        return None
    if not isinstance(error, ProviderOverloaded):
        return delays_s[retry_count]
    asked_s = error.retry_after_s or 0.0
    if error.exhausted or asked_s > settings.gen_max_retry_after_s:
        return None
    return max(delays_s[retry_count], asked_s)
