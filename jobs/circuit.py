"""A circuit breaker as a value: when a provider is asked, and when it is left alone.

It lets calls through until so many have failed in a row, or until a quota is used up. Then the
provider is paused; after that, one call at a time tries it, and the first that goes well ends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import msgspec

from core.vocabulary import FallOverReason, ProviderStatus
from providers.base import (
    ProviderOverloaded,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)

if TYPE_CHECKING:
    from core.settings import Settings
    from providers.base import ProviderError

FORGOTTEN_AFTER_S = 3600.0
"""A pause that is over and that no call has tried since then is forgotten."""
_TROUBLES = (ProviderTimeout, ProviderOverloaded, ProviderUnavailable)
"""What says that the provider is unwell; a bad answer may be about one prompt."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Of the settings: `failures` in a row within `window_s` pause a provider for `pause_s`."""

    failures: int
    window_s: float
    pause_s: float
    quota_pause_s: float

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """The settings' own."""
        return cls(
            failures=settings.gen_breaker_failures,
            window_s=settings.gen_breaker_window_s,
            pause_s=settings.gen_breaker_pause_s,
            quota_pause_s=settings.gen_breaker_quota_pause_s,
        )


@dataclass(frozen=True, slots=True)
class Permit:
    """A call may be made. `is_probe`: it is the one that tries a paused provider."""

    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """No call may be made for `for_s` seconds."""

    for_s: float
    reason: FallOverReason


class Circuit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One provider's. Times are seconds of the epoch; 0: none.

    `failures` in a row, the first of them at `first_failed_at_s`. Paused when `paused_until_s` is
    not 0, also when that has gone by; then a call tries it, for which others wait until
    `tried_until_s`.
    """

    failures: int = 0
    first_failed_at_s: float = 0.0
    paused_until_s: float = 0.0
    tried_until_s: float = 0.0
    reason: FallOverReason = FallOverReason.PAUSED

    @property
    def is_paused(self) -> bool:
        """Whether calls are held back, but for one that tries."""
        return self.paused_until_s > 0

    def status(self, now_s: float) -> ProviderStatus:
        """As it is shown."""
        if self.is_paused:
            waits = now_s < self.paused_until_s
            return ProviderStatus.UNAVAILABLE if waits else ProviderStatus.DEGRADED
        return ProviderStatus.DEGRADED if self.failures else ProviderStatus.AVAILABLE

    def kept_for_s(self, now_s: float, rules: Rules) -> float:
        """How long it is worth remembering, seconds; 0: not at all."""
        if self.is_paused:
            return max(0.0, self.paused_until_s - now_s) + FORGOTTEN_AFTER_S
        return rules.window_s if self.failures else 0.0

    def pause(self, now_s: float, rules: Rules) -> Pause | None:
        """For how long no call may be made; None: one may."""
        if not self.is_paused:
            return None
        if now_s < self.paused_until_s:
            return Pause(self.paused_until_s - now_s, self.reason)
        if now_s < self.tried_until_s:
            # Who tries it may be done at any moment, and wakes those who wait.
            return Pause(min(self.tried_until_s - now_s, rules.pause_s), self.reason)
        return None

    def entered(self, now_s: float, rules: Rules, *, tries_for_s: float) -> Self:
        """After somebody asked to make a call of at most `tries_for_s` seconds."""
        if not self.is_paused or self.pause(now_s, rules):
            return self
        return msgspec.structs.replace(self, tried_until_s=now_s + tries_for_s)

    def left(self, permit: Permit) -> Self:
        """After a call that says nothing about the provider: the next one may try it."""
        if not permit.is_probe or not self.tried_until_s:
            return self
        return msgspec.structs.replace(self, tried_until_s=0.0)

    def succeeded(self, permit: Permit) -> Self:
        """After a call that went well. One from before the pause does not end it."""
        return self if self.is_paused and not permit.is_probe else type(self)()

    def failed(self, error: ProviderError, permit: Permit, now_s: float, rules: Rules) -> Self:
        """After a call that failed."""
        if isinstance(error, ProviderRefused):
            return self.succeeded(permit)
        if not isinstance(error, _TROUBLES):
            return self.left(permit)
        if isinstance(error, ProviderOverloaded) and error.exhausted:
            return self._used_up(error, now_s, rules)
        if self.is_paused:
            return self._paused(error, now_s, rules) if permit.is_probe else self
        is_first = not self.failures or now_s - self.first_failed_at_s > rules.window_s
        counted = msgspec.structs.replace(
            self,
            failures=1 if is_first else self.failures + 1,
            first_failed_at_s=now_s if is_first else self.first_failed_at_s,
        )
        return (
            counted._paused(error, now_s, rules) if counted.failures >= rules.failures else counted
        )

    def _paused(self, error: ProviderError, now_s: float, rules: Rules) -> Self:
        asked_s = error.retry_after_s if isinstance(error, ProviderOverloaded) else None
        return msgspec.structs.replace(
            self,
            paused_until_s=now_s + max(rules.pause_s, asked_s or 0.0),
            tried_until_s=0.0,
            reason=FallOverReason.PAUSED,
        )

    def _used_up(self, error: ProviderOverloaded, now_s: float, rules: Rules) -> Self:
        """Until the quota is there again; never sooner than others have found."""
        pause_s = rules.quota_pause_s if error.resets_in_s is None else error.resets_in_s
        return msgspec.structs.replace(
            self,
            paused_until_s=max(self.paused_until_s, now_s + pause_s),
            tried_until_s=0.0,
            reason=FallOverReason.QUOTA_USED_UP,
        )
