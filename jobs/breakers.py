"""The providers' circuit breakers, shared by all workers in Redis.

While Redis is away, each worker goes on with what it knew and with what it sees itself; once it is
back, Redis' word counts again.

No call waits for Redis as long as a provider is well: a worker looks at all circuits every second,
and is told at once when one changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
from redis.exceptions import TimeoutError as RedisTimeoutError

from core.log import get_logger
from core.redis import REDIS_DOWN
from core.vocabulary import ProviderStatus
from jobs.circuit import Circuit, Pause, Permit, Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from redis.asyncio import Redis

    from core.settings import Settings
    from jobs.channels import Channels
    from providers.base import ProviderError

TRY_MARGIN_S = 10.0
"""Beyond a call's deadline: a worker that dies while it tries a provider blocks it no longer."""
LOOK_INTERVAL_S = 1.0
"""How old the word that a provider is well can be, if the message that it is not was lost."""
MAX_SWAPS = 50
"""Each round of processes that write at the same time has a winner."""

# Written only where it is still as it was read: what follows from it is decided in one place.
_SWAP = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""

_decoder = msgspec.json.Decoder(Circuit)
_log = get_logger(__name__)


class ProviderPaused(Exception):
    """The provider must not be asked now; `pause` says for how long, and why."""

    def __init__(self, pause: Pause) -> None:
        super().__init__(pause)
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Health:
    """A provider's status; `until` is when it is asked again, None unless UNAVAILABLE."""

    status: ProviderStatus = ProviderStatus.AVAILABLE
    until: datetime | None = None


class Breakers:
    """One per process."""

    def __init__(self, redis: Redis, channels: Channels, settings: Settings) -> None:
        self._redis = redis
        self._channels = channels
        self._settings = settings
        self._rules = Rules.of(settings)
        self._swap = redis.register_script(_SWAP)
        self._local: defaultdict[str, Circuit] = defaultdict(Circuit)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._well: frozenset[str] = frozenset()
        self._changes_heard = 0

    async def watch(self, providers: Collection[str]) -> None:
        """Keep knowing which of these are well, until cancelled."""
        while True:
            heard = self._changes_heard
            well = await self._find_well(providers)
            # What changed meanwhile may have been read before it changed.
            if heard == self._changes_heard:
                self._well = well
            await asyncio.sleep(LOOK_INTERVAL_S)

    def heard_of_change(self, provider: str) -> None:
        """A circuit has changed: the provider is not known to be well until the next look."""
        self._changes_heard += 1
        self._well -= {provider}

    @property
    def well(self) -> frozenset[str]:
        """Providers that may be asked without asking Redis: no failure of theirs is on record."""
        return self._well

    async def _find_well(self, providers: Collection[str]) -> frozenset[str]:
        if not self._rules.failures:
            return frozenset(providers)
        try:
            found, _ = await self._get_many(list(providers))
        except REDIS_DOWN:
            return frozenset()
        blank = (name for name, data in zip(providers, found, strict=True) if data is None)
        return frozenset(blank)

    async def enter(self, provider: str) -> Permit:
        """Ask to make a call, which must then be told how it ended. Raises ProviderPaused."""
        if provider in self._well or not self._rules.failures:
            return Permit()
        tries_for_s = self._settings.timeout_s(provider) + TRY_MARGIN_S
        pauses: list[Pause | None] = []

        def enter(circuit: Circuit, now_s: float) -> Circuit:
            # Decided in the last round, the one that was written.
            pauses[:] = [circuit.pause(now_s, self._rules)]
            return circuit.entered(now_s, self._rules, tries_for_s=tries_for_s)

        before, _, _ = await self._change(provider, enter)
        if pauses[0]:
            raise ProviderPaused(pauses[0])
        return Permit(is_probe=before.is_paused)

    async def succeeded(self, provider: str, permit: Permit) -> bool:
        """A call went well; True when that ended a pause."""
        if not self._rules.failures or (provider in self._well and not permit.is_probe):
            return False
        before, after, _ = await self._change(
            provider, lambda circuit, _: circuit.succeeded(permit)
        )
        if before.is_paused and not after.is_paused:
            _log.info("provider is asked again", provider=provider)
            return True
        return False

    async def failed(self, provider: str, error: ProviderError, permit: Permit) -> Pause | None:
        """A call failed; for how long no other may be made now, if so."""
        if not self._rules.failures:
            return None
        before, after, now_s = await self._change(
            provider, lambda circuit, now_s: circuit.failed(error, permit, now_s, self._rules)
        )
        pause = after.pause(now_s, self._rules)
        if pause and after.paused_until_s != before.paused_until_s:
            _log.warning(
                "provider is paused",
                provider=provider,
                for_s=round(pause.for_s),
                reason=pause.reason.value,
            )
        return pause

    async def left(self, provider: str, permit: Permit) -> None:
        """A call was given up, or says nothing: if it tried the provider, the next one may."""
        if permit.is_probe:
            await self._change(provider, lambda circuit, _: circuit.left(permit))

    async def paused(self, providers: Iterable[str]) -> frozenset[str]:
        """Those that must not be asked now."""
        if not self._rules.failures:
            return frozenset()
        circuits, now_s = await self._read(providers)
        return frozenset(name for name, one in circuits.items() if one.pause(now_s, self._rules))

    async def health(self, providers: Iterable[str]) -> dict[str, Health]:
        """As it is shown; AVAILABLE where nothing is known."""
        circuits, now_s = await self._read(providers)
        return {name: _health(circuit, now_s) for name, circuit in circuits.items()}

    async def _change(
        self, provider: str, change: Callable[[Circuit, float], Circuit]
    ) -> tuple[Circuit, Circuit, float]:
        """Replace a circuit; how it was, how it is, and when (by Redis' clock)."""
        try:
            data, now_s = await self._get(provider)
            before = _decode(data)
            after = change(before, now_s)
            if after != before:
                async with self._locks[provider]:
                    before, after, now_s = await self._replace(provider, change)
        except REDIS_DOWN as error:
            _log.debug("circuit breaker without Redis", error=type(error).__name__)
            now_s = time.time()
            before = self._local[provider]
            after = change(before, now_s)
        self._local[provider] = after
        if after != Circuit():
            self.heard_of_change(provider)
        return before, after, now_s

    async def _replace(
        self, provider: str, change: Callable[[Circuit, float], Circuit]
    ) -> tuple[Circuit, Circuit, float]:
        for _ in range(MAX_SWAPS):
            data, now_s = await self._get(provider)
            before = _decode(data)
            after = change(before, now_s)
            if after == before:
                return before, after, now_s
            kept_ms = round(after.kept_for_s(now_s, self._rules) * 1000)
            values = [data or b"", msgspec.json.encode(after), kept_ms]
            if await self._swap(keys=[self._channels.breaker(provider)], args=values):
                await self._tell(provider)
                return before, after, now_s
        raise RedisTimeoutError("too many others write this circuit breaker")

    async def _tell(self, provider: str) -> None:
        """Have the other workers look again now, not within LOOK_INTERVAL_S."""
        with contextlib.suppress(*REDIS_DOWN):
            await cast("Any", self._redis).publish(self._channels.control, f"breaker {provider}")

    async def _get(self, provider: str) -> tuple[bytes | None, float]:
        (data,), now_s = await self._get_many([provider])
        return data, now_s

    async def _get_many(self, providers: list[str]) -> tuple[list[bytes | None], float]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in providers:
                pipe.get(self._channels.breaker(name))
            cast("Any", pipe).time()
            *found, (seconds, microseconds) = await pipe.execute()
        return found, seconds + microseconds / 1e6

    async def _read(self, providers: Iterable[str]) -> tuple[dict[str, Circuit], float]:
        names = list(providers)
        try:
            found, now_s = await self._get_many(names)
        except REDIS_DOWN:
            return {name: self._local[name] for name in names}, time.time()
        return {name: _decode(data) for name, data in zip(names, found, strict=True)}, now_s


def _decode(data: bytes | None) -> Circuit:
    try:
        return _decoder.decode(data) if data else Circuit()
    except msgspec.MsgspecError:
        return Circuit()


def _health(circuit: Circuit, now_s: float) -> Health:
    status = circuit.status(now_s)
    if status is not ProviderStatus.UNAVAILABLE:
        return Health(status)
    return Health(status, datetime.fromtimestamp(circuit.paused_until_s, UTC))
